"""Fusion `gated_concat`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

import torch
from torch import Tensor

from avrobust.models.fusions.fusion import Fusion
from avrobust.models.pooling import pooled


class GatedConcat(Fusion):
    """[sigmoid(f_a) * f_v; sigmoid(f_v) * f_a]: appendix equations 1 and 2, concatenated."""

    times = 2

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        audio, visual = pooled(features["audio"]), pooled(features["visual"])
        return torch.cat([audio.sigmoid() * visual, visual.sigmoid() * audio], dim=-1)
