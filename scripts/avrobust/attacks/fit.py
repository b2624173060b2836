"""How an attack finds one perturbation for all clips, before any of them is attacked."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.program import UserError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Fit:
    """`passes` over the clips of `split`; after every `batch` of them the perturbation goes the mean of their ways.

    `project`: (perturbation (...), budget) -> perturbation, after every batch.

    Raises:
        UserError: a number is below 1, or there is no such split.
    """

    passes: int
    batch: int
    split: str
    project: Callable[[Tensor, Budget], Tensor]

    def __post_init__(self):
        for name, value in (("passes", self.passes), ("fit_batch", self.batch)):
            if value < 1:
                raise UserError(f"{name} of a fitted attack are 1 or more, not {value}")
        if self.split not in SPLITS:
            raise UserError(f"an attack is fitted_on one of {', '.join(SPLITS)}, not {self.split!r}")
