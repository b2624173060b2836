"""The training loop: prepare, descend, look at the validation clips, keep the best epoch and what the next needs.

Tian & Xu (CVPR 2021), appendix A.5, is the plain case: SGD at a rate per part, best validation epoch.
"""

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from avrobust.csv_text import write_csv_text
from avrobust.data.batches import Batch, inputs_of
from avrobust.keyed import seed_of
from avrobust.models.files import read_tensors, why_no_tensors, write_tensors
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.models.task import Task
from avrobust.objectives.told import told
from avrobust.program import Terminated, UserError, progress
from avrobust.provenance import Waited
from avrobust.training.clips import TrainingClips
from avrobust.training.descent import Descent, descent_of
from avrobust.training.kept_features import KeptFeatures
from avrobust.training.prepare.plain import Plain
from avrobust.training.recipe import LAST, TrainingRecipe
from avrobust.training.replicas import encode_in_replicas

log = logging.getLogger(__name__)


class NotFinite(UserError):
    """A training diverged, or got clips that no training can take: a loss or a weight is infinite or not a number."""


def train(
    model: LateFusion,
    clips: TrainingClips,
    recipe: TrainingRecipe,
    objective: nn.Module,
    prepare: Plain,
    task: Task,
    resume: Path,
    key: str,
    device: torch.device,
    observer: KeptFeatures | None = None,
) -> dict:
    """Train `model`, and `objective` where it has parameters, and return their states and history.

    `prepare` makes of each batch what the net is trained on; `observer` sees the features of each. `task` says by what
    the best epoch is chosen, where the recipe does not take the last.
    After every epoch all that the rest depends on is written to `resume`; a later call with the same `key`
    (a digest of everything that shapes the result) goes on from there and ends with the same bits.

    Returns `best` and `latest` (state dictionaries `model` and `objective` on the CPU), `best_epoch`, `history` (one
    row per epoch), `resumed_epochs`, `waiting_seconds`, in which no clips to train on were there, and
    `clips_per_second`, of the training alone, without validation; 0 if all epochs were over.

    Raises:
        NotFinite: the loss or a weight is not finite; the message names the epoch and the clips of the batch, and
            `resume` is that of the epoch before.
        Terminated: SIGTERM came; `kept` says which epoch `resume` is of.
    """
    if recipe.only is not None:
        _hold_all_but(recipe.only, model)
    descent = descent_of(model, objective, recipe, len(clips.batches))
    parts = {"model": model, "objective": objective, "descent": descent}
    parts |= {"observer": observer} if observer else {}
    state = _load_resume(resume, key)
    for name, latest in state.get("latest", {}).items():
        parts[name].load_state_dict(latest)
    judged = f"validation_{task.metric_name}"
    history: list[dict] = state.get("history", [])
    best, best_epoch = state.get("best"), state.get("best_epoch", 0)
    resumed_epochs = len(history)

    saved, seconds = resumed_epochs, 0.0
    loader = Waited(clips.loader)
    try:
        for epoch in progress(range(resumed_epochs + 1, recipe.epochs + 1), label="training", unit="epochs"):
            clips.batches.epoch = epoch
            # What a layer draws, such as a dropout, is then the same in a training that goes on after a kill.
            torch.manual_seed(seed_of(clips.batches.seed, "epoch", epoch))
            start = perf_counter()
            loss = train_epoch(model, loader, descent, objective, prepare, epoch, recipe, observer)
            seconds += perf_counter() - start
            score = task.metric(*answers(model, clips.validation, device))
            row = {"epoch": epoch, "rate_factor": descent.factor, "loss": loss, judged: score}
            history.append({**row, **prepare.facts()})
            if best is None or recipe.best_is == LAST or score > history[best_epoch - 1][judged]:
                best, best_epoch = _states(model, objective), epoch
            latest = {name: part.state_dict() for name, part in parts.items()}
            write_tensors(
                resume, {"key": key, "latest": latest, "best": best, "best_epoch": best_epoch, "history": history}
            )
            saved = epoch
    except Terminated as ended:
        if saved:
            done = f"{resume} holds the training after epoch {saved} of {recipe.epochs}"
            ended.kept = f"{done}; the same command goes on from there"
        else:
            ended.kept = "no epoch was finished; the same command starts with the first"
        raise
    return {
        "best": best,
        "latest": _states(model, objective),
        "best_epoch": best_epoch,
        "history": history,
        "resumed_epochs": resumed_epochs,
        "waiting_seconds": loader.seconds,
        "clips_per_second": (len(history) - resumed_epochs) * len(clips.batches) * recipe.batch_size / (seconds or 1),
    }


