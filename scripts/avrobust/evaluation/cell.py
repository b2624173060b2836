"""Cells: one surrogate under one attack each, crafted once and answered by every victim, a row per clip."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pyarrow as pa
import torch

from avrobust.attacks.loss import Inputs
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, inputs_of
from avrobust.evaluation.answer import Asked, answered, unchanged
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import Crafted, craft
from avrobust.evaluation.memory import within_memory
from avrobust.evaluation.start import Start
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.spec.conditions import CLEAN, UNBOUNDED, Condition

# An attack without bounds is tried on so many clips.
UNBOUNDED_CLIPS = 8


@dataclass(frozen=True)
class Cell:
    """`threat`, called `attack`, takes its gradients of `surrogate`; `victims` answer, by name.

    `conditions`: victim -> those that it is asked beside clean clips; one whose budget is `UNBOUNDED` on the first
    `UNBOUNDED_CLIPS` clips alone.
    """

    surrogate: str
    attack: str
    threat: Threat
    victims: Mapping[str, LateFusion]
    conditions: Mapping[str, Sequence[Condition]]

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on."""
        return math.lcm(*(self.threat.clips_together(victim) for victim in self.victims.values()))


@dataclass(frozen=True)
class Part:
    """What came of `clips` clips: their rows in all cells, and of each cell how many have no gradient in a modality."""

    clips: int
    rows: pa.Table
    without_gradient: tuple[int, ...]


def evaluate(
    cells: Sequence[Cell], batches: Iterable[Batch], budgets: Budgets, device: torch.device, before: int = 0
) -> Iterator[Part]:
    """Yield what comes of each batch in every cell, in order: the rows of the clean clips and under every condition.

    `batches`: from `avrobust.data.batches`, the clips after the first `before`. Each batch's clean features and clean
    gradients are computed once and shared: they are the same under every condition, and for every attack of the same
    net and objective. The rows' `loss` is what the attack maximises, whatever net answers. A batch that does not fit
    into memory is cut where no clip's result depends on it: see `Cell.clips_together`, whole multiples of which
    `batches` must hold, all but the last.

    Raises:
        RuntimeError: see `avrobust.evaluation.craft.craft`.
    """

    def attacked(batch: Batch) -> Part:
        asked = Asked(batch, inputs_of(batch, device), batch["label"].to(device))
        features = _remembered(lambda net: {name: net.encode(name, asked.inputs[name]) for name in net.modalities})
        tables, counts, losses = [], [], {}
        for cell in cells:
            start = Start(
                cell.threat, asked.inputs, asked.labels, features(cell.threat.model), batch["clip_id"], losses
            )
            counts.append(_clips_without_gradient(start.gradients))
            tables += _attacked(cell, start, asked, features, budgets, UNBOUNDED_CLIPS - before)
        return Part(len(asked.labels), pa.concat_tables(tables), tuple(counts))

    nets = {id(net): net for cell in cells for net in (cell.threat.model, *cell.victims.values())}
    with ExitStack() as stack:
        for net in nets.values():
            stack.enter_context(evaluating(net))
        stack.enter_context(torch.no_grad())
        for part in within_memory(attacked, batches, clips_together(cells)):
            before += part.clips
            yield part


def clips_together(cells: Iterable[Cell]) -> int:
    """Return the number of clips at whose multiples the batches of all these cells may be cut."""
    return math.lcm(*(cell.clips_together for cell in cells))


def _attacked(
    cell: Cell,
    start: Start,
    asked: Asked,
    features: Callable[[LateFusion], Inputs],
    budgets: Budgets,
    unbounded_clips: int,
) -> Iterator[pa.Table]:
    clean = {name: features(victim) for name, victim in cell.victims.items()}
    yield from _answers(cell, asked, unchanged(asked), clean, budgets)
    everyone = dict.fromkeys(condition for of_victim in cell.conditions.values() for condition in of_victim)
    bounded = [condition for condition in everyone if condition.budget != UNBOUNDED]
    for crafted in craft(start, cell.threat.attack, bounded, budgets):
        yield from _answers(cell, asked, crafted, clean, budgets)
    if len(bounded) < len(everyone) and unbounded_clips > 0:
        few = start.first(unbounded_clips)
        batch = {name: values[:unbounded_clips] for name, values in asked.batch.items()}
        asked = Asked(batch, few.inputs, few.labels)
        clean = {victim: {name: value[:unbounded_clips] for name, value in of.items()} for victim, of in clean.items()}
        for crafted in craft(few, cell.threat.attack, everyone.keys() - bounded, budgets):
            yield from _answers(cell, asked, crafted, clean, budgets)


def _answers(
    cell: Cell, asked: Asked, crafted: Crafted, features: Mapping[str, Inputs], budgets: Budgets
) -> Iterator[pa.Table]:
    """Yield the rows of each victim that is asked one of the conditions of `crafted`."""
    for name, victim in cell.victims.items():
        wanted = {CLEAN, *cell.conditions[name]}
        if conditions := tuple(one for one in crafted.conditions if one in wanted):
            names = {"surrogate": cell.surrogate, "victim": name, "attack": cell.attack}
            made = replace(crafted, conditions=conditions)
            yield answered(names, victim, asked, made, features[name], cell.threat.objective, budgets)


def _clips_without_gradient(gradients: Inputs) -> int:
    zero = [(gradient.flatten(1) == 0).all(dim=1) for gradient in gradients.values()]
    return int(torch.stack(zero).any(dim=0).sum())


def _remembered(encode: Callable[[LateFusion], Inputs]) -> Callable[[LateFusion], Inputs]:
    """Return `encode`, which is asked for each net once."""
    found: dict[int, Inputs] = {}

    def once(net: LateFusion) -> Inputs:
        if id(net) not in found:
            found[id(net)] = encode(net)
        return found[id(net)]

    return once
