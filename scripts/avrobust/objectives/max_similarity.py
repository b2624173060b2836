"""MaxSim, a baseline of Tian & Xu (CVPR 2021), section 4.6."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.objectives.similarity import audio_visual_similarity


class MaxSimilarity(nn.Module):
    """Cross-entropy + `weight` * (1 - cos(f_a, f_v)), per clip: the two features are pulled together."""

    def __init__(self, dimensions: Mapping[str, int], classes: int, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from features (N, D) of both modalities, logits (N, C) and labels (N,) int64."""
        similarity = audio_visual_similarity(features)
        return F.cross_entropy(logits, labels, reduction="none") + self.weight * (1 - similarity)
