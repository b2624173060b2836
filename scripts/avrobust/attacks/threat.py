"""An attack with what it knows: which net it takes gradients of, and which objective it maximises there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack
from avrobust.attacks.perturbations import Perturbations, under
from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import built
from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.registry import OBJECTIVES
from avrobust.objectives.told import told
from avrobust.program import UserError
from avrobust.spec.attacks import TRAINING_OBJECTIVE, AttackSpec
from avrobust.spec.conditions import Condition


@dataclass(frozen=True)
class Threat:
    """An attack ready to run: `model` gives the gradients of `objective`; `batch_size` is that of the spec.

    What is drawn at random for a clip depends on `seed` and `name`, see `avrobust.attacks.context.Context`.
    `perturbations`: what was fitted before, for an attack that adds it.
    """

    attack: Attack
    model: LateFusion
    objective: nn.Module
    batch_size: int | None = None
    name: str = ""
    seed: int = 0
    perturbations: Perturbations = field(default_factory=dict)

    def context(self, clip_ids: Sequence[str]) -> Context:
        """Return the context of an attack on these clips."""
        return Context(clip_ids, self.seed, self.name)

    def context_under(self, condition: Condition, clip_ids: Sequence[str]) -> Context:
        """Return the context of an attack on these clips under a condition.

        Raises:
            UserError: the attack adds what is fitted before, and nothing was for this condition.
        """
        context = self.context(clip_ids)
        if not condition.budget or not self.attack.fitted_as(self.name):
            return context
        fitted = under(self.perturbations, condition, self.name)
        return replace(context, condition=str(condition), fitted=fitted)

    def clips_together(self, victim: LateFusion) -> int:
        """Return of how many consecutive clips the result of each depends on; 1 if only on itself.

        All of a batch if the attack mixes them, else what passes the defences of victim and surrogate together. Batches
        may be cut at multiples of it, and nowhere else.
        """
        return self.batch_size or math.lcm(victim.clips_together, self.model.clips_together)


def bind(spec: AttackSpec, surrogate: Trained, name: str = "", seed: int = 0) -> Threat:
    """Return the attack that takes its gradients of `surrogate`.

    `name` and `seed`: of the attack as a paper calls it, and of what it draws at random.

    Raises:
        UserError: the batch size is missing or superfluous, or an option is unknown.
    """
    model = surrogate.model.without_defences() if spec.without_defences else surrogate.model
    attack = built(ATTACKS, {"name": spec.update, "options": spec.options})
    place = model.dimensions, len(surrogate.classes)
    if spec.objective is None and attack.objective is not None:
        objective = attack.objective(*place)
    elif spec.objective in (None, TRAINING_OBJECTIVE):
        objective = surrogate.objective
    else:
        objective = built(OBJECTIVES, spec.objective_part, *place)
    if model.task != "single" and getattr(objective, "needs_one_label", False):
        raise UserError(f"attack {name or spec.update}: {type(objective).__name__} needs one label a clip")
    if getattr(model, "separate", False) and not getattr(objective, "takes_nets", False):
        raise UserError(
            f"attack {name or spec.update}: {type(objective).__name__} is of one net's logits, not of several nets' "
            "beside each other; let their ensemble be `joined` as mean_logits"
        )
    objective = told(objective, model)
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
    return Threat(attack, model, objective, spec.batch_size, name or spec.update, seed)
