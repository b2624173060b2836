"""The training loop of Tian & Xu (CVPR 2021), appendix A.5: SGD, a rate per part, best validation epoch."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from avrobust.csv_text import write_csv_text
from avrobust.data.batches import Batch, ShuffledBatches, inputs_of
from avrobust.models.files import read_tensors, why_no_tensors, write_tensors
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.program import Terminated, UserError, progress
from avrobust.provenance import Waited
from avrobust.training.replicas import encode_in_replicas
from avrobust.training.sgd import SGD

log = logging.getLogger(__name__)


class NotFinite(UserError):
    """A training diverged, or got clips that no training can take: a loss or a weight is infinite or not a number."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, in which steps and at which rates.

    `learning_rates` has a value for `audio`, `visual` (the encoders) and `head` (fusion and classifier);
    all are multiplied by `decay` after each epoch named in `milestones`. Batch normalisation takes the statistics of
    `replica_size` clips at a time, of the whole batch if that is None.
    """

    epochs: int
    milestones: tuple[int, ...]
    batch_size: int
    learning_rates: Mapping[str, float]
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay: float = 0.1
    replica_size: int | None = None


def parameter_groups(model: LateFusion, recipe: TrainingRecipe) -> list[dict]:
    """Return SGD's groups: each encoder, and the fusion with the classifier, each at its own rate."""
    groups = [
        {"params": list(model.encoders[name].parameters()), "lr": recipe.learning_rates[name]}
        for name in model.modalities
    ]
    head = [*model.fusion.parameters(), *model.classifier.parameters()]
    return [*groups, {"params": head, "lr": recipe.learning_rates["head"]}]


def train(
    model: LateFusion,
    loader: Iterable[Batch],
    batches: ShuffledBatches,
    validation: Iterable[Batch],
    recipe: TrainingRecipe,
    objective: nn.Module,
    resume: Path,
    key: str,
    device: torch.device,
    kept_features: int = 0,
) -> dict:
    """Train `model`, and `objective` where it has parameters, and return their states and history.

    After every epoch all that the rest depends on is written to `resume`; a later call with the same `key`
    (a digest of everything that shapes the result) goes on from there and ends with the same bits.

    Returns `best` and `latest` (state dictionaries `model` and `objective` on the CPU), `best_epoch`, `history` (one
    row per epoch), `resumed_epochs`, `waiting_seconds`, in which no clips to train on were there, and
    `training_features`: modality -> (n, D), the first n <= `kept_features` features of the last epoch, as the net in
    training saw them. The order is shuffled, so they are a random sample.

    Raises:
        NotFinite: the loss or a weight is not finite; the message names the epoch and the clips of the batch, and
            `resume` is that of the epoch before.
        Terminated: SIGTERM came; `kept` says which epoch `resume` is of.
    """
    groups = parameter_groups(model, recipe)
    rates = [group["lr"] for group in groups]
    # An objective's own parameters keep their rates: only the net's decay.
    own = objective.parameter_groups() if any(True for _ in objective.parameters()) else []
    optimizer = SGD([*groups, *own], recipe.momentum, recipe.weight_decay)
    state = _load_resume(resume, key)
    if state:
        model.load_state_dict(state["latest"]["model"])
        objective.load_state_dict(state["latest"]["objective"])
        optimizer.load_state_dict(state["optimizer"])
    history: list[dict] = state.get("history", [])
    best, best_epoch = state.get("best"), state.get("best_epoch", 0)
    features: dict[str, Tensor] = state.get("training_features", {})
    resumed_epochs = len(history)

    saved = resumed_epochs
    clips = Waited(loader)
    try:
        for epoch in progress(range(resumed_epochs + 1, recipe.epochs + 1), label="training", unit="epochs"):
            factor = recipe.decay ** sum(epoch > milestone for milestone in recipe.milestones)
            for group, rate in zip(optimizer.groups, rates, strict=False):
                group["lr"] = factor * rate
            batches.epoch = epoch
            kept = kept_features if epoch == recipe.epochs else 0
            loss, features = train_epoch(model, clips, optimizer, objective, epoch, device, recipe.replica_size, kept)
            accuracy = top1_accuracy(model, validation, device)
            history.append({"epoch": epoch, "rate_factor": factor, "loss": loss, "validation_accuracy": accuracy})
            if best is None or accuracy > history[best_epoch - 1]["validation_accuracy"]:
                best, best_epoch = _states(model, objective), epoch
            write_tensors(
                resume,
                {
                    "key": key,
                    "latest": {"model": model.state_dict(), "objective": objective.state_dict()},
                    "optimizer": optimizer.state_dict(),
                    "best": best,
                    "best_epoch": best_epoch,
                    "history": history,
                    "training_features": features,
                },
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
        "waiting_seconds": clips.seconds,
        "training_features": features,
    }


def train_epoch(
    model: LateFusion,
    loader: Iterable[Batch],
    optimizer: SGD,
    objective: nn.Module,
    epoch: int,
    device: torch.device,
    replica_size: int | None = None,
    kept_features: int = 0,
) -> tuple[float, dict[str, Tensor]]:
    """Train for one epoch; return the mean loss of its batches and its first `kept_features` features, on the CPU.

    Raises:
        NotFinite: the loss or a weight is not finite; the message names the epoch and the clips of the batch.
    """
    model.train()
    losses, clips, kept, count = [], [], [], 0
    for batch in loader:
        inputs, labels = inputs_of(batch, device), batch["label"].to(device)
        features = {
            name: encode_in_replicas(model, name, inputs[name], replica_size or len(labels))
            for name in model.modalities
        }
        loss = objective(features, model.head(features), labels).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        clips.append(batch["clip_id"])
        if count < kept_features:
            kept.append({name: feature.detach() for name, feature in features.items()})
            count += len(labels)
    # Looked at once per epoch: reading a loss makes a GPU wait.
    values = torch.stack(losses).cpu()
    broken = (~values.isfinite()).nonzero().flatten().tolist()
    if broken:
        raise NotFinite(_diverged(f"loss became {values[broken[0]]:g}", epoch, broken[0], clips))
    # The weights after the last step shape no loss of this epoch.
    weights = [*model.state_dict().values(), *objective.state_dict().values()]
    if not torch.stack([value.isfinite().all() for value in weights]).all():
        raise NotFinite(_diverged("weights became infinite or nan", epoch, len(clips) - 1, clips))
    sample = {name: torch.cat([part[name] for part in kept])[:kept_features].cpu() for name in (kept and kept[0])}
    return values.mean().item(), sample


def top1_accuracy(model: LateFusion, batches: Iterable[Batch], device: torch.device) -> float:
    """Return the percentage of clips whose largest logit is their label's."""
    correct: list[Tensor] = []
    with evaluating(model), torch.inference_mode():
        for batch in batches:
            logits = model(inputs_of(batch, device))
            correct.append((logits.argmax(dim=1).cpu() == batch["label"]).double())
    return 100 * torch.cat(correct).mean().item()


def history_csv(history: list[dict]) -> str:
    """Return the history as CSV text."""
    return write_csv_text(list(history[0]), (list(row.values()) for row in history))


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
