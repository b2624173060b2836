"""Adversarial clips: what an attack makes of a batch under each condition, once for conditions that allow the same."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Inputs, Loss
from avrobust.attacks.threat import Threat
from avrobust.evaluation.budgets import Budgets
from avrobust.spec.conditions import Condition


@dataclass(frozen=True)
class Crafted:
    """Inputs (modality -> (N, ...)) under `budgets`, for `conditions` that are alike."""

    conditions: tuple[Condition, ...]
    inputs: Inputs
    budgets: Mapping[str, Budget]


def clean_gradients(threat: Threat, loss: Loss, clip_ids: Sequence[str]) -> dict[str, Tensor]:
    """Return the gradients that the attack begins with, of every modality; computed once, at the first call.

    None of an attack that takes no step.
    """
    attack = threat.attack
    if not attack.steps:
        return {}
    return loss.first_gradients(loss.modalities, attack.points, threat.context(clip_ids), attack.random)


def craft(
    threat: Threat, loss: Loss, clip_ids: Sequence[str], conditions: Iterable[Condition], budgets: Budgets
) -> Iterator[Crafted]:
    """Yield what the attack makes of the clips of `loss`, that of the threat's net and objective; equal budgets once.

    Raises:
        UserError: see `Threat.context_under`.
        RuntimeError: an input left its ball or its valid range although the attack promises to keep it, or a modality
            that is not attacked changed, or `loss` is that of another net. No row of such a batch must ever be stored.
    """
    if loss.model is not threat.model:
        raise RuntimeError(f"attack {threat.name}: the gradients are those of another net than its surrogate")
    attack = threat.attack
    clean_gradients(threat, loss, clip_ids)
    alike: dict[str, tuple[dict, list[Condition]]] = {}
    for condition in conditions:
        given = budgets.given(condition)
        key = json.dumps([given, condition.steps], sort_keys=True)
        alike.setdefault(key, (given, []))[1].append(condition)
    # Those of most modalities first: each may then be there for conditions of fewer.
    groups = sorted(alike.values(), key=lambda group: len(group[0]), reverse=True)
    while groups:
        given, group = groups.pop(0)
        first = group[0]
        allowed, in_steps = budgets.under(first, loss.inputs), attack.in_steps(first.steps)
        made = perturb(loss, allowed, in_steps, threat.context_under(first, clip_ids))
        budgets.check_promises(attack, loss.inputs, made, allowed, first)
        yield Crafted(tuple(group), made, allowed)
        if in_steps.takes_modalities_apart:
            parts = [one for one in groups if one[0].items() <= given.items() and one[1][0].steps == first.steps]
            groups = [one for one in groups if one not in parts]
            for part, of_part in parts:
                inputs = {name: made[name] if name in part else clean for name, clean in loss.inputs.items()}
                yield Crafted(tuple(of_part), inputs, {name: allowed[name] for name in part if name in allowed})
