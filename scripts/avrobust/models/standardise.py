"""Inputs in units of the deviation that the training clips have."""

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / deviation along the last axis: (..., `size`) -> (..., `size`).

    Mean and deviation are weights that no training moves: those of the training clips, once `take` has given them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def take(self, mean: Tensor, deviation: Tensor) -> None:
        """Take both, (`size`,) each; a value that never varies stays in its own unit.

        Raises:
            ValueError: they are of another size.
        """
        if mean.shape != self.mean.shape or deviation.shape != self.deviation.shape:
            raise ValueError(f"moments of {tuple(mean.shape)} values, but the net takes {len(self.mean)}")
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation
