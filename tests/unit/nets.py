"""Small nets and units that the tests share."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import torch
from torch import Tensor, nn

from avrobust.attacks.budget import units
from avrobust.attacks.loop import Attack
from avrobust.attacks.registry import ATTACKS
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.lazy import built, load
from avrobust.metrics.schema import in_order
from avrobust.models import registry
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.fusions.concat import Concat
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.objectives.registry import OBJECTIVES
from avrobust.spec.budgets import named
from avrobust.spec.conditions import Condition
from avrobust.views.view import pixels, waveform

FUSIONS = ("sum", "concat", "film", "gated_sum", "gated_concat")

FORMS = {"audio": waveform(1, 4096), "visual": pixels(3, 32, 32)}
UNITS = units("normalised", FORMS)
CROSS_ENTROPY = CrossEntropy({}, 0)


def build_attack(name: str, options: Mapping | None = None) -> Attack:
    """The attack of a name, with its options."""
    return built(ATTACKS, {"name": name, "options": options or {}})


def build_objective(name: str, dimensions: Mapping[str, int], classes: int, **options: object) -> nn.Module:
    """The objective of a name, with its options."""
    return built(OBJECTIVES, {"name": name, "options": options}, dimensions, classes)


class Flatten(nn.Module):
    """The input itself as the feature: a net of it is linear."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def linear_net(features: int, classes: int, seed: int = 0) -> LateFusion:
    """A linear classifier over a sound and a frame of `features` values each, in float64, evaluation mode."""
    torch.manual_seed(seed)
    head = nn.Linear(2 * features, classes)
    net = LateFusion({"audio": Flatten(), "visual": Flatten()}, Concat(features), head).double()
    nn.init.normal_(net.classifier.weight)
    return net.eval()


def narrow_spec(fusion: str = "concat", width: float = 0.125, defence: Part | None = None, **frame) -> ModelSpec:
    """The paper's net at a part of its width; `frame` are options of the frame encoder."""
    parts = {"audio": Part("conv1d", {"width": width}), "visual": Part("resnet18", {"width": width, **frame})}
    encoders = {name: parts[name] for name in load(registry.FUSIONS, fusion).modalities}
    return ModelSpec(fusion, defence=defence, **encoders)


def narrow_net(fusion: str = "concat", classes: int = 5, seed: int = 0) -> LateFusion:
    """The paper's net at an eighth of its width, in evaluation mode, with a classifier that tells clips apart."""
    torch.manual_seed(seed)
    net = build(narrow_spec(fusion), classes)
    nn.init.normal_(net.classifier.weight)
    return net.eval()


class Bent(nn.Module):
    """A feature (N, 8) of an input of `values` numbers: a layer so steep that its gradients turn within small balls."""

    out_features = 8

    def __init__(self, values: int):
        super().__init__()
        self.layer = nn.Linear(values, 8)

    def forward(self, x: Tensor) -> Tensor:
        return (5 * self.layer(x.flatten(1))).tanh()


def shallow_net(fusion: str = "concat", classes: int = 5, seed: int = 0) -> LateFusion:
    """A net of the inputs of `narrow_net` with a layer for each, for what takes thousands of passes."""
    torch.manual_seed(seed)
    made = load(registry.FUSIONS, fusion)(8)
    encoders = {name: Bent(math.prod(FORMS[name].shape)) for name in made.modalities}
    net = LateFusion(encoders, made, nn.Linear(made.out_features, classes))
    nn.init.normal_(net.classifier.weight)
    return net.eval()


def net_with_memory(group: int = 4, tolerance: float = 0.1, classes: int = 5) -> LateFusion:
    """`narrow_net` with a memory of which every `group` clips stop together, after few iterations or many."""
    torch.manual_seed(1)
    options = {"columns": 24, "mixing": 0.5, "penalty": 0.01, "iterations": 200, "tolerance": tolerance}
    groups = {"training_group": 3, "evaluation_group": group}
    net = build(narrow_spec(defence=Part("feature_memory", options | groups)), classes)
    nn.init.normal_(net.classifier.weight)
    for memory in net.defences.values():
        memory.remember(torch.rand(64, 24), 1.0)
    return net.eval()


class PartsInTime(nn.Module):
    """Features (N, `steps`, 8) of a sound cut into as many parts, or of as many pictures, each part by itself."""

    out_features = 8

    def __init__(self, steps: int, values: int):
        super().__init__()
        self.steps, self.layer = steps, nn.Linear(values, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.reshape(len(x), self.steps, -1)).tanh()


def net_in_time(fusion: str = "concat", classes: int = 5, seed: int = 0, steps: int = 4) -> LateFusion:
    """A small net whose features change in time, of sounds of 256 samples a step and pictures of 8 x 8."""
    torch.manual_seed(seed)
    encoders = {"audio": PartsInTime(steps, 256), "visual": PartsInTime(steps, 3 * 8 * 8)}
    made = load(registry.FUSIONS, fusion)(8)
    return LateFusion(encoders, made, nn.Linear(made.out_features, classes)).eval()


def clips_in_time(count: int, seed: int = 0, steps: int = 4) -> dict[str, Tensor]:
    """Random sounds and pictures for `net_in_time`."""
    flat = clips(count * steps, seed, 256, 8)
    return {
        "audio": flat["audio"].reshape(count, 1, -1),
        "visual": flat["visual"].reshape(count, steps, 3, 8, 8),
    }


def objective_of(attack: Attack, net: LateFusion, classes: int = 5) -> nn.Module:
    """What an attack maximises on a net that was trained by cross-entropy."""
    return attack.objective(net.dimensions, classes) if attack.objective else CROSS_ENTROPY


def partners_of(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For each clip another one, whichever stand beside it: the clip backwards."""
    return {name: x.flip(-1) for name, x in inputs.items()}


def clips(count: int, seed: int = 0, samples: int = 4096, size: int = 32) -> dict[str, Tensor]:
    """Random sounds and frames that touch both ends of their ranges."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "audio": (torch.randn(count, 1, samples, generator=generator) * 0.6).clamp(-1, 1),
        "visual": (torch.rand(count, 3, size, size, generator=generator) * 1.4 - 0.2).clamp(0, 1),
    }


def batch(positions: Tensor, count: int = 8) -> Batch:
    """Clips at these positions of `clips(count)` as a loader gives them, of five classes in turn."""
    inputs = clips(count)
    return {
        "audio": inputs["audio"][positions],
        "visual": (255 * inputs["visual"][positions]).to(torch.uint8),
        "label": positions % 5,
        "clip_id": [f"clip{position:02d}" for position in positions.tolist()],
    }


def batches(size: int, count: int = 6) -> list[Batch]:
    """So many clips in their order, `size` a batch."""
    return [batch(positions, count) for positions in torch.arange(count).split(size)]


def budgets(**told: object) -> Budgets:
    """Budgets as a paper's file tells them, in the shared units."""
    return Budgets(named(told), UNITS)


def attacked_rows(
    threat: Threat,
    batches: Iterable[Batch],
    conditions: Sequence[Condition],
    given: Budgets,
    victim: LateFusion | None = None,
) -> tuple[pa.Table, int]:
    """Return the rows of one victim, the threat's own net where none is given, and how many clips have no gradient."""
    net = victim if victim is not None else threat.model
    cell = Cell("surrogate", "attack", threat, {"victim": net}, {"victim": conditions})
    parts = list(evaluate([cell], batches, given, torch.device("cpu")))
    return in_order([part.rows for part in parts]), sum(part.without_gradient[0] for part in parts)
