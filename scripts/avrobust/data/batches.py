"""Batches of views. What is random about a clip depends on seed, epoch and clip, never on the worker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from avrobust.data.shards import Shards
from avrobust.program import UserError
from avrobust.views.view import View

# Worker processes are worth starting when reading alone would take longer than they take to start, in seconds.
WORKERS_START = 10.0
# So many clips are read to find out how long one takes.
TRIAL_CLIPS = 8
# Not forked: torch and Arrow hold threads and locks.
WORKER_START_METHOD = "spawn"
# Evaluation views are kept in memory between epochs up to this many bytes.
CACHED_BYTES = 512 * 2**20

MODALITIES = ("audio", "visual")

# Before the name of a modality: the input of a clip's partner.
PARTNER = "partner_"

Batch = dict[str, Tensor | list[str]]


class _Views(Dataset):
    """What `view` shows of each of `indices`, with its target: a label (single), or float32 0 and 1 (multiple)."""

    def __init__(
        self,
        store: Shards,
        indices: Sequence[int],
        view: View,
        modalities: Sequence[str],
        task: str = "single",
    ):
        if task == "single":
            refuse_several_labels(store, indices)
        self.store, self.indices, self.view, self.modalities = store, indices, view, tuple(modalities)
        self.task = task

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def bytes_per_item(self) -> int:
        """How much memory a clip takes in a batch."""
        forms = self.view.inputs(self.store)
        return self._shown_together * sum(forms[name].bytes for name in self.modalities)

    _shown_together = 1

    def _item(self, position: int, shown: Callable[[int], dict]) -> dict:
        index = int(self.indices[position])
        labels = list(self.store.labels[index])
        if self.task == "single":
            (target,) = labels
        else:
            target = np.zeros(len(self.store.classes), np.float32)
            target[labels] = 1
        return {"clip_id": self.store.clip_ids[index], "label": target, **shown(index)}


class EvaluationViews(_Views):
    """The plain view of each clip: keys are positions in `indices`.

    `partners`: index of a clip -> that of another one, which is shown with it, by names that begin with `PARTNER`.
    """

    def __init__(self, *given: object, partners: Mapping[int, int] | None = None, **more: object):
        super().__init__(*given, **more)
        self.partners = partners or {}
        self._shown_together = 2 if partners else 1

    def __getitem__(self, position: int) -> dict:
        return self._item(position, self._shown)

    def _shown(self, index: int) -> dict[str, np.ndarray]:
        seen = self.view.evaluation(self.store, index, self.modalities)
        if self.partners:
            of_partner = self.view.evaluation(self.store, self.partners[index], self.modalities)
            seen |= {f"{PARTNER}{name}": x for name, x in of_partner.items()}
        return seen


class TrainingViews(_Views):
    """A random view of each clip: keys are (epoch, position in `indices`)."""

    def __init__(
        self, store: Shards, indices: Sequence[int], view: View, modalities: Sequence[str], seed: int, **more: object
    ):
        super().__init__(store, indices, view, modalities, **more)
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> dict:
        epoch, position = key

        def shown(index: int) -> dict:
            random = np.random.default_rng([self.seed, epoch, index])
            return self.view.training(self.store, index, self.modalities, random)

        return self._item(position, shown)


class ShuffledBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (pass, position), each pass over all clips shuffled by seed; its last incomplete batch is left out.

    What is yielded belongs to `epoch`, counted from 1. An epoch is a pass, or `epoch_batches`, after which the next one
    goes on.
    """

    def __init__(self, clips: int, batch_size: int, seed: int, epoch_batches: int | None = None):
        self.clips, self.batch_size, self.seed, self.epoch = clips, batch_size, seed, 0
        self.epoch_batches = epoch_batches or clips // batch_size

    def __len__(self) -> int:
        return self.epoch_batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        shuffled, order = None, None
        for number in range((self.epoch - 1) * len(self), self.epoch * len(self)):
            passes, place = divmod(number, self.clips // self.batch_size)
            if passes + 1 != shuffled:
                shuffled = passes + 1
                order = np.random.default_rng([self.seed, shuffled]).permutation(self.clips)
            start = place * self.batch_size
            yield [(shuffled, int(position)) for position in order[start : start + self.batch_size]]


def refuse_several_labels(store: Shards, indices: Sequence[int]) -> None:
    """Raise UserError if a clip has several labels: a cross-entropy over classes has one."""
    several = next((index for index in indices if len(store.labels[index]) != 1), None)
    if several is not None:
        raise UserError(
            f"clip {store.clip_ids[several]} has {len(store.labels[several])} labels; cross-entropy needs exactly one; "
            "leave one in the table of clips"
        )


def collate(items: list[dict]) -> Batch:
    """Stack views: inputs (N, ...) as the view has them, label int64 (N,) or float32 (N, classes), clip_id a list."""
    batch: Batch = {}
    for name, first in items[0].items():
        values = [item[name] for item in items]
        if isinstance(first, np.ndarray):
            batch[name] = torch.from_numpy(np.stack(values))
        else:
            batch[name] = values if isinstance(first, str) else torch.tensor(values)
    return batch


def inputs_of(batch: Batch, device: torch.device, whose: str = "") -> dict[str, Tensor]:
    """Return a batch's inputs in natural units on `device`, float32: waveforms in [-1, 1], pixels in [0, 1].

    Bytes are 255ths; all else, such as features, is what it is. `whose`: `PARTNER` for those of the clips' partners,
    of which there is none where nobody asked for them.
    """
    inputs = {}
    for name in MODALITIES:
        if f"{whose}{name}" in batch:
            values = batch[f"{whose}{name}"].to(device, non_blocking=True)
            inputs[name] = values.float() / 255 if values.dtype == torch.uint8 else values.float()
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
    kept = len(dataset) * dataset.bytes_per_item <= CACHED_BYTES
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
