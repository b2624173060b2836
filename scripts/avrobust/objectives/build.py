"""From a variant's description to its objective."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from avrobust.lazy import load
from avrobust.objectives.registry import OBJECTIVES


@dataclass(frozen=True)
class ObjectiveSpec:
    """A name of `avrobust.objectives.registry` and the keyword arguments of what it stands for."""

    name: str = "cross_entropy"
    options: Mapping = field(default_factory=dict)


def build_objective(spec: ObjectiveSpec, dimensions: Mapping[str, int], classes: int) -> nn.Module:
    """Return a module (features, logits, labels) -> (N,), one number per clip.

    `dimensions`: modality -> size of its feature. Weights, if there are any, come from torch's global generator; such
    an objective has `parameter_groups()`, which are optimised beside the net's.
    """
    return load(OBJECTIVES, spec.name)(dimensions, classes, **spec.options)
