"""Momentum, which several attacks share."""

import torch
from torch import Tensor


class Momentum:
    """MI-FGSM: the accumulated gradients, each divided by its own clip's norm (Dong et al., CVPR 2018, equation 6).

    `norm`: `l1` as in the paper, or `mean`, the mean of the absolute values, as in the authors' code. The sign of the
    accumulated gradients is the same; how far a look-ahead goes is not. A clip whose gradient is zero keeps its
    momentum: 0 / 0 would make it NaN, and the sign of NaN is 0 for ever.
    """

    def __init__(self, decay: float = 1.0, norm: str = "l1"):
        self.decay, self.norm = decay, norm
        self.velocity: dict[str, Tensor] = {}

    def __call__(self, modality: str, gradient: Tensor) -> Tensor:
        """Return the accumulated gradients of a modality, (N, ...), with this one."""
        size = gradient.abs().flatten(1)
        size = size.sum(dim=1) if self.norm == "l1" else size.mean(dim=1)
        unit = gradient / size.clamp_min(torch.finfo(gradient.dtype).tiny).view(-1, *[1] * (gradient.dim() - 1))
        velocity = self.velocity
        velocity[modality] = self.decay * velocity[modality] + unit if modality in velocity else unit
        return velocity[modality]
