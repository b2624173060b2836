"""Fusion `film`: Tian & Xu (CVPR 2021), appendix A.4."""

from collections.abc import Mapping

from torch import Tensor, nn

from avrobust.models.fusions.fusion import Fusion
from avrobust.models.pooling import pooled


class FiLM(Fusion):
    """alpha(f_a) * f_v + f_a, alpha one fully connected layer."""

    def __init__(self, features: int):
        super().__init__(features)
        self.alpha = nn.Linear(features, features)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        audio, visual = pooled(features["audio"]), pooled(features["visual"])
        return self.alpha(audio) * visual + audio
