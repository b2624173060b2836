"""How a net is trained, as the paper's file and the scale say it; standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from avrobust.program import UserError

ANNEALINGS = ("none", "linear", "cosine")


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, in which steps and at which rates.

    `learning_rates` has a value for `audio`, `visual` (the encoders) and `head` (fusion and classifier). All are
    multiplied by `decay` after each epoch named in `milestones`, grow linearly over the first `warm_up` steps, and fall
    to nothing at the end by `annealing`, from the end of the warm-up on. A step is one of the optimiser, along the mean
    gradient of `accumulation` batches. An epoch has `epoch_batches` batches, all that there are if that is None.

    `optimiser`, `prepare`: {name, options}; names of `avrobust.training.registry`. Batch normalisation takes the
    statistics of `replica_size` clips at a time, of the whole batch if that is None.
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

    def __post_init__(self):
        if self.annealing not in ANNEALINGS:
            raise UserError(f"annealing is one of {', '.join(ANNEALINGS)}, not {self.annealing!r}")


def recipe_of(given: Mapping) -> TrainingRecipe:
    """Return the recipe that a mapping states.

    Raises:
        UserError: a key is unknown or missing, or a value is not allowed.
    """
    known = {part.name for part in fields(TrainingRecipe)}
    if unknown := sorted(given.keys() - known):
        raise UserError(f"a training has no {', '.join(unknown)}; its keys are {', '.join(sorted(known))}")
    if missing := [name for name in ("epochs", "batch_size", "learning_rates") if name not in given]:
        raise UserError(f"a training needs {', '.join(missing)}")
    return TrainingRecipe(**given)
