"""Fusion `film`: Tian & Xu (CVPR 2021), appendix A.4."""

from torch import Tensor, nn

from avrobust.models.fusions.fusion import Fusion


class FiLM(Fusion):
    """alpha(f_a) * f_v + f_a, alpha one fully connected layer."""

    def __init__(self, features: int):
        super().__init__(features)
        self.alpha = nn.Linear(features, features)

    def fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        return self.alpha(audio) * visual + audio
