"""Batches of views. What is random about a clip depends on seed, epoch and clip, never on the worker."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from avrobust.data import views
from avrobust.data.store import Store
from avrobust.program import UserError

# Up to this many clips, starting worker processes costs more than the decoding that they take over.
CLIPS_PER_WORKER = 1000
# Not forked: torch and Arrow hold threads and locks.
WORKER_START = "spawn"
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


def workers_for(clips: int, threads: int) -> int:
    """Return how many worker processes read `clips` clips fastest on `threads` threads."""
    return min(threads - 1, clips // CLIPS_PER_WORKER)


def training_loader(dataset: TrainingViews, batches: ShuffledBatches, threads: int) -> DataLoader:
    """Return an iterable over the training batches of `batches.epoch`."""
    workers = workers_for(len(dataset), threads)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=WORKER_START if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def evaluation_batches(dataset: EvaluationViews, batch_size: int, threads: int) -> DataLoader | list[Batch]:
    """Return an evaluation split's batches in order, the last one incomplete; small splits from memory."""
    workers = workers_for(len(dataset), threads)
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=WORKER_START if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    bytes_per_clip = 4 * dataset.recipe.audio_samples + 3 * dataset.recipe.frame_size**2
    return list(loader) if len(dataset) * bytes_per_clip <= CACHED_BYTES else loader
