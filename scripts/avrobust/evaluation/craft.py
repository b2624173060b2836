"""Adversarial clips: what an attack makes of a batch under each condition, once for conditions that allow the same."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Inputs
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.start import Start
from avrobust.spec.conditions import Condition


@dataclass(frozen=True)
class Crafted:
    """Inputs (modality -> (N, ...)) under `budgets`, for `conditions` that are alike."""

    conditions: tuple[Condition, ...]
    inputs: Inputs
    budgets: Mapping[str, Budget]


def craft(start: Start, attack: Attack, conditions: Iterable[Condition], budgets: Budgets) -> Iterator[Crafted]:
    """Yield what `attack` makes of the batch of `start`; equal budgets of any name are attacked once.

    Raises:
        RuntimeError: an input left its ball or its valid range although the attack promises to keep it, or a modality
            that is not attacked changed. No row of such a batch must ever be stored.
    """
    alike: dict[str, list[Condition]] = {}
    for condition in conditions:
        given = [budgets.given(condition), condition.steps]
        alike.setdefault(json.dumps(given, sort_keys=True), []).append(condition)
    for group in alike.values():
        first = group[0]
        allowed = budgets.under(first, start.inputs)
        made = start.perturbed(allowed, replace(attack, steps=first.steps) if first.steps else attack)
        budgets.check_promises(attack, start.inputs, made, allowed, first)
        yield Crafted(tuple(group), made, allowed)
