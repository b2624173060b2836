"""From a variant's description to a net."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from torch import nn

from avrobust.defences.registry import DEFENCES
from avrobust.foreign import first_line
from avrobust.keyed import seed_of
from avrobust.lazy import built, load
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import AUDIO_ENCODERS, FUSIONS, HEADS, VISUAL_ENCODERS
from avrobust.models.task import TASKS
from avrobust.program import UserError


@dataclass(frozen=True)
class Part:
    """A name of a registry and the keyword arguments of what it stands for."""

    name: str
    options: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """What a net is made of; the names are those of `avrobust.models.registry` and `avrobust.defences.registry`.

    `audio` and `visual` are the encoders, None where the net has none. `defence` is what every feature passes, the same
    for each modality, None for nothing. Each part may be given as a mapping of name and options, or as a name alone.

    `task`: `single` where a clip is of one class, `multiple` where it may be of several.

    Raises:
        ValueError: an unknown task.
    """

    fusion: Part
    audio: Part | None = None
    visual: Part | None = None
    head: Part = Part("linear")
    defence: Part | None = None
    task: str = "single"

    def __post_init__(self):
        for name in PARTS:
            given = getattr(self, name)
            part = Part(given) if isinstance(given, str) else Part(**given) if isinstance(given, Mapping) else given
            object.__setattr__(self, name, part)
        if self.task not in TASKS:
            raise ValueError(f"a task is one of {', '.join(TASKS)}, not {self.task!r}")


PARTS = tuple(one.name for one in fields(ModelSpec) if one.name != "task")


def build(spec: ModelSpec, classes: int, seed: int | None = None) -> LateFusion:
    """Return an untrained net with `classes` logits, its weights drawn from torch's global generator.

    `seed`: each part begins with the generator seeded by it and the part's name, so that another head leaves the
    encoders' weights as they are. Without it the generator goes on from where it is.

    Raises:
        UserError: a part has no such name or option.
        ValueError: the encoders are not those that the fusion takes, or their features differ in size.
    """

    def made(name: str, table: Mapping[str, str], part: Part, *sizes: object) -> nn.Module:
        if seed is not None:
            torch.manual_seed(seed_of(seed, name))
        try:
            return built(table, vars(part), *sizes)
        except ValueError as error:
            raise UserError(f"{part.name}: {first_line(error)}") from error

    encoders: dict[str, nn.Module] = {}
    if spec.audio:
        encoders["audio"] = made("audio", AUDIO_ENCODERS, spec.audio)
    if spec.visual:
        encoders["visual"] = made("visual", VISUAL_ENCODERS, spec.visual)
    modalities = load(FUSIONS, spec.fusion.name).modalities
    if set(encoders) != set(modalities):
        raise ValueError(f"fusion {spec.fusion.name} takes {modalities}, the net has {tuple(encoders)}")
    sizes = {name: encoder.out_features for name, encoder in encoders.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"features of different sizes, {sizes}; give one encoder the other's size as `projection`")
    features = next(iter(sizes.values()))
    defences = {}
    if spec.defence:
        defences = {name: made(f"defence.{name}", DEFENCES, spec.defence, size) for name, size in sizes.items()}
    fusion = made("fusion", FUSIONS, spec.fusion, features)
    head = made("head", HEADS, spec.head, fusion.out_features, classes, spec.task)
    if getattr(head, "side_by_side", False) and fusion.out_features != 2 * features:
        raise UserError(
            f"{spec.head.name} takes both features side by side; give fusion concat, not {spec.fusion.name}"
        )
    net = LateFusion(encoders, fusion, head, defences)
    net.task = spec.task
    return net
