"""What MIG lowers (Ma et al., ICCV 2023): the probability of a clip's own class."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class MinusProbability(nn.Module):
    """Minus the softmax of the clip's own logit: from -1 to 0."""

    needs_one_label = True

    def __init__(self, dimensions: Mapping[str, int], classes: int):
        super().__init__()

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N,) int64."""
        return -F.softmax(logits, dim=1).gather(1, labels[:, None]).squeeze(1)
