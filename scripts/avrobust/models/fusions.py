"""How the features of the modalities become one feature: Tian & Xu (CVPR 2021), appendix A.4.

Every fusion takes `features`, a mapping from modality to (N, D), and returns (N, `out_features`).
`modalities` names what it uses; a net has no encoder for anything else.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Features = Mapping[str, Tensor]


class AudioOnly(nn.Module):
    """f_a: the unimodal audio net."""

    modalities = ("audio",)

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Features) -> Tensor:
        return features["audio"]


class VisualOnly(nn.Module):
    """f_v: the unimodal visual net."""

    modalities = ("visual",)

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Features) -> Tensor:
        return features["visual"]


class Sum(nn.Module):
    """f_a + f_v."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Features) -> Tensor:
        return features["audio"] + features["visual"]


class Concat(nn.Module):
    """[f_v; f_a], the visual feature first as in the released code (the paper prints [f_a; f_v])."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = 2 * features

    def forward(self, features: Features) -> Tensor:
        return torch.cat([features["visual"], features["audio"]], dim=-1)


class FiLM(nn.Module):
    """alpha(f_a) * f_v + f_a, alpha one fully connected layer."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.alpha = nn.Linear(features, features)
        self.out_features = features

    def forward(self, features: Features) -> Tensor:
        return self.alpha(features["audio"]) * features["visual"] + features["audio"]


class GatedSum(nn.Module):
    """sigmoid(f_a) * f_v + sigmoid(f_v) * f_a: appendix equations 1 and 2, summed."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = features

    def forward(self, features: Features) -> Tensor:
        audio, visual = features["audio"], features["visual"]
        return audio.sigmoid() * visual + visual.sigmoid() * audio


class GatedConcat(nn.Module):
    """[sigmoid(f_a) * f_v; sigmoid(f_v) * f_a]: appendix equations 1 and 2, concatenated."""

    modalities = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.out_features = 2 * features

    def forward(self, features: Features) -> Tensor:
        audio, visual = features["audio"], features["visual"]
        return torch.cat([audio.sigmoid() * visual, visual.sigmoid() * audio], dim=-1)
