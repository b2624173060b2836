"""Cross-entropy: Tian & Xu (CVPR 2021), section 3.2."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each clip, (N,), of logits (N, C); of M nets', (N, M, C), the mean of theirs."""
    if logits.dim() == 2:
        return F.cross_entropy(logits, labels, reduction="none")
    of_nets = labels[:, None].expand(-1, logits.shape[1])
    return F.cross_entropy(logits.transpose(1, 2), of_nets, reduction="none").mean(dim=1)


class CrossEntropy(nn.Module):
    """The cross-entropy of each clip, in nats."""

    takes_nets = True

    def __init__(self, dimensions: Mapping[str, int], classes: int):
        super().__init__()

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N,) int64; `features` are there for losses that look at them."""
        return cross_entropy(logits, labels)
