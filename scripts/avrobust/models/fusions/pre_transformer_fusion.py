"""Fusion `pre_transformer_fusion`: what the released code of Li et al. (ICASSP 2022) calls mid fusion."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from avrobust.models.transformer import Transformer
from avrobust.program import UserError


class PreTransformerFusion(nn.Module):
    """A transformer over both modalities' steps, of maps that no transformer has seen: (N, Tv, D).

    `together` consecutive steps of the sound, (N, Ta, D) with Ta = `together` * Tv, stand beside a step of the video,
    (N, Tv, D); a linear map with ReLU makes D of them. The encoders are taken without a transformer of their own
    (`passes: 0`). `passes`, `shared`, `heads`, `dropout`: see `avrobust.models.transformer.Transformer`.

    Raises:
        UserError: the sound has another number of steps.
    """

    modalities: ClassVar[tuple[str, ...]] = ("audio", "visual")

    def __init__(
        self,
        features: int,
        together: int = 10,
        passes: int = 2,
        shared: bool = True,
        heads: int = 8,
        dropout: float = 0.75,
    ):
        super().__init__()
        self.together = together
        self.linear = nn.Sequential(nn.Linear((together + 1) * features, features), nn.ReLU())
        self.transformer = Transformer(features, passes, shared, heads, dropout=dropout)
        self.out_features = features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        audio, visual = features["audio"], features["visual"]
        if audio.shape[1] != self.together * visual.shape[1]:
            raise UserError(
                f"pre_transformer_fusion: {audio.shape[1]} steps of sound are not {self.together} for each of "
                f"{visual.shape[1]} of the video; give `together` what they come to"
            )
        beside = audio.reshape(*visual.shape[:2], -1)
        return self.transformer(self.linear(torch.cat([beside, visual], dim=2)))
