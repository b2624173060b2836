"""Audio-guided attention over a frame's positions: Tian & Xu (CVPR 2021), section 4.5.

A net with this fusion learns to localise what sounds from class labels alone. Its frame encoder leaves its map
unpooled; the features are {"audio": (N, D), "visual": (N, D, h, w)}.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from avrobust.models.fusions.fusion import Fusion

Features = Mapping[str, Tensor]


class AttendedConcat(Fusion):
    """[sum_i w_i f_v^i; f_a] with w = softmax over the positions i of f_a^T f_v^i, the logits unscaled as printed.

    It is `avrobust.models.fusions.concat.Concat` with the attended visual feature in the place of the pooled one.
    """

    times = 2

    def attention_logits(self, features: Features) -> Tensor:
        """Return f_a^T f_v^i at each position, (N, h, w)."""
        return torch.einsum("nd,ndhw->nhw", features["audio"], features["visual"])

    def attention(self, features: Features) -> Tensor:
        """Return the weights of the positions, (N, h, w), non-negative; each clip's sum to 1."""
        logits = self.attention_logits(features)
        return logits.flatten(1).softmax(dim=1).view_as(logits)

    def forward(self, features: Features) -> Tensor:
        attended = torch.einsum("nhw,ndhw->nd", self.attention(features), features["visual"])
        return torch.cat([attended, features["audio"]], dim=-1)
