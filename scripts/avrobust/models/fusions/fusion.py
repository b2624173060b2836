"""What most fusions share: they take both modalities and hand on as many features."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from avrobust.models.pooling import pooled


class Fusion(nn.Module):
    """Features {modality: (N, `features`), ...} -> (N, `out_features`), which are `times` as many.

    A child says by `fused` what becomes of both, each the mean over its steps if it has any, or by `forward` of all.
    """

    modalities: ClassVar[tuple[str, ...]] = ("audio", "visual")
    times = 1

    def __init__(self, features: int):
        super().__init__()
        self.out_features = self.times * features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return self.fused(pooled(features["audio"]), pooled(features["visual"]))

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        """Return (N, `out_features`) from two (N, `features`)."""
        raise NotImplementedError
