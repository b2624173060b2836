"""Cross-entropy: Tian & Xu (CVPR 2021), section 3.2."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class CrossEntropy(nn.Module):
    """The cross-entropy of each clip, in nats."""

    def __init__(self, dimensions: Mapping[str, int], classes: int):
        super().__init__()

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N,) int64; `features` are there for losses that look at them."""
        return F.cross_entropy(logits, labels, reduction="none")
