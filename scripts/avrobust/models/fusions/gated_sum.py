"""Fusion `gated_sum`: Tian & Xu (CVPR 2021), appendix A.4."""

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class GatedSum(Fusion):
    """sigmoid(f_a) * f_v + sigmoid(f_v) * f_a: appendix equations 1 and 2, summed."""

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        return audio.sigmoid() * visual + visual.sigmoid() * audio
