"""Fusion `visual_only`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class VisualOnly(Fusion):
    """f_v: the unimodal visual net."""

    modalities = ("visual",)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["visual"]
