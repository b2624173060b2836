"""From a variant's description to a net."""

from dataclasses import dataclass

from torch import nn

from avrobust.lazy import load
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import AUDIO_ENCODERS, FUSIONS, VISUAL_ENCODERS


@dataclass(frozen=True)
class ModelSpec:
    """What a net is made of; every name is one of `avrobust.models.registry`.

    `audio` and `visual` name the encoders, None where the net has none; `width` multiplies all channel
    counts; `visual_pooling` is a choice of the frame encoder.
    """

    fusion: str
    audio: str | None = None
    visual: str | None = None
    width: float = 1.0
    visual_pooling: str = "average"


def build(spec: ModelSpec, classes: int) -> LateFusion:
    """Return an untrained net with `classes` logits. Its weights come from torch's global generator.

    Raises:
        ValueError: the encoders are not those that the fusion takes.
    """
    encoders: dict[str, nn.Module] = {}
    if spec.audio:
        encoders["audio"] = load(AUDIO_ENCODERS, spec.audio)(width=spec.width)
    if spec.visual:
        encoders["visual"] = load(VISUAL_ENCODERS, spec.visual)(width=spec.width, pooling=spec.visual_pooling)
    fusion = load(FUSIONS, spec.fusion)
    if set(encoders) != set(fusion.modalities):
        raise ValueError(f"fusion {spec.fusion} takes {fusion.modalities}, the net has {tuple(encoders)}")
    features = next(iter(encoders.values())).out_features
    return LateFusion(encoders, fusion(features), classes)
