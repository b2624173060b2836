"""The clips of packed shards in their order, once each, one shard at a time: memory is that of a shard, not of all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from avrobust.data.batches import WORKER_START_METHOD, collate, workers_for
from avrobust.data.store import Store
from avrobust.views.view import View


class OneByOne(Dataset):
    """What `view` shows of each clip for evaluation, and `label`, the clip's number in all shards together.

    Raises:
        UserError: shards that do not fit together.
    """

    def __init__(self, paths: Sequence[Path], view: View, modalities: Sequence[str]):
        self.store = Store(paths)  # whose clips they are; what they hold is read below
        self.view, self.modalities = view, tuple(modalities)
        self._paths = list(paths)
        self._ends = np.cumsum([0, *(len(Store([path])) for path in self._paths)])
        self._shard: tuple[int, Store] | None = None

    def __len__(self) -> int:
        return len(self.store)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_shard": None}

    def __getitem__(self, number: int) -> dict:
        place = int(np.searchsorted(self._ends, number, side="right")) - 1
        if self._shard is None or self._shard[0] != place:
            self._shard = place, Store([self._paths[place]])
        shard = self._shard[1]
        seen = self.view.evaluation(shard, number - int(self._ends[place]), self.modalities)
        shard.kept.clear()  # decoded pictures, which a view keeps for the next epoch: there is none
        return {"label": number, **seen}


def in_order(clips: OneByOne, batch_size: int, threads: int) -> DataLoader:
    """Return an iterable over batches of clips, the last one incomplete; as many threads read as are worth it."""
    workers = workers_for(clips, range(len(clips)), 1, threads)
    return DataLoader(
        clips,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=WORKER_START_METHOD if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
