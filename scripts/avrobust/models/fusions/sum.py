"""Fusion `sum`: Tian & Xu (CVPR 2021), appendix A.4."""

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class Sum(Fusion):
    """f_a + f_v."""

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        return audio + visual
