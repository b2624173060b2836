"""How far an attack may go in one modality."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from avrobust import imagenet
from avrobust.attacks.norms import LINF, NORMS, Norm
from avrobust.program import UserError
from avrobust.views.view import Input


@dataclass(frozen=True)
class Budget:
    """The ball of one modality, in which the norm of perturbation / `epsilon` is at most 1, and its valid range.

    `epsilon`, `low` and `high` are in the input's natural units. `epsilon` broadcasts against the inputs (N, ...): a
    number for a waveform, (3, 1, 1) for a frame whose epsilon is stated on normalised pixels, (N, 1, 1) where every
    clip has its own. `origin` is the natural value that the authors' code calls 0 (their frames are normalised): only
    their own variant of MIM looks at it.
    """

    epsilon: Tensor
    low: float
    high: float
    origin: Tensor
    norm: Norm = LINF

    @property
    def active(self) -> bool:
        """Whether the modality may change at all."""
        return bool((self.epsilon > 0).any())

    def used(self, perturbation: Tensor) -> Tensor:
        """Return how much of its ball each clip's perturbation takes: (N, ...) -> (N,), 1 on the surface.

        What is not 0 where nothing may change takes infinitely much.
        """
        return self.norm.length(torch.where(perturbation == 0, 0.0, perturbation / self.epsilon))

    def clamp(self, iterate: Tensor) -> Tensor:
        """Return `iterate` (N, ...) inside the valid range."""
        return iterate.clamp(self.low, self.high)


@dataclass(frozen=True)
class Units:
    """What an epsilon of 1 means in one modality, and the valid range and origin of that modality.

    A paper that states epsilon on normalised pixels has `scale` = the ImageNet standard deviations. `step_axes`: how
    many trailing axes of an input make up one time step, see `avrobust.views.view.Input`.
    """

    scale: Tensor
    low: float
    high: float
    origin: Tensor
    step_axes: int

    def number(self, epsilon: float | str | None, range: Sequence[float] | None = None) -> float | None:
        """Return the number that an `epsilon` is: of `range`, as far as the range is wide; None of None.

        Raises:
            UserError: it is `range`, and that is without bounds.
        """
        if epsilon != "range":
            return epsilon
        low, high = range or (self.low, self.high)
        if math.isinf(high - low):
            raise UserError(
                f"a budget's epsilon is as wide as the range, which is {low} to {high}; give range: [..., ...]"
            )
        return ((high - low) / self.scale).max().item()

    def budget(
        self,
        epsilon: float | str | None = None,
        norm: str = "linf",
        range: Sequence[float] | None = None,
        snr: float | None = None,
        clean: Tensor | None = None,
    ) -> Budget:
        """Return the budget of a paper's `epsilon` >= 0 in `norm`, a name of `avrobust.attacks.norms.NORMS`.

        `epsilon` may be `range`: as far as the valid range is wide.

        `range`: [low, high] in natural units where they are not this modality's own. `snr` in the place of `epsilon`:
        the least signal-to-noise ratio in dB, of the inputs `clean` (N, ...); each clip's epsilon is then its own l2
        norm / 10^(snr / 20), and the norm l2_clip.

        Raises:
            UserError: the norm is unknown, epsilon below 0, not exactly one of `epsilon` and `snr` given, or `snr` in
                another norm than l2_clip.
        """
        if norm not in NORMS:
            raise UserError(f"a budget's norm is one of {', '.join(NORMS)}, not {norm!r}")
        if (epsilon is None) == (snr is None):
            raise UserError(f"a budget has either an epsilon or an snr, not epsilon {epsilon} and snr {snr}")
        if snr is not None and norm != "l2_clip":
            raise UserError(f"a budget of {snr:g} dB is one of the norm l2_clip, not {norm}")
        if not isinstance(epsilon, str) and epsilon is not None and not epsilon >= 0:
            raise UserError(f"a budget's epsilon is 0 or more, not {epsilon}")
        low, high = range or (self.low, self.high)
        budget = Budget(torch.zeros(()), low, high, self.origin, NORMS[norm](self.step_axes))
        if snr is None:
            return replace(budget, epsilon=self.number(epsilon, range) * self.scale)
        norms = budget.norm.length(clean / self.scale) * 10 ** (-snr / 20)
        return replace(budget, epsilon=norms.view(-1, *[1] * (clean.dim() - 1)) * self.scale)

    def norm(self, perturbation: Tensor, name: str = "linf") -> Tensor:
        """Return the norm `name` of each clip's perturbation in the paper's unit: (N, ...) -> (N,)."""
        return NORMS[name](self.step_axes).length(perturbation / self.scale)

    def to(self, device: torch.device) -> "Units":
        """Return the same units with their tensors on `device`."""
        return replace(self, scale=self.scale.to(device), origin=self.origin.to(device))


def units(
    epsilon_space: str, inputs: Mapping[str, Input], scales: Mapping[str, Tensor] = MappingProxyType({})
) -> dict[str, Units]:
    """Return what an epsilon of 1 is in each of `inputs`, the forms that a view gives them: per channel in a picture.

    `epsilon_space` says what a picture's epsilon counts in: `normalised` (values after ImageNet's normalisation, so
    that 1 is a standard deviation) or `pixel` (values in [0, 1]). `scales`: modality -> what it counts in where the net
    standardises the input itself (`avrobust.models.late_fusion.LateFusion.scales`).
    """
    channels = torch.tensor(imagenet.STD) if epsilon_space == "normalised" else torch.ones(3)
    of_pictures = channels.view(3, 1, 1), torch.tensor(imagenet.MEAN).view(3, 1, 1)
    made = {}
    for name, form in inputs.items():
        scale, origin = of_pictures if form.is_picture else (torch.ones(()), torch.zeros(()))
        scale = scales.get(name, scale)
        made[name] = Units(scale, form.low, form.high, origin, form.step_axes)
    return made