def train_epoch(
    model: LateFusion,
    loader: Iterable[Batch],
    descent: Descent,
    objective: nn.Module,
    prepare: Plain,
    epoch: int,
    recipe: TrainingRecipe,
    observer: KeptFeatures | None = None,
) -> float:
    """Train for one epoch and return the mean loss of its batches.

    Raises:
        NotFinite: the loss or a weight is not finite; the message names the epoch and the clips of the batch.
    """
    model.train(recipe.only is None)
    minimised = told(objective, model)
    losses, clips, batches = [], [], iter(loader)
    while together := list(islice(batches, recipe.accumulation)):
        descent.zero_grad()
        for batch in together:
            inputs, targets = prepare(model, batch, epoch)
            features = {
                name: encode_in_replicas(model, name, inputs[name], recipe.replica_size or len(targets))
                for name in model.modalities
            }
            loss = minimised(features, model.head(features), targets).mean()
            (loss / len(together)).backward()
            losses.append(loss.detach())
            clips.append(batch["clip_id"])
            if observer:
                observer.see(epoch, features)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        descent.step()
    # Looked at once per epoch: reading a loss makes a GPU wait.
    values = torch.stack(losses).cpu()
    broken = (~values.isfinite()).nonzero().flatten().tolist()
    if broken:
        raise NotFinite(_diverged(f"loss became {values[broken[0]]:g}", epoch, broken[0], clips))
    # The weights after the last step shape no loss of this epoch.
    weights = [*model.state_dict().values(), *objective.state_dict().values()]
    if not torch.stack([value.isfinite().all() for value in weights]).all():
        raise NotFinite(_diverged("weights became infinite or nan", epoch, len(clips) - 1, clips))
    return values.mean().item()


def answers(model: LateFusion, batches: Iterable[Batch], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the logits (N, classes) of all clips and their targets, both on the CPU."""
    with evaluating(model), torch.inference_mode():
        made = [(model(inputs_of(batch, device)).cpu(), batch["label"]) for batch in batches]
    return tuple(map(torch.cat, zip(*made, strict=True)))


def history_csv(history: list[dict]) -> str:
    """Return the history as CSV text."""
    return write_csv_text(list(history[0]), (list(row.values()) for row in history))


def _hold_all_but(only: str, model: LateFusion) -> None:
    moving = {name for name, _ in model.named_parameters() if name == only or name.startswith(f"{only}.")}
    if not moving:
        raise UserError(f"a training of {only!r} only: the net has no such parameter or module")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in moving)


def _diverged(what: str, epoch: int, number: int, clips: list[list[str]]) -> str:
    return (
        f"the {what} in epoch {epoch}, batch {number + 1}, clips {', '.join(clips[number])}; lower the learning rates "
        "or look at these clips"
    )


def _states(model: nn.Module, objective: nn.Module) -> dict[str, dict[str, Tensor]]:
    return {"model": _on_cpu(model.state_dict()), "objective": _on_cpu(objective.state_dict())}


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def _load_resume(path: Path, key: str) -> dict:
    if not path.exists():
        return {}
    try:
        state = read_tensors(path, torch.device("cpu"))
    except Exception as error:  # whatever a damaged file makes the reader raise, training starts anew
        log.warning("%s is damaged (%s); starting from the first epoch", path, why_no_tensors(path, error))
        return {}
    if state["key"] != key:
        log.info("%s belongs to other settings or code; starting from the first epoch", path)
        return {}
    log.info("going on after epoch %d of %s", len(state["history"]), path)
    return state
