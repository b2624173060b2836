"""Fusion `sum`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor, nn

from avrobust.models.pooling import pooled


class Sum(nn.Module):
    """f_a + f_v."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return pooled(features["audio"]) + pooled(features["visual"])
