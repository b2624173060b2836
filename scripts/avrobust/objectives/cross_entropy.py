"""Cross-entropy: Tian & Xu (CVPR 2021), section 3.2."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each clip, (N,), in nats, from logits (N, C) and labels (N,) int64.

    `features` are part of every objective's signature, because defended losses look at them.
    """
    return F.cross_entropy(logits, labels, reduction="none")
