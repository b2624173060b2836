"""Fusion `audio_only`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.fusions.fusion import Fusion


class AudioOnly(Fusion):
    """f_a: the unimodal audio net."""

    modalities = ("audio",)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["audio"]
