"""Audio-guided attention over a frame's positions: Tian & Xu (CVPR 2021), section 4.5.

A net with one of these fusions learns to localise what sounds from class labels alone. Its frame encoder leaves its
map unpooled; the features are {"audio": (N, D), "visual": (N, D, h, w)}.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Features = Mapping[str, Tensor]


class AttendedConcat(nn.Module):
    """[sum_i w_i f_v^i; f_a] with w = softmax over the positions i of f_a^T f_v^i, the logits unscaled as printed.

    It is `avrobust.models.fusions.Concat` with the attended visual feature in the place of the pooled one.
    """

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = 2 * features

    def attention(self, features: Features) -> Tensor:
        """Return the weights of the positions, (N, h, w), non-negative; each clip's sum to 1."""
        return _softmax_over_positions(_similarities(features))

    def forward(self, features: Features) -> Tensor:
        attended = torch.einsum("nhw,ndhw->nd", self.attention(features), features["visual"])
        return torch.cat([attended, features["audio"]], dim=-1)


class ScaledAttendedConcat(AttendedConcat):
    """`AttendedConcat` with the logits divided by sqrt(D), as in Vaswani et al. (NeurIPS 2017).

    For features so long that the unscaled softmax puts all its weight on one position and stops learning.
    """

    def attention(self, features: Features) -> Tensor:
        """Return the weights of the positions, (N, h, w), non-negative; each clip's sum to 1."""
        return _softmax_over_positions(_similarities(features) / features["audio"].shape[1] ** 0.5)


def _similarities(features: Features) -> Tensor:
    return torch.einsum("nd,ndhw->nhw", features["audio"], features["visual"])


def _softmax_over_positions(logits: Tensor) -> Tensor:
    return logits.flatten(1).softmax(dim=1).view_as(logits)
