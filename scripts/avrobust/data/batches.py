"""Batches of views. What is random about a clip depends on seed, epoch and clip, never on the worker."""

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from avrobust.data import views
from avrobust.data.store import Store
from avrobust.program import UserError

# Worker processes are worth starting when reading alone would take longer than they take to start, in seconds.
WORKERS_START = 10.0
# So many clips are read to find out how long one takes.
TRIAL_CLIPS = 8
# Not forked: torch and Arrow hold threads and locks.
WORKER_START_METHOD = "spawn"
# Evaluation views are kept in memory between epochs up to this many bytes.
CACHED_BYTES = 512 * 2**20

Batch = dict[str, Tensor | list[str]]


class EvaluationViews(Dataset):
    """The centre view of each of `indices`: keys are positions in `indices`."""

    def __init__(self, store: Store, indices: Sequence[int], recipe: views.Recipe, modalities: Sequence[str]):
        refuse_several_labels(store, indices)
        self.store, self.indices, self.recipe, self.modalities = store, indices, recipe, tuple(modalities)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict:
        index = self.indices[position]
        item = {"clip_id": self.store.clip_ids[index], "label": self.store.labels[index][0]}
        if "audio" in self.modalities:
            item["audio"] = views.evaluation_sound(self.store, index, self.recipe)
        if "visual" in self.modalities:
            item["visual"] = views.evaluation_frame(self.store, index, self.recipe)
        return item


class TrainingViews(Dataset):
    """A random view of each of `indices`: keys are (epoch, position in `indices`)."""

    def __init__(
        self,
        store: Store,
        indices: Sequence[int],
        recipe: views.Recipe,
        modalities: Sequence[str],
        seed: int,
    ):
        refuse_several_labels(store, indices)
        self.store, self.indices, self.recipe, self.modalities = store, indices, recipe, tuple(modalities)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict:
        epoch, position = key
        index = self.indices[position]
        random = np.random.default_rng([self.seed, epoch, index])
        moment = views.training_moment(self.store, index, self.recipe, random)
        item = {"clip_id": self.store.clip_ids[index], "label": self.store.labels[index][0]}
        if "audio" in self.modalities:
            item["audio"] = views.training_sound(self.store, index, moment, self.recipe, random)
        if "visual" in self.modalities:
            item["visual"] = views.training_frame(self.store, index, moment, self.recipe, random)
        return item


class ShuffledBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, position), shuffled by seed and `epoch`; the last incomplete one is left out."""

    def __init__(self, clips: int, batch_size: int, seed: int):
        self.clips, self.batch_size, self.seed, self.epoch = clips, batch_size, seed, 0

    def __len__(self) -> int:
        return self.clips // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.clips)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield [(self.epoch, int(position)) for position in order[start : start + self.batch_size]]


def refuse_several_labels(store: Store, indices: Sequence[int]) -> None:
    """Raise UserError if a clip has several labels: a cross-entropy over classes has one."""
    several = next((index for index in indices if len(store.labels[index]) != 1), None)
    if several is not None:
        raise UserError(
            f"clip {store.clip_ids[several]} has {len(store.labels[several])} labels; cross-entropy needs exactly one; "
            "leave one in the table of clips"
        )


def collate(items: list[dict]) -> Batch:
    """Stack views: audio float32 (N, 1, L), visual uint8 (N, 3, H, W), label int64 (N,), clip_id a list."""
    batch: Batch = {
        name: torch.from_numpy(np.stack([item[name] for item in items]))
        for name in ("audio", "visual")
        if name in items[0]
    }
    batch["label"] = torch.tensor([item["label"] for item in items])
    batch["clip_id"] = [item["clip_id"] for item in items]
    return batch


def inputs_of(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """Return a batch's inputs in natural units on `device`: waveforms in [-1, 1], pixels in [0, 1]."""
    inputs = {}
    if "audio" in batch:
        inputs["audio"] = batch["audio"].to(device, non_blocking=True)
    if "visual" in batch:
        inputs["visual"] = batch["visual"].to(device, non_blocking=True).float() / 255
    return inputs


def workers_for(dataset: Dataset, keys: Sequence, passes: int, threads: int) -> int:
    """Return how many worker processes read `dataset` `passes` times in the shortest time: none, or threads - 1.

    A few `keys` are read to see how long one takes here; what is read does not depend on the answer.
    """
    if threads == 1 or not keys:
        return 0
    start = perf_counter()
    for key in keys[:TRIAL_CLIPS]:
        dataset[key]
    seconds = (perf_counter() - start) / len(keys[:TRIAL_CLIPS]) * len(dataset) * passes
    return threads - 1 if seconds > WORKERS_START else 0


def training_loader(dataset: TrainingViews, batches: ShuffledBatches, epochs: int, threads: int) -> DataLoader:
    """Return an iterable over the training batches of `batches.epoch`, which will be used for `epochs` epochs."""
    keys = [(0, position) for position in range(min(len(dataset), TRIAL_CLIPS))]
    return _loader(dataset, workers_for(dataset, keys, epochs, threads), batch_sampler=batches)


def whole_groups(size: int, group: int) -> int:
    """Return the largest multiple of `group` up to `size`, one group at least."""
    return max(size // group, 1) * group


def evaluation_batches(
    dataset: EvaluationViews, batch_size: int, passes: int, threads: int
) -> DataLoader | list[Batch]:
    """Return a split's batches in order, the last one incomplete, to go through `passes` times.

    Small splits are read once and kept in memory.
    """
    bytes_per_clip = 4 * dataset.recipe.audio_samples + 3 * dataset.recipe.frame_size**2
    kept = len(dataset) * bytes_per_clip <= CACHED_BYTES
    workers = workers_for(dataset, range(len(dataset)), 1 if kept else passes, threads)
    loader = _loader(dataset, workers, batch_size=batch_size)
    return list(loader) if kept else loader


def _loader(dataset: Dataset, workers: int, **batching: object) -> DataLoader:
    return DataLoader(
        dataset,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=WORKER_START_METHOD if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        **batching,
    )
