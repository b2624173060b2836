"""Fusion `visual_only`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor, nn


class VisualOnly(nn.Module):
    """f_v: the unimodal visual net."""

    modalities = ("visual",)

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["visual"]
