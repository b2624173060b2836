"""Fusion `concat`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avrobust.models.pooling import pooled


class Concat(nn.Module):
    """[f_v; f_a], the visual feature first as in the released code (the paper prints [f_a; f_v])."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = 2 * features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([pooled(features["visual"]), pooled(features["audio"])], dim=-1)
