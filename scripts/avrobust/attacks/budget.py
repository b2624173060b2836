"""How far an attack may go in one modality."""

from dataclasses import dataclass

import torch
from torch import Tensor

from avrobust import imagenet


@dataclass(frozen=True)
class Budget:
    """The l-infinity ball of one modality and its valid range, all in the input's natural units.

    `epsilon` broadcasts against one clip's input: a number for a waveform, (3, 1, 1) for a frame whose
    epsilon is stated on normalised pixels. `origin` is the natural value that the authors' code calls 0
    (their frames are normalised): only their own variant of MIM looks at it.
    """

    epsilon: Tensor
    low: float
    high: float
    origin: Tensor

    @property
    def active(self) -> bool:
        """Whether the modality may change at all."""
        return bool((self.epsilon > 0).any())


@dataclass(frozen=True)
class Units:
    """What an epsilon of 1 means in one modality, and the valid range and origin of that modality.

    A paper that states epsilon on normalised pixels has `scale` = the ImageNet standard deviations.
    """

    scale: Tensor
    low: float
    high: float
    origin: Tensor

    def budget(self, epsilon: float) -> Budget:
        """Return the budget of a paper's `epsilon` >= 0."""
        return Budget(epsilon * self.scale, self.low, self.high, self.origin)

    def linf(self, perturbation: Tensor) -> Tensor:
        """Return the l-infinity norm of each clip's perturbation in the paper's unit: (N, ...) -> (N,)."""
        return (perturbation / self.scale).abs().flatten(1).amax(dim=1)

    def to(self, device: torch.device) -> "Units":
        """Return the same units with their tensors on `device`."""
        return Units(self.scale.to(device), self.low, self.high, self.origin.to(device))


def units(epsilon_space: str) -> dict[str, Units]:
    """Return what an epsilon of 1 is in the waveform, and per channel in the frame.

    `epsilon_space` says what a frame's epsilon counts in: `normalised` (values after ImageNet's normalisation, so that
    1 is a standard deviation) or `pixel` (values in [0, 1]).
    """
    channels = torch.tensor(imagenet.STD) if epsilon_space == "normalised" else torch.ones(3)
    return {
        "audio": Units(torch.ones(()), -1.0, 1.0, torch.zeros(())),
        "visual": Units(channels.view(3, 1, 1), 0.0, 1.0, torch.tensor(imagenet.MEAN).view(3, 1, 1)),
    }
