"""What flows through a net: the shape that each of its parts gives for one clip, and how many parameters it has."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from avrobust.lazy import built
from avrobust.models.build import ModelSpec, build
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import AUDIO_ENCODERS, VISUAL_ENCODERS
from avrobust.views.view import build_view

Shape = tuple[int, ...]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Layer:
    """A module without modules of its own, in the order of calls: `module`, and the shape it gives, clips left out."""

    module: nn.Module
    output: Shape

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return parameters(self.module)


@dataclass(frozen=True)
class Part:
    """A part of a net: its role (`audio encoder`, `fusion`, `head`), its registered name, what goes in and comes out.

    `maps`: the shapes that its convolutions give, each once, and those of its steps, (D, T), where it normalises these.
    `activation`: what makes probabilities of its output.
    """

    role: str
    name: str
    inputs: Sequence[Shape]
    output: Shape
    parameters: int
    maps: Sequence[Shape] = ()
    activation: str = ""


def parts(net: Mapping, classes: int, inputs: Mapping[str, Shape]) -> list[Part]:
    """Return the parts of the net that is built from `net`, JSON of a ModelSpec, in the order in which a clip passes.

    `inputs`: modality -> shape of one clip. A defence is told by its name only; it leaves shapes as they are.
    """
    spec = ModelSpec(**deepcopy(dict(net)))
    model, features, found = build(replace(spec, defence=None), classes).eval(), {}, []
    for modality in model.modalities:
        given, encoder = torch.zeros(1, *inputs[modality]), model.encoders[modality]
        passed = layers(encoder, given)
        maps = dict.fromkeys(
            layer.output if isinstance(layer.module, CONVOLUTIONS) else layer.output[::-1]
            for layer in passed
            if isinstance(layer.module, (*CONVOLUTIONS, nn.LayerNorm))
        )
        features[modality] = _run(encoder, given)
        shape = _shape(features[modality])
        name = getattr(spec, modality).name
        found.append(Part(f"{modality} encoder", name, [inputs[modality]], shape, parameters(encoder), [*maps]))
        if spec.defence:
            found.append(Part(f"{modality} defence", spec.defence.name, [shape], shape, 0))
    fused = _run(model.fusion, features)
    logits = _run(model.classifier, fused)
    shapes = [_shape(feature) for feature in features.values()]
    found.append(Part("fusion", spec.fusion.name, shapes, _shape(fused), parameters(model.fusion)))
    head = spec.head.name, [_shape(fused)], _shape(logits), parameters(model.classifier)
    found.append(Part("head", *head, activation={"single": "softmax", "multiple": "sigmoid"}[spec.task]))
    return found


def extractor_parts(extractor: Mapping, rates: Mapping[str, int], modalities: Collection[str]) -> list[Part]:
    """Return what makes features of clips, the encoders of an extractor: of each of `modalities`."""
    inputs, found = shapes_of_inputs(extractor["view"], rates), []
    for modality, table in (("audio", AUDIO_ENCODERS), ("visual", VISUAL_ENCODERS)):
        if modality in modalities:
            told = {part: extractor[modality].get(part, {}) for part in ("name", "options")}
            encoder = built(table, told).eval()
            shape = _shape(_run(encoder, torch.zeros(1, *inputs[modality])))
            found.append(Part(f"{modality} extractor", told["name"], [inputs[modality]], shape, parameters(encoder)))
    return found


def encoder_of(net: Mapping, modality: str, classes: int) -> nn.Module:
    """Return the encoder of a modality, in evaluation mode."""
    model: LateFusion = build(replace(ModelSpec(**deepcopy(dict(net))), defence=None), classes)
    return model.encoders[modality].eval()


def layers(module: nn.Module, given: Tensor) -> list[Layer]:
    """Return the layers of `module` that `given`, one clip, passes."""
    found: list[Layer] = []
    leaves = [leaf for leaf in module.modules() if not any(leaf.children())]
    hooks = [
        leaf.register_forward_hook(lambda leaf, _, output: found.append(Layer(leaf, _shape(output)))) for leaf in leaves
    ]
    _run(module, given)
    for hook in hooks:
        hook.remove()
    return found


def full_width(net: Mapping) -> dict:
    """Return the same net without the `width` of any part."""
    if isinstance(net, Mapping):
        return {name: full_width(value) for name, value in net.items() if name != "width"}
    return net


def shapes_of_inputs(view: Mapping, rates: Mapping[str, int]) -> dict[str, Shape]:
    """Return modality -> the shape of a clip's input; `rates` are the `audio_rate` and `frame_rate` of its store."""
    return {name: one.shape for name, one in build_view(view).inputs(SimpleNamespace(**rates)).items()}


def parameters(module: nn.Module) -> int:
    """Return how many numbers of a module are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def plain(shape: Shape) -> str:
    """Return a shape for a program, 8x32x32."""
    return "x".join(map(str, shape))


def words(shape: Shape) -> str:
    """Return a shape for a reader, 8×32×32."""
    return "×".join(f"{size:,}" for size in shape)


def _run(module: nn.Module, given: Tensor | Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return module(given)


def _shape(output: Tensor) -> Shape:
    return tuple(output.shape[1:])
