"""Fusion `gated_concat`: Tian & Xu (CVPR 2021), appendix A.4."""

import torch
from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class GatedConcat(Fusion):
    """[sigmoid(f_a) * f_v; sigmoid(f_v) * f_a]: appendix equations 1 and 2, concatenated."""

    times = 2

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        return torch.cat([audio.sigmoid() * visual, visual.sigmoid() * audio], dim=-1)
