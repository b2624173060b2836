"""Fusion `sum`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion
from avrobust.models.pooling import pooled


class Sum(Fusion):
    """f_a + f_v."""

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return pooled(features["audio"]) + pooled(features["visual"])
