"""An attack with what it knows: which net it takes gradients of, and which objective it maximises there."""

import math
from dataclasses import dataclass

from torch import nn

from avrobust.attacks.loop import Attack
from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import load
from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.build import ObjectiveSpec, build_objective
from avrobust.program import UserError

TRAINING_OBJECTIVE = "training"


@dataclass(frozen=True)
class AttackSpec:
    """An attack as the paper's file describes it.

    `update`: a name of `avrobust.attacks.registry`. `objective`: `training` for what the attacked net was trained
    with, as released, or a name of `avrobust.objectives.registry`. `source`, the net whose gradients are taken:
    `victim`; `undefended`, the victim's own weights without what its features pass in a defence; `surrogate`, another
    net, whose adversarial clips are transferred. `batch_size`: how many clips an update that mixes them gets at once;
    None for any other.
    """

    update: str
    objective: str = TRAINING_OBJECTIVE
    source: str = "victim"
    batch_size: int | None = None


@dataclass(frozen=True)
class Threat:
    """An attack ready to run: `model` gives the gradients of `objective`; `batch_size` is that of the spec."""

    attack: Attack
    model: LateFusion
    objective: nn.Module
    batch_size: int | None = None

    def clips_together(self, victim: LateFusion) -> int:
        """Return of how many consecutive clips the result of each depends on; 1 if only on itself.

        All of a batch if the attack mixes them, else what passes the defences of victim and source together. Batches
        may be cut at multiples of it, and nowhere else.
        """
        return self.batch_size or math.lcm(victim.clips_together, self.model.clips_together)


def bind(spec: AttackSpec, victim: Trained, surrogate: Trained | None = None) -> Threat:
    """Return the attack on `victim`; `surrogate` is needed where the spec names it as source.

    Raises:
        ValueError: the source is unknown, or the surrogate is missing or superfluous.
        UserError: the batch size is missing or superfluous.
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
    attack = load(ATTACKS, spec.update)
    if attack.mixes_clips and spec.batch_size is None:
        raise UserError(
            f"attack {spec.update}: its result depends on how many clips it takes at a time; give the attack a "
            "`batch_size` in the paper's file, under `attacks`"
        )
    if not attack.mixes_clips and spec.batch_size is not None:
        raise UserError(
            f"attack {spec.update}: batch_size {spec.batch_size} changes nothing, as no clip depends on its batch; "
            "remove it from the paper's file"
        )
    return Threat(attack, source.model, objective, spec.batch_size)
