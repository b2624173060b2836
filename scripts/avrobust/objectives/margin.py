"""The margin loss of Carlini & Wagner (IEEE S&P 2017), which does not saturate as cross-entropy does."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class Margin(nn.Module):
    """The largest logit of another class less that of the clip's own: above 0 where the clip is not recognised.

    `most`: where it stops to grow, so that an attack is content there; by default nowhere.
    """

    needs_one_label = True

    def __init__(self, dimensions: Mapping[str, int], classes: int, most: float = float("inf")):
        super().__init__()
        self.most = most

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C), C > 1, and labels (N,) int64."""
        own = F.one_hot(labels, logits.shape[1]).bool()
        others = logits.masked_fill(own, float("-inf")).amax(dim=1)
        return (others - logits.where(own, 0).sum(dim=1)).clamp_max(self.most)
