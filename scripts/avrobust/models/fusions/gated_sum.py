"""Fusion `gated_sum`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion
from avrobust.models.pooling import pooled


class GatedSum(Fusion):
    """sigmoid(f_a) * f_v + sigmoid(f_v) * f_a: appendix equations 1 and 2, summed."""

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        audio, visual = pooled(features["audio"]), pooled(features["visual"])
        return audio.sigmoid() * visual + visual.sigmoid() * audio
