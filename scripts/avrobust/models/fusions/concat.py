"""Fusion `concat`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

import torch
from torch import Tensor

from avrobust.models.fusions.fusion import Fusion
from avrobust.models.pooling import pooled


class Concat(Fusion):
    """[f_v; f_a], the visual feature first as in the released code (the paper prints [f_a; f_v])."""

    times = 2

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([pooled(features["visual"]), pooled(features["audio"])], dim=-1)
