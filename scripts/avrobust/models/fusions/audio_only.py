"""Fusion `audio_only`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor, nn


class AudioOnly(nn.Module):
    """f_a: the unimodal audio net."""

    modalities = ("audio",)

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["audio"]
