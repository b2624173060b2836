"""One net under one attack, looked into: what becomes of its features under each condition, and scores of that."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

from avrobust.attacks.loss import Inputs, Loss
from avrobust.attacks.threat import Threat
from avrobust.data.batches import PARTNER, Batch, inputs_of
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import craft
from avrobust.evaluation.memory import within_memory
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.spec.conditions import CLEAN, Condition

Seen = TypeVar("Seen")


def looked_into(
    model: LateFusion,
    threat: Threat,
    batches: Iterable[Batch],
    budgets: Budgets,
    conditions: Iterable[Condition],
    device: torch.device,
    look: Callable[[Inputs, Inputs], Seen],
) -> Iterator[tuple[Batch, dict[Condition, Seen]]]:
    """Yield every batch, or part of one, with what `look` makes of it under each condition, clean first.

    `look` is given the inputs, attacked by `threat`, and the features that `model` makes of them.

    Raises:
        RuntimeError: see `avrobust.evaluation.craft.craft`.
    """
    conditions = list(dict.fromkeys([CLEAN, *conditions]))

    def looked(batch: Batch) -> tuple[Batch, dict[Condition, Seen]]:
        inputs, labels = inputs_of(batch, device), batch["label"].to(device)
        features = {name: model.encode(name, inputs[name]) for name in model.modalities}
        partner = inputs_of(batch, device, PARTNER)
        own = loss = Loss(model, threat.objective, inputs, labels, features, partner)
        if threat.model is not model:
            loss = Loss(threat.model, threat.objective, inputs, labels, partner=partner)
        seen: dict[Condition, Seen] = {}
        for crafted in craft(threat, loss, batch["clip_id"], conditions, budgets):
            seen |= dict.fromkeys(crafted.conditions, look(crafted.inputs, own.encoded(crafted.inputs)))
        return batch, {condition: seen[condition] for condition in conditions}

    with evaluating(model), evaluating(threat.model), torch.no_grad():
        yield from within_memory(looked, batches, threat.clips_together(model))


def add_scores(
    columns: dict[str, list],
    clip_ids: Sequence[str],
    labels: Sequence[int],
    condition: Condition,
    measure: str,
    values: Sequence[float],
) -> None:
    """Append what each clip has got in a measure to the columns of `avrobust.metrics.scores.SCHEMA`."""
    same = {"modality": condition.modality, "budget": condition.budget, "measure": measure}
    more = {"clip_id": clip_ids, "label": labels, "value": values}
    for name, part in (more | {name: [value] * len(clip_ids) for name, value in same.items()}).items():
        columns.setdefault(name, []).extend(part)
