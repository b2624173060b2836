"""Segments of a clip in time, the steps sampled of them, and perturbations that the steps of a segment share.

Zhang et al. (ICLR 2025), section 5.1 and equations 5 and 6. A step is a frame and the sound of as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def segmented(steps: int, sampled: int, segments: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the segment of each step, (steps,), and the sampled steps, (sampled,), ascending.

    There are min(`segments`, `sampled`) segments, of random boundaries. One step is drawn of each, the others of all
    that are left.
    """
    count = min(segments, sampled)
    boundaries = 1 + np.sort(random.choice(steps - 1, count - 1, replace=False)) if count > 1 else np.array([], int)
    of_step = np.searchsorted(boundaries, np.arange(steps), side="right")
    first = [random.choice(np.flatnonzero(of_step == segment)) for segment in range(count)]
    left = np.setdiff1d(np.arange(steps), first)
    return of_step, np.sort([*first, *random.choice(left, sampled - count, replace=False)])


@dataclass(frozen=True)
class Sampling:
    """Which of `steps` steps are sampled of each of N clips, and which share a perturbation.

    `segments`: (N, steps), the segment of each step, of M. `sampled`: (N, K), the sampled steps, ascending.
    """

    segments: Tensor
    sampled: Tensor

    @classmethod
    def drawn(cls, steps: int, sampled: int, segments: int, random: Sequence[np.random.Generator]) -> "Sampling":
        """Return that of clips, each by a generator of its own."""
        of_step, chosen = zip(*(segmented(steps, sampled, segments, one) for one in random), strict=True)
        return cls(torch.from_numpy(np.stack(of_step)), torch.from_numpy(np.stack(chosen)))

    def to(self, device: torch.device) -> "Sampling":
        """Return the same with its tensors on `device`."""
        return Sampling(self.segments.to(device), self.sampled.to(device))

    @property
    def count(self) -> int:
        """How many steps are sampled, K."""
        return self.sampled.shape[1]

    def part(self, modality: str, x: Tensor) -> Tensor:
        """Return the sampled steps alone: pictures (N, steps, 3, H, W) -> (N, K, 3, H, W), sounds (N, 1, L) likewise.

        Of a sound each step has L // steps samples.
        """
        if modality == "visual":
            return x[self._clips, self.sampled]
        return x[:, 0][self._clips[:, :, None], self._samples(x.shape[-1])].flatten(1).unsqueeze(1)

    def nothing(self, modality: str, x: Tensor) -> Tensor:
        """Return perturbations of 0 for M segments of inputs `x`: (N, M, 3, H, W), or (N, M, L // steps)."""
        shape = x.shape[2:] if modality == "visual" else (x.shape[-1] // self.segments.shape[1],)
        return x.new_zeros(len(x), int(self.segments.max()) + 1, *shape)

    def shared(self, modality: str, perturbation: Tensor) -> Tensor:
        """Return what the sampled steps are moved by, in the shape of `part`, of perturbations as `nothing` has them.

        A product with zeros and ones, exact, and of a gradient that comes in one order on any device.
        """
        ours = self.segments.gather(1, self.sampled)
        chosen = torch.nn.functional.one_hot(ours, perturbation.shape[1]).to(perturbation)
        moved = chosen @ perturbation.flatten(2)
        return moved.unflatten(2, perturbation.shape[2:]) if modality == "visual" else moved.flatten(1).unsqueeze(1)

    def copied(self, modality: str, perturbation: Tensor, x: Tensor) -> Tensor:
        """Return what all steps and samples of `x` are moved by, in its shape: what their segment is."""
        if modality == "visual":
            return perturbation[torch.arange(len(x), device=x.device)[:, None], self.segments]
        steps, length = self.segments.shape[1], x.shape[-1]
        place = torch.arange(length, device=x.device)
        step = ((place + 1) * steps - 1) // length
        within = (place - step * length // steps).clamp_max(perturbation.shape[-1] - 1)
        return perturbation[torch.arange(len(x), device=x.device)[:, None], self.segments[:, step], within].unsqueeze(1)

    @property
    def _clips(self) -> Tensor:
        return torch.arange(len(self.sampled), device=self.sampled.device)[:, None]

    def _samples(self, length: int) -> Tensor:
        """Return the places of the sampled steps' samples, (N, K, length // steps)."""
        steps = self.segments.shape[1]
        return (self.sampled * length // steps)[:, :, None] + torch.arange(length // steps, device=self.sampled.device)
