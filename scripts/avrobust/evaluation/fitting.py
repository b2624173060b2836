"""Universal perturbations: Li et al. (ICASSP 2022), section 3.1, as the released code finds them.

One perturbation of the shape of a clip's input for each condition and modality, zero at first. In every pass over the
clips, for each batch: the gradient of every clip's loss at clip + perturbation, its steepest way rescaled to epsilon
(in the norm l2_step in each time step), and the perturbation goes the mean of these ways times the batch's share of all
clips. Where all clips agree, a pass goes epsilon.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loss import Loss
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, inputs_of
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.memory import within_memory
from avrobust.models.files import read_tensors, why_no_tensors, write_tensors
from avrobust.models.modes import evaluating
from avrobust.program import Terminated, UserError, progress
from avrobust.spec.conditions import Condition

log = logging.getLogger(__name__)

# Condition, as text -> modality -> (...) of one clip.
Found = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Fitted:
    """What was found, and how long it was after each pass: condition -> a line a pass, modality -> lengths.

    Lengths in the paper's unit: `norm` in the budget's own (in l2_step of the longest step), `l2` of the whole clip.
    `resumed_passes`: how many of them another call has made.
    """

    perturbations: Found
    lengths: dict[str, list[dict[str, dict[str, float]]]]
    resumed_passes: int


def part_size(batch: int, most: int, group: int) -> int:
    """Return how many clips of a batch go through the net at a time: the most up to `most` that divide it.

    Raises:
        UserError: `group` clips, of which the result of each depends on all, do not divide it.
    """
    if batch % group:
        raise UserError(f"fit_batch {batch} is no multiple of {group}, the clips that the net needs together")
    return max(size for size in range(group, max(most, group) + 1, group) if batch % size == 0)


def fit(
    threat: Threat,
    batches: Sequence[Batch],
    clips: int,
    conditions: Iterable[Condition],
    budgets: Budgets,
    shapes: Mapping[str, Sequence[int]],
    device: torch.device,
    resume: Path,
    key: str,
) -> Fitted:
    """Return the perturbations that `threat.attack.fit` describes, under each of `conditions`.

    `batches`: all `clips` in order, cut at every whole batch of an update at least (`part_size`); memory may cut them
    further. They are gone through in each pass. `shapes`: modality -> shape of a clip's input.

    After every pass all that the rest depends on is written to `resume`; a later call with the same `key` goes on from
    there and ends with the same bits.

    Raises:
        UserError: a budget gives each clip an epsilon of its own, or a gradient is no number.
        Terminated: SIGTERM came; `kept` says which pass `resume` is of.
    """
    passes, state = threat.attack.fit.passes, _load(resume, key, device)
    under = {one: _budgets(one, budgets, shapes, threat) for one in conditions}
    found: Found = state.get("perturbations") or {
        str(condition): {name: torch.zeros(*shapes[name], device=device) for name in of}
        for condition, of in under.items()
    }
    lengths = state.get("lengths") or {str(condition): [] for condition in under}
    saved = resumed = state.get("passes", 0)
    rest = chain.from_iterable(repeat(batches, passes - resumed))
    shown = iter(progress(rest, label="fitting", unit="batches", total=(passes - resumed) * len(batches)))
    try:
        for number in range(resumed + 1, passes + 1):
            _pass(threat, islice(shown, len(batches)), clips, found, under, device)
            for condition, of in under.items():
                if broken := [name for name, moved in found[str(condition)].items() if not moved.isfinite().all()]:
                    raise UserError(
                        f"{condition}: the gradient of {broken[0]} of some clip is no number in pass {number}; look at "
                        "the clips' features and at the net's training"
                    )
                lengths[str(condition)].append(_lengths(condition, of, found[str(condition)], budgets))
            write_tensors(resume, {"key": key, "passes": number, "perturbations": found, "lengths": lengths})
            saved = number
    except Terminated as ended:
        done = f"{resume} holds what is fitted after pass {saved} of {passes}; the same command goes on from there"
        ended.kept = done if saved else "no pass of this attack was finished; the same command goes on with its first"
        raise
    return Fitted(found, lengths, resumed)


def _pass(
    threat: Threat,
    batches: Iterable[Batch],
    clips: int,
    found: Found,
    under: Mapping[Condition, Mapping[str, Budget]],
    device: torch.device,
) -> None:
    """Move all that is `found` once through the clips."""

    def ways(batch: Batch) -> tuple[int, dict[Condition, dict[str, Tensor]]]:
        loss = Loss(threat.model, threat.objective, inputs_of(batch, device), batch["label"].to(device))
        made = {condition: _ways(loss, found[str(condition)], of) for condition, of in under.items()}
        return len(loss.labels), made

    seen, summed = 0, {condition: dict.fromkeys(of, 0.0) for condition, of in under.items()}
    with evaluating(threat.model):
        for count, made in within_memory(ways, batches, threat.model.clips_together):
            seen += count
            for condition, of in under.items():
                for name, budget in of.items():
                    summed[condition][name] = summed[condition][name] + made[condition][name]
                    if seen == clips or seen % threat.attack.fit.batch == 0:
                        perturbation = found[str(condition)][name]
                        moved = perturbation + (summed[condition][name] / clips).to(perturbation.dtype)
                        found[str(condition)][name] = threat.attack.fit.project(moved, budget)
                        summed[condition][name] = 0.0


def _ways(loss: Loss, perturbations: Mapping[str, Tensor], budgets: Mapping[str, Budget]) -> dict[str, Tensor]:
    """Return the sum of all clips' ways, in float64 because parts are summed: modality -> (...)."""
    moved = {name: budget.clamp(loss.inputs[name] + perturbations[name]) for name, budget in budgets.items()}
    gradients = loss.gradients({**loss.inputs, **moved}, tuple(budgets)) if budgets else {}
    return {
        name: (budget.epsilon * budget.norm.steepest(gradients[name], budget.epsilon)).sum(dim=0, dtype=torch.float64)
        for name, budget in budgets.items()
    }


def _budgets(
    condition: Condition, budgets: Budgets, shapes: Mapping[str, Sequence[int]], threat: Threat
) -> dict[str, Budget]:
    """The budgets of the modalities that are attacked and that the net takes."""
    if any("snr" in of for of in budgets.given(condition).values()):
        raise UserError(
            f"budget {condition.budget}: an snr gives each clip its own epsilon, and one perturbation of all has none; "
            "give an epsilon"
        )
    like = {name: torch.zeros(1, *shapes[name]) for name in threat.model.modalities}
    return {name: budget for name, budget in budgets.under(condition, like).items() if budget.active}


def _lengths(
    condition: Condition, of: Iterable[str], perturbations: Mapping[str, Tensor], budgets: Budgets
) -> dict[str, dict[str, float]]:
    found = {}
    for name in of:
        one = perturbations[name].unsqueeze(0)
        l2 = budgets.units[name].norm(one, "l2_clip")
        found[name] = {"norm": budgets.norms(condition, name, one).item(), "l2": l2.item()}
    return found


def _load(resume: Path, key: str, device: torch.device) -> dict:
    if not resume.exists():
        return {}
    try:
        state = read_tensors(resume, device)
    except Exception as error:  # whatever a damaged file makes the reader raise, the fit starts anew
        log.warning("%s is damaged (%s); starting with the first pass", resume, why_no_tensors(resume, error))
        return {}
    if state["key"] != key:
        log.info("%s belongs to other settings or code; starting with the first pass", resume)
        return {}
    log.info("going on after pass %d of %s", state["passes"], resume)
    return state
