"""Cells: one surrogate under one attack each, crafted once and answered by every victim, a row per clip."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain

import pyarrow as pa
import torch

from avrobust.attacks.loss import Inputs, Loss
from avrobust.attacks.threat import Threat
from avrobust.data.batches import PARTNER, Batch, inputs_of
from avrobust.evaluation.answer import answered, norms_of
from avrobust.evaluation.as_files import AsFiles
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import Crafted, clean_gradients, craft
from avrobust.evaluation.memory import within_memory
from avrobust.evaluation.terms import TERM_CLIPS, Shares, term_shares
from avrobust.metrics.schema import FLOAT, joined, schema_of
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.runtime import KeptMemory
from avrobust.spec.conditions import CLEAN, UNBOUNDED, Condition

# An attack without bounds is tried on so many clips.
UNBOUNDED_CLIPS = 8


@dataclass(frozen=True)
class Cell:
    """`threat`, called `attack`, takes its gradients of `surrogate`; `victims` answer, by name.

    `conditions`: victim -> those that it is asked beside clean clips; one whose budget is `UNBOUNDED` on the first
    `UNBOUNDED_CLIPS` clips alone. `as_files`: as what else than floats they are shown the others, if at all, but for
    the victims `floats`. `ranked`: whether rows hold every logit, though clips have one label.
    """

    surrogate: str
    attack: str
    threat: Threat
    victims: Mapping[str, LateFusion]
    conditions: Mapping[str, Sequence[Condition]]
    as_files: AsFiles | None = None
    floats: Collection[str] = ()
    ranked: bool = False

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on."""
        return math.lcm(*(self.threat.clips_together(victim) for victim in self.victims.values()))


@dataclass(frozen=True)
class Part:
    """What came of `clips` clips: their rows in all cells.

    Of each cell how many have no gradient in a modality, and the shares of the terms of its objective, if it has any,
    for those of its first clips that are here.
    """

    clips: int
    rows: pa.Table
    without_gradient: tuple[int, ...]
    shares: tuple[Shares, ...]


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
        inputs, labels = inputs_of(batch, device), batch["label"].to(device)
        features = cache(lambda net: {name: net.encode(name, inputs[name]) for name in net.modalities})
        partner = inputs_of(batch, device, PARTNER)
        loss = cache(lambda net, objective: Loss(net, objective, inputs, labels, features(net), partner))
        tables, counts, shares = [], [], []
        for cell in cells:
            own = loss(cell.threat.model, cell.threat.objective)
            victims = {name: loss(net, cell.threat.objective) for name, net in cell.victims.items()}
            counts.append(_clips_without_gradient(clean_gradients(cell.threat, own, batch["clip_id"])))
            shares.append(term_shares(cell.threat, own, batch["clip_id"], TERM_CLIPS - before))
            tables += _rows(cell, own, victims, batch["clip_id"], budgets, UNBOUNDED_CLIPS - before)
            kept.after_work()
        return Part(len(labels), joined(tables), tuple(counts), tuple(shares))

    kept = KeptMemory()
    nets = dict.fromkeys(net for cell in cells for net in (cell.threat.model, *cell.victims.values()))
    with ExitStack() as stack:
        for net in nets:
            stack.enter_context(evaluating(net))
        stack.enter_context(torch.no_grad())
        for part in within_memory(attacked, batches, clips_together(cells)):
            before += part.clips
            yield part


def clips_together(cells: Iterable[Cell]) -> int:
    """Return the number of clips at whose multiples the batches of all these cells may be cut."""
    return math.lcm(*(cell.clips_together for cell in cells))


def _rows(
    cell: Cell, own: Loss, victims: Mapping[str, Loss], clip_ids: Sequence[str], budgets: Budgets, unbounded_clips: int
) -> Iterator[pa.Table]:
    """Yield the rows of a cell; `own`: the surrogate's loss, `victims`: name -> the victim's, of the same inputs."""
    everyone = dict.fromkeys([CLEAN, *chain(*cell.conditions.values())])
    bounded = [condition for condition in everyone if condition.budget != UNBOUNDED]
    crafted = craft(cell.threat, own, clip_ids, bounded, budgets)
    yield from _answers(cell, own.inputs, victims, clip_ids, crafted, budgets)
    if len(bounded) < len(everyone) and unbounded_clips > 0:
        few, clip_ids = {name: x[:unbounded_clips] for name, x in own.inputs.items()}, clip_ids[:unbounded_clips]
        crafted = craft(cell.threat, own.first(few), clip_ids, everyone.keys() - bounded, budgets)
        firsts = {name: victim.first(few) for name, victim in victims.items()}
        yield from _answers(replace(cell, as_files=None), few, firsts, clip_ids, crafted, budgets)


def _answers(
    cell: Cell,
    clean: Inputs,
    victims: Mapping[str, Loss],
    clip_ids: Sequence[str],
    crafted: Iterable[Crafted],
    budgets: Budgets,
) -> Iterator[pa.Table]:
    """Yield the rows of each victim that is asked one of the conditions of `crafted`."""
    for made in crafted:
        floats = {FLOAT: made.inputs}
        shown_files = cell.as_files and not victims.keys() <= set(cell.floats)
        forms = {**floats, **(cell.as_files(clip_ids, clean, made) if shown_files else {})}
        schemas = {name: schema_of(victim.model.task, cell.ranked) for name, victim in victims.items()}
        norms = _norms(
            clean, made, forms, budgets, len(clip_ids), {name for of in schemas.values() for name in of.names}
        )
        for name, victim in victims.items():
            wanted = {CLEAN, *cell.conditions[name]}
            if conditions := tuple(one for one in made.conditions if one in wanted):
                names = {"surrogate": cell.surrogate, "victim": name, "attack": cell.attack}
                yield answered(
                    names,
                    victim,
                    clip_ids,
                    replace(made, conditions=conditions),
                    floats if name in cell.floats else forms,
                    norms,
                    budgets,
                    schemas[name],
                )


def _norms(
    clean: Inputs, made: Crafted, forms: Mapping[str, Inputs], budgets: Budgets, count: int, columns: Collection[str]
) -> dict[str, dict[str, list[float]]]:
    """Form -> column -> how far clips moved, by the budget's norm and, where `columns` have them, by both of l2."""
    found = norms_of(clean, forms, partial(budgets.norms, made.conditions[0]), count, "norm")
    if "clip_norm_audio" not in columns:
        return found
    of_steps = norms_of(clean, forms, budgets.step_norms, count, "step_norm")
    of_clips = norms_of(clean, forms, budgets.clip_norms, count, "clip_norm")
    return {form: found[form] | of_steps[form] | of_clips[form] for form in forms}


def _clips_without_gradient(gradients: Inputs) -> int:
    zero = [(gradient.flatten(1) == 0).all(dim=1) for gradient in gradients.values()]
    return int(torch.stack(zero).any(dim=0).sum()) if zero else 0
