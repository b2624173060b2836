"""From a variant's description to a net."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from avrobust.defences.registry import DEFENCES
from avrobust.lazy import load
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import AUDIO_ENCODERS, FUSIONS, VISUAL_ENCODERS


@dataclass(frozen=True)
class ModelSpec:
    """What a net is made of; every name is one of `avrobust.models.registry` or `avrobust.defences.registry`.

    `audio` and `visual` name the encoders, None where the net has none; `width` multiplies all channel
    counts; `visual_pooling` and `visual_stride` are choices of the frame encoder. `defence` names what every feature
    passes, None for nothing; `defence_options` are its keyword arguments, the same for each modality.
    """

    fusion: str
    audio: str | None = None
    visual: str | None = None
    width: float = 1.0
    visual_pooling: str = "average"
    visual_stride: int = 32
    defence: str | None = None
    defence_options: Mapping = field(default_factory=dict)


def build(spec: ModelSpec, classes: int) -> LateFusion:
    """Return an untrained net with `classes` logits. Its weights come from torch's global generator.

    Raises:
        ValueError: the encoders are not those that the fusion takes.
    """
    encoders: dict[str, nn.Module] = {}
    if spec.audio:
        encoders["audio"] = load(AUDIO_ENCODERS, spec.audio)(width=spec.width)
    if spec.visual:
        encoders["visual"] = load(VISUAL_ENCODERS, spec.visual)(
            width=spec.width, pooling=spec.visual_pooling, stride=spec.visual_stride
        )
    fusion = load(FUSIONS, spec.fusion)
    if set(encoders) != set(fusion.modalities):
        raise ValueError(f"fusion {spec.fusion} takes {fusion.modalities}, the net has {tuple(encoders)}")
    features = next(iter(encoders.values())).out_features
    defences = {}
    if spec.defence:
        kind = load(DEFENCES, spec.defence)
        defences = {name: kind(encoder.out_features, **spec.defence_options) for name, encoder in encoders.items()}
    return LateFusion(encoders, fusion(features), classes, defences)
