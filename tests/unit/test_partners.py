"""What else a batch can hold: a partner of another class beside each clip, and several labels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_store import VIEWS, clip

from avrobust.data.batches import EvaluationViews, TrainingViews, collate, inputs_of, partners_of
from avrobust.data.partners import partners
from avrobust.data.store import Store, writing
from avrobust.evaluation.memory import within_memory
from avrobust.program import UserError

MODALITIES = ("audio", "visual")


@given(st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=2), min_size=2, max_size=20), st.randoms())
def test_a_partner_is_of_another_class_whatever_the_order(labels: list[set[int]], random: object) -> None:
    ids = [f"clip{number}" for number in range(len(labels))]
    if any(not any(own.isdisjoint(other) for other in labels) for own in labels):
        with pytest.raises(UserError, match="no clip of another class to mix clip"):
            partners(ids, labels)
        return
    found = partners(ids, labels)
    assert all(labels[place].isdisjoint(labels[other]) for place, other in enumerate(found))
    order = list(range(len(ids)))
    random.shuffle(order)
    again = partners([ids[place] for place in order], [labels[place] for place in order])
    assert {ids[order[place]]: ids[order[other]] for place, other in enumerate(again)} == {
        ids[place]: ids[other] for place, other in enumerate(found)
    }


def test_partners_follow_one_circle_which_the_ids_decide() -> None:
    """Every clip a class of its own: the next one of a permutation, so that all are someone's partner."""
    ids, labels = [f"clip{number}" for number in range(30)], [{number} for number in range(30)]
    found = partners(ids, labels)
    place, seen = 0, []
    for _ in ids:
        seen.append(place)
        place = found[place]
    assert place == 0 and sorted(seen) == list(range(30)) != seen
    others = partners([f"video{number}" for number in range(30)], labels)
    assert found.tolist() != others.tolist()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Nine clips with one label, and one with two."""
    path = tmp_path_factory.mktemp("partners") / "0.arrow"
    random = np.random.default_rng(0)
    with writing(path, audio_rate=11025, frame_rate=8, classes="abcd") as shard:
        for number in range(9):
            shard.add(clip(number, "train", number % 3, random))
        several = clip(9, "test", 0, random)
        shard.add(type(several)(**{**vars(several), "labels": (1, 3)}))
    return Store([path])


def test_a_batch_carries_the_partners_as_they_are_by_themselves(store: Store) -> None:
    indices = store.indices("train")
    plain = TrainingViews(store, indices, VIEWS, MODALITIES, seed=1)
    paired = TrainingViews(store, indices, VIEWS, MODALITIES, seed=1, partnered=True)
    batch = collate([paired[4, position] for position in range(len(paired))])
    partner = partners_of(batch)
    assert (batch["label"] != partner["label"]).all()
    for place, clip_id in enumerate(partner["clip_id"]):
        alone = plain[4, store.clip_ids.index(clip_id)]
        assert np.array_equal(partner["audio"][place], alone["audio"])
        assert np.array_equal(partner["visual"][place], alone["visual"])
    part = TrainingViews(store, indices[5:], VIEWS, MODALITIES, seed=1, partnered=True)
    assert [part[4, position]["partner_clip_id"] for position in range(4)] == partner["clip_id"][5:]
    alone = collate([plain[4, position] for position in range(len(plain))])
    assert all(torch.equal(batch[name], alone[name]) for name in (*MODALITIES, "label"))
    assert partners_of(alone) == {} and paired.bytes_per_item == 2 * plain.bytes_per_item
    assert inputs_of(partner, torch.device("cpu"))["visual"].max() <= 1


def test_halving_cuts_the_partners_too(store: Store) -> None:
    """A batch of nine, of which five fit: each part has the partners of its own clips."""
    views = EvaluationViews(store, store.indices("train"), VIEWS, MODALITIES, partnered=True)
    whole = collate([views[position] for position in range(9)])

    def work(batch: dict) -> list[tuple[str, str]]:
        if len(batch["label"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert len(partners_of(batch)["audio"]) == len(batch["audio"])
        return list(zip(batch["clip_id"], partners_of(batch)["clip_id"], strict=True))

    made = list(within_memory(work, [whole]))
    assert len(made) == 2
    pairs = [pair for part in made for pair in part]
    assert pairs == list(zip(whole["clip_id"], partners_of(whole)["clip_id"], strict=True))


def test_several_labels_are_a_row_of_zeros_and_ones_or_refused(store: Store) -> None:
    views = EvaluationViews(store, [9, 4], VIEWS, ("audio",), task="multiple")
    label = collate([views[0], views[1]])["label"]
    assert label.dtype == torch.float32 and label.tolist() == [[0, 1, 0, 1], [0, 1, 0, 0]]
    with pytest.raises(UserError, match="clip test09 has 2 labels; cross-entropy needs exactly one"):
        EvaluationViews(store, [4, 9], VIEWS, ("audio",))
    with pytest.raises(UserError, match="clip test09 has 2 labels"):
        TrainingViews(store, [9], VIEWS, ("audio",), seed=0)
