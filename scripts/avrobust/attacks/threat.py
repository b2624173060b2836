"""An attack with what it knows: which net it takes gradients of, and which objective it maximises there."""

from dataclasses import dataclass

from torch import nn

from avrobust.attacks.loop import Attack
from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import load
from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.build import ObjectiveSpec, build_objective

TRAINING_OBJECTIVE = "training"


@dataclass(frozen=True)
class AttackSpec:
    """An attack as the paper's file describes it.

    `update`: a name of `avrobust.attacks.registry`. `objective`: `training` for what the attacked net was trained
    with, as released, or a name of `avrobust.objectives.registry`. `source`, the net whose gradients are taken:
    `victim`; `undefended`, the victim's own weights without what its features pass in a defence; `surrogate`, another
    net, whose adversarial clips are transferred.
    """

    update: str
    objective: str = TRAINING_OBJECTIVE
    source: str = "victim"


@dataclass(frozen=True)
class Threat:
    """An attack ready to run: `model` gives the gradients of `objective`."""

    attack: Attack
    model: LateFusion
    objective: nn.Module


def bind(spec: AttackSpec, victim: Trained, surrogate: Trained | None = None) -> Threat:
    """Return the attack on `victim`; `surrogate` is needed where the spec names it as source.

    Raises:
        ValueError: the source is unknown, or the surrogate is missing or superfluous.
    """
    if (spec.source == "surrogate") != (surrogate is not None):
        raise ValueError(f"source {spec.source} {'needs a' if surrogate is None else 'takes no'} surrogate")
    if spec.source == "surrogate":
        source = surrogate
    elif spec.source == "undefended":
        source = victim._replace(model=victim.model.without_defences())
    elif spec.source == "victim":
        source = victim
    else:
        raise ValueError(f"source is victim, undefended or surrogate, not {spec.source!r}")
    objective = source.objective
    if spec.objective != TRAINING_OBJECTIVE:
        objective = build_objective(ObjectiveSpec(spec.objective), source.model.dimensions, len(victim.classes))
    return Threat(load(ATTACKS, spec.update), source.model, objective)
