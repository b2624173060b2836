"""What a training starts from: fresh weights, published ones, or those of a stage that went before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from avrobust.data.batches import EvaluationViews, evaluation_batches, inputs_of, whole_groups
from avrobust.data.moments import read_moments
from avrobust.data.shards import Shards
from avrobust.models.build import ModelSpec, build
from avrobust.models.files import Trained, load_model, misfits
from avrobust.models.late_fusion import LateFusion
from avrobust.models.weights import load_weights
from avrobust.program import UserError
from avrobust.views.view import View


@dataclass(frozen=True)
class MemoryRecipe:
    """Which features of the stage before fill the memory of each modality.

    `columns`: at most so many clips. `features`: `train_mode`, what the last epoch of that stage saw (augmented clips,
    batch statistics, weights on the move; as released), or `eval_mode`, those of the finished net on plain clips.
    `steps`: modality -> longest step of the sparse coding.
    """

    columns: int
    features: str
    steps: Mapping[str, float]


def fresh_model(
    spec: ModelSpec,
    classes: int,
    seed: int,
    weights: Mapping[str, Path],
    branches: Mapping[str, Path] = MappingProxyType({}),
    moments: Path | None = None,
) -> LateFusion:
    """Return an untrained net of this seed.

    `weights`: modality -> published weights that its encoder starts from. `branches`: modality -> trained net whose
    encoder of that modality, at its best epoch, it starts from. `moments`: of the training clips, by which all other
    encoders standardise that do (`avrobust.models.standardise`).

    Raises:
        UserError: weights or moments do not fit an encoder, or one needs moments and there are none.
    """
    model = build(spec, classes, seed)
    for modality, path in weights.items():
        load_weights(model.encoders[modality], path)
    for modality, path in branches.items():
        _take_branch(model.encoders[modality], modality, path)
    known = read_moments(moments) if moments else {}
    for modality in model.scales.keys() - branches.keys():
        if modality not in known:
            raise UserError(f"the {modality} encoder standardises its input; give --moments with those of {modality}")
        try:
            model.encoders[modality].standardise.take(*map(torch.from_numpy, known[modality]))
        except ValueError as error:
            raise UserError(
                f"{moments}: {modality}: {error}; give those of the clips that the net is trained on"
            ) from None
    return model


def _take_branch(encoder: nn.Module, modality: str, path: Path) -> None:
    trained = load_model(path, "best", torch.device("cpu")).model
    if modality not in trained.modalities:
        raise UserError(f"{path} has no {modality} encoder to start from; give a net of that modality")
    given = trained.encoders[modality].state_dict()
    if differing := misfits(encoder.state_dict(), given):
        raise UserError(f"{path} has another {modality} encoder: {differing}; give both nets the same one")
    encoder.load_state_dict(given)


def continued_model(
    spec: ModelSpec, start: Trained, seed: int, banks: Mapping[str, Tensor], steps: Mapping[str, float]
) -> tuple[ModelSpec, LateFusion]:
    """Return a net with the weights of `start` and, where it has a memory, `banks` (D, K) in it; and its spec.

    `seed`: of the weights of a defence that `start` does not have.

    The spec states the number of columns that there are.

    Raises:
        UserError: the nets have other weights than each other.
    """
    if banks:
        columns = next(iter(banks.values())).shape[1]
        spec = replace(spec, defence=replace(spec.defence, options={**spec.defence.options, "columns": columns}))
    model = build(spec, len(start.classes), seed)
    weights, own = start.model.state_dict(), model.state_dict()
    # A head of another kind may know how to begin as the trained one.
    if type(model.classifier) is not type(start.model.classifier) and hasattr(model.classifier, "take_over"):
        model.classifier.take_over(start.model.classifier)
        weights, own = (
            {name: value for name, value in state.items() if not name.startswith("classifier.")}
            for state in (weights, own)
        )
    fits = {name for name in weights if name in own and own[name].shape == weights[name].shape}
    missing = {name for name in own if name not in fits and not name.startswith("defences.")}
    if missing or len(fits) < len(weights):
        raise UserError(
            f"the net to start from does not fit, as {min(missing | (weights.keys() - fits))} shows; a variant and the "
            "one that it starts from must have the same encoders and fusion"
        )
    model.load_state_dict(weights, strict=False)
    for name, bank in banks.items():
        model.defences[name].remember(bank, steps[name])
    return spec, model


def memory_banks(
    recipe: MemoryRecipe,
    start: Trained,
    store: Shards,
    view: View,
    batch_size: int,
    seed: int,
    threads: int,
    device: torch.device,
) -> dict[str, Tensor]:
    """Return modality -> (D, K), K = min(`recipe.columns`, clips there are); the same clips in both banks.

    Raises:
        UserError: the net to start from kept no features of its training.
    """
    if recipe.features == "train_mode":
        if not start.training_features:
            raise UserError("the net to start from kept no features of its training; train it again")
        return {name: values[: recipe.columns].T for name, values in start.training_features.items()}
    indices = np.random.default_rng(seed).permutation(store.indices("train"))[: recipe.columns]
    clips = EvaluationViews(store, np.sort(indices), view, start.model.modalities)
    parts = []
    with torch.no_grad():
        for batch in evaluation_batches(clips, whole_groups(batch_size, start.model.clips_together), 1, threads):
            inputs = inputs_of(batch, device)
            parts.append({name: start.model.encode(name, inputs[name]).cpu() for name in start.model.modalities})
    return {name: torch.cat([part[name] for part in parts]).T for name in start.model.modalities}
