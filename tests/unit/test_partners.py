"""With which clip one is mixed: of another class, whatever the batch; and read only where an attack needs it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import CLIPS, VIEWS, write_shard

from avrobust.data.batches import PARTNER, EvaluationViews, collate, inputs_of
from avrobust.data.partners import partners
from avrobust.data.store import Store
from avrobust.evaluation.memory import within_memory
from avrobust.training.prepare.adversarial import mixed_with

IDS = [f"clip{number:02}" for number in range(20)]
LABELS = [(number % 4,) for number in range(20)]
CPU = torch.device("cpu")


def test_partners_are_of_another_class_and_go_by_the_ids_alone():
    found = partners(IDS, LABELS)
    assert all(LABELS[place] != LABELS[other] for place, other in enumerate(found))
    order = np.random.default_rng(0).permutation(20).tolist()
    shuffled = partners([IDS[place] for place in order], [LABELS[place] for place in order])
    assert [order[other] for other in shuffled] == [found[place] for place in order]
    assert len(set(found)) > 10, "nearly everyone is somebody's partner"
    assert found != partners([f"other{number:02}" for number in range(20)], LABELS)


def test_a_clip_of_several_classes_is_mixed_with_one_of_none_of_them():
    labels = [(0, 1), (1, 2), (2, 3), ()]
    found = partners(list("abcd"), labels)
    assert all(set(labels[place]).isdisjoint(labels[other]) for place, other in enumerate(found))
    assert found[1] == 3, "all others share a class with it"


def test_clips_of_one_class_have_none_but_themselves():
    assert partners(list("abc"), [(1,)] * 3) == [0, 1, 2]
    assert partners(["a"], [(1,)]) == [0] and partners([], []) == []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store([write_shard(tmp_path / "0.arrow")])


def views(store: Store, partners: dict | None = None) -> EvaluationViews:
    return EvaluationViews(store, store.indices("test"), VIEWS, ("audio", "visual"), partners=partners)


def test_partners_travel_in_the_batch_and_are_cut_with_it(store):
    """What a part of a batch is mixed with is what the whole batch was."""
    indices = [int(index) for index in store.indices("test")]
    found = partners([store.clip_ids[index] for index in indices], [store.labels[index] for index in indices])
    shown = views(store, {index: indices[other] for index, other in zip(indices, found, strict=True)})
    batch = collate([shown[place] for place in range(len(shown))])
    clean, partner = inputs_of(batch, CPU), inputs_of(batch, CPU, PARTNER)
    for key in clean:
        assert torch.equal(partner[key], clean[key][found])
    assert shown.bytes_per_item == 2 * views(store).bytes_per_item

    def work(part):
        if len(part["label"]) > 2:
            raise torch.OutOfMemoryError("no room")
        return inputs_of(part, CPU, PARTNER)

    parts = list(within_memory(work, [batch]))
    assert len(parts) == 5
    for key in clean:
        assert torch.equal(torch.cat([part[key] for part in parts]), partner[key])


def test_nobody_reads_a_partner_who_was_not_asked_for(store):
    batch = collate([views(store)[place] for place in range(CLIPS["test"])])
    assert inputs_of(batch, CPU, PARTNER) == {} and not [name for name in batch if name.startswith(PARTNER)]


@pytest.mark.parametrize("several", [False, True])
def test_in_training_a_partner_is_of_the_batch(several):
    labels = torch.tensor([0, 0, 1, 2])
    if several:
        labels = torch.nn.functional.one_hot(labels).float()
    inputs = {"audio": torch.arange(4.0).view(4, 1, 1)}
    batch = {"clip_id": list("abcd"), "label": labels}
    places = mixed_with(batch, inputs)["audio"].flatten().int().tolist()
    classes = [0, 0, 1, 2]
    assert all(classes[place] != classes[other] for place, other in enumerate(places))
    alone = {"clip_id": ["a", "b"], "label": labels[:2]}
    assert mixed_with(alone, {"audio": inputs["audio"][:2]})["audio"].flatten().tolist() == [0, 1]
