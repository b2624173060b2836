"""Clips of several labels in a batch."""

import numpy as np
import pytest
import torch
from tiny_store import VIEWS, clip

from avrobust.data.batches import EvaluationViews, TrainingViews, collate
from avrobust.data.store import Store, writing
from avrobust.program import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Nine clips with one label, and one with two."""
    path = tmp_path_factory.mktemp("labels") / "0.arrow"
    random = np.random.default_rng(0)
    with writing(path, audio_rate=11025, frame_rate=8, classes="abcd") as shard:
        for number in range(9):
            shard.add(clip(number, "train", number % 3, random))
        several = clip(9, "test", 0, random)
        shard.add(type(several)(**{**vars(several), "labels": (1, 3)}))
    return Store([path])


def test_several_labels_are_a_row_of_zeros_and_ones_or_refused(store: Store) -> None:
    views = EvaluationViews(store, [9, 4], VIEWS, ("audio",), task="multiple")
    label = collate([views[0], views[1]])["label"]
    assert label.dtype == torch.float32 and label.tolist() == [[0, 1, 0, 1], [0, 1, 0, 0]]
    with pytest.raises(UserError, match="clip test09 has 2 labels; cross-entropy needs exactly one"):
        EvaluationViews(store, [4, 9], VIEWS, ("audio",))
    with pytest.raises(UserError, match="clip test09 has 2 labels"):
        TrainingViews(store, [9], VIEWS, ("audio",), seed=0)
