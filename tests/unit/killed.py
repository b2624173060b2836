"""Trainings that die, as by a SIGKILL, and go on: what the tests of all that trains share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from avrobust.data.batches import Batch
from avrobust.training import loop


class Killed(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


@contextmanager
def killed_after(epoch: int = 1) -> Iterator[None]:
    """Let a training die once so many epochs are over, and fail if none does."""
    train_epoch = loop.train_epoch

    def dies(*given):
        if given[5] == epoch + 1:
            raise Killed
        return train_epoch(*given)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "train_epoch", dies)
        yield


class TwoBatches:
    """Stands in for a shuffled loader: every epoch another order of eight clips; `batch`: positions -> batch."""

    def __init__(self, batch: Callable[[torch.Tensor], Batch], seed: int = 0):
        self.batch, self.epoch, self.seed = batch, 0, seed

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(8, generator=torch.Generator().manual_seed(100 * self.seed + self.epoch))
        yield from map(self.batch, order.split(4))

    def __len__(self) -> int:
        return 2


def assert_goes_on(trained: Callable[[int], dict], resume: Path, epochs: Sequence[int] = (1,)) -> dict:
    """Check that a training that dies after each of `epochs` comes to the bits of one that does not; return the latter.

    `trained`: seed of the initial weights -> result of a training that keeps its state in `resume`. Whoever goes on
    begins with other weights, so that all are the state's.
    """
    whole = trained(0)
    resume.unlink()
    for seed, epoch in enumerate(epochs):
        with killed_after(epoch):
            trained(seed)
    result = trained(99)
    assert result["resumed_epochs"] == epochs[-1]
    assert result["history"] == whole["history"] and result["best_epoch"] == whole["best_epoch"]
    for part in ("best", "latest", "training_features"):
        assert _same(result.get(part), whole.get(part)), part
    return whole


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
