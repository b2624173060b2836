"""How a net is trained, as the paper's file and the scale say it; standard library only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from avrobust.program import UserError

ANNEALINGS = ("none", "linear", "cosine")
BY_VALIDATION, LAST = "validation", "last"


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, in which steps and at which rates.

    `learning_rates` has a value for `audio`, `visual` (the encoders) and `head` (fusion and classifier). All are
    multiplied by `decay` after each epoch named in `milestones`, grow linearly over the first `warm_up` steps, and fall
    to nothing at the end by `annealing`, from the end of the warm-up on. A step is one of the optimiser, along the mean
    gradient of `accumulation` batches, which is shortened to `clip_norm` if that is given. An epoch has `epoch_batches`
    batches, all that there are if that is None.

    `batch_warm_up`: over so many batches the rates grow linearly whatever else is said, as in the released code of Li
    et al. (ICASSP 2022), which warms up by batches what it warms up by steps already.

    `optimiser`, `prepare`: {name, options}; names of `avrobust.training.registry`. Batch normalisation takes the
    statistics of `replica_size` clips at a time, of the whole batch if that is None.

    `only`: the name of a parameter, or of the module that has some; all others stay as they are, and so do the
    statistics of batch normalisation, as in evaluation mode. None for all.

    `best_is`: which epoch is the best one, the first of the highest score on clean validation clips (`validation`) or
    the last (`last`): what a net withstands that trains on attacked clips, these scores say nothing of.
    """

    epochs: int
    batch_size: int
    learning_rates: Mapping[str, float]
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    warm_up: int = 0
    annealing: str = "none"
    accumulation: int = 1
    epoch_batches: int | None = None
    optimiser: Mapping = field(default_factory=lambda: {"name": "sgd"})
    prepare: Mapping = field(default_factory=lambda: {"name": "plain"})
    replica_size: int | None = None
    only: str | None = None
    best_is: str = BY_VALIDATION
    clip_norm: float | None = None
    batch_warm_up: int = 0

    def __post_init__(self):
        if self.annealing not in ANNEALINGS:
            raise UserError(f"annealing is one of {', '.join(ANNEALINGS)}, not {self.annealing!r}")
        if self.best_is not in (BY_VALIDATION, LAST):
            raise UserError(f"best_is is {BY_VALIDATION} or {LAST}, not {self.best_is!r}")

    def rate_factor(self, step: int, epoch_steps: int) -> float:
        """Return the factor of all learning rates in `step`, counted from 0, where an epoch has `epoch_steps`.

        The product of three: `decay` to the power of the milestones that are over; (step + 1) / warm_up, at most 1;
        and, with x the share of the steps after the warm-up that are over, 1 - x (linear) or (1 + cos(pi x)) / 2
        (cosine).

        Raises:
            UserError: the warm-up takes the whole training.
        """
        if (batch := step * self.accumulation) < self.batch_warm_up:
            return (batch + 1) / self.batch_warm_up
        whole = self.epochs * epoch_steps
        if self.warm_up >= whole:
            raise UserError(f"a warm_up of {self.warm_up} steps in a training of {whole}; lower it, or train longer")
        factor = self.decay ** sum(step // epoch_steps + 1 > milestone for milestone in self.milestones)
        if step < self.warm_up:
            return factor * (step + 1) / self.warm_up
        over = (step - self.warm_up) / (whole - self.warm_up)
        return factor * {"none": 1, "linear": 1 - over, "cosine": (1 + math.cos(math.pi * over)) / 2}[self.annealing]
