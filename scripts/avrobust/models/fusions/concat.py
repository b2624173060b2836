"""Fusion `concat`: Tian & Xu (CVPR 2021), appendix A.4."""

import torch
from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class Concat(Fusion):
    """[f_v; f_a], the visual feature first as in the released code (the paper prints [f_a; f_v])."""

    times = 2

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        return torch.cat([visual, audio], dim=-1)
