"""The objective of a targeted attack: that a clip is taken for a given other class."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.program import UserError


class Targeted(nn.Module):
    """Minus the cross-entropy of the class `shift` places after the clip's own, in nats; 0 follows the last."""

    needs_one_label = True

    def __init__(self, dimensions: Mapping[str, int], classes: int, shift: int = 1):
        super().__init__()
        if shift % classes == 0:
            raise UserError(f"objective targeted: shift {shift} leads from each of {classes} classes to itself")
        self.shift = shift

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N,) int64."""
        return -F.cross_entropy(logits, (labels + self.shift) % logits.shape[1], reduction="none")
