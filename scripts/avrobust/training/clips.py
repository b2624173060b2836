"""The clips of a training: shuffled batches to learn from, and those to choose the epoch by."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from avrobust.data.batches import (
    Batch,
    EvaluationViews,
    ShuffledBatches,
    TrainingViews,
    evaluation_batches,
    training_loader,
    whole_groups,
)
from avrobust.data.shards import Shards
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from avrobust.training.recipe import TrainingRecipe
from avrobust.views.view import View


@dataclass(frozen=True)
class TrainingClips:
    """What `avrobust.training.loop.train` reads, and the number of clips in it."""

    loader: Iterable[Batch]
    batches: ShuffledBatches
    validation: Iterable[Batch]
    training_count: int
    validation_count: int


def plain_clips(
    store: Shards, view: View, model: LateFusion, task: str, count: int | None, batch_size: int, seed: int, threads: int
) -> Iterable[Batch]:
    """Return batches of clips of the split train as evaluation sees them: `count` of a random order, all if None."""
    indices = np.random.default_rng(seed).permutation(store.indices("train"))[:count]
    clips = EvaluationViews(store, np.sort(indices), view, model.modalities, task)
    return evaluation_batches(clips, whole_groups(batch_size, model.clips_together), 1, threads)


def training_batches(
    store: Shards, view: View, model: LateFusion, task: str, recipe: TrainingRecipe, seed: int
) -> tuple[TrainingViews, ShuffledBatches]:
    """Return the clips to learn from, and which of them are a batch.

    Raises:
        UserError: too few clips for one batch.
    """
    indices = store.indices("train")
    if len(indices) < recipe.batch_size:
        raise UserError(
            f"{len(indices)} clips to train on make no batch of {recipe.batch_size}; see the dataset's "
            "availability.csv, or lower the batch size (training, in the scale or the paper)"
        )
    training = TrainingViews(store, indices, view, model.modalities, seed, task=task)
    return training, ShuffledBatches(len(training), recipe.batch_size, seed, recipe.epoch_batches)


def training_clips(
    store: Shards, view: View, model: LateFusion, task: str, recipe: TrainingRecipe, seed: int, threads: int
) -> TrainingClips:
    """Return the batches of the splits train and val for `model`, with the targets of `task` (`avrobust.models.task`).

    Raises:
        UserError: too few clips for one batch, or none to choose the epoch by.
    """
    batch_size, epochs = recipe.batch_size, recipe.epochs
    training, batches = training_batches(store, view, model, task, recipe, seed)
    validation_indices = store.indices("val")
    if not len(validation_indices):
        raise UserError("no clip in split val to choose the epoch by; see the dataset's availability.csv")
    validation = EvaluationViews(store, validation_indices, view, model.modalities, task)
    return TrainingClips(
        training_loader(training, batches, epochs, threads),
        batches,
        evaluation_batches(validation, whole_groups(batch_size, model.clips_together), epochs, threads),
        len(training),
        len(validation),
    )
