"""Fusion `mid_fusion`: g(x_A) + h(x_V) side by side, then one linear map; Li et al. (ICASSP 2022), section 3.2."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from avrobust.models.log_mel import averaging_matrix


class MidFusion(nn.Module):
    """Linear([f_a; f_v]) of each step of the video, of (N, Ta, D) and (N, Tv, D): (N, Tv, D).

    The sound's steps are averaged to as many as the video has. The released class adds a linear map of each modality,
    which is the same function; its name there is late fusion.
    """

    modalities: ClassVar[tuple[str, ...]] = ("audio", "visual")

    def __init__(self, features: int):
        super().__init__()
        self.linear = nn.Linear(2 * features, features)
        self.out_features = features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return self.linear(side_by_side(features["audio"], features["visual"]))


def side_by_side(audio: Tensor, visual: Tensor) -> Tensor:
    """Return (N, Tv, Da + Dv) of (N, Ta, Da) and (N, Tv, Dv), the sound averaged over the steps of each of the video's.

    Raises:
        ValueError: the sound has fewer steps than the video.
    """
    average = averaging_matrix(audio.shape[1], visual.shape[1], audio.device).to(audio.dtype)
    return torch.cat([(audio.transpose(1, 2) @ average).transpose(1, 2), visual], dim=2)
