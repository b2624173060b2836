"""Clips of many shards in their order: from other processes too, and in the memory of one shard."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import write_more, write_shard

from avrobust.data import batches
from avrobust.data.batches import EvaluationViews
from avrobust.data.one_by_one import OneByOne, in_order
from avrobust.data.store import Store
from avrobust.program import UserError
from avrobust.views.clip import ClipView

VIEW = ClipView(seconds=0.4, frames=2, frame_size=32)
MODALITIES = ("audio", "visual")


@pytest.mark.parametrize("workers", [0, 1])
def test_each_clip_comes_once_as_evaluation_sees_it(tmp_path: Path, monkeypatch, workers: int) -> None:
    if workers:
        monkeypatch.setattr(batches, "WORKERS_START", -1.0)  # worth it for any number of clips
    paths = [write_shard(tmp_path / "a.arrow"), write_more(tmp_path / "b.arrow")]
    store = Store(paths)
    clips = OneByOne(paths, VIEW, MODALITIES)
    wanted = EvaluationViews(store, range(len(store)), VIEW, MODALITIES)
    loader = in_order(clips, 7, threads=1 + workers)
    assert loader.num_workers == workers
    found = list(loader)
    assert torch.cat([batch["label"] for batch in found]).tolist() == list(range(len(store)))
    for name in MODALITIES:
        together = torch.cat([batch[name] for batch in found]).numpy()
        assert np.array_equal(together, np.stack([wanted[number][name] for number in range(len(store))]))


class Keeping:
    """A view that keeps something of every clip for the next epoch."""

    def evaluation(self, store: Store, index: int, modalities: tuple[str, ...]) -> dict:
        self.store = store
        store.kept[index] = "decoded"
        return {}


def test_what_a_view_keeps_for_another_epoch_is_let_go(tmp_path: Path) -> None:
    view = Keeping()
    clips = OneByOne([write_shard(tmp_path / "a.arrow")], view, ())
    assert [clips[number] for number in range(len(clips))] == [{"label": number} for number in range(len(clips))]
    assert view.store.kept == {}


def test_shards_that_hold_a_clip_twice_are_refused(tmp_path: Path) -> None:
    paths = [write_shard(tmp_path / name) for name in ("a.arrow", "b.arrow")]
    with pytest.raises(UserError, match="a clip is in the shards twice"):
        OneByOne(paths, VIEW, MODALITIES)


def test_memory_is_that_of_a_shard_however_many_there_are(tmp_path: Path) -> None:
    """20 shards of 8 MB of sound take at most 40 MB more than 2, though all of them are mapped one after the other."""
    program = """
import resource, sys
from pathlib import Path
import numpy as np
from avrobust.data import store
from avrobust.data.one_by_one import OneByOne
from avrobust.data.store import PackedClip
from avrobust.views.clip import ClipView
folder, count = Path(sys.argv[1]), int(sys.argv[2])
sound = np.random.default_rng(0).integers(-9, 9, 1_000_000, np.int16)
paths = [folder / f"{number}.arrow" for number in range(count)]
for path in paths:
    if not path.exists():
        with store.writing(path, audio_rate=1000, frame_rate=8, classes=["a"]) as shard:
            for number in range(4):
                shard.add(PackedClip(f"{path.stem}_{number}", "train", (0,), None, None, sound, [], None, 1, 1))
clips = OneByOne(paths, ClipView(seconds=1000, frames=1, frame_size=8), ("audio",))
total = sum(float(clips[number]["audio"].sum()) for number in range(len(clips)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    peaks = [
        float(subprocess.run([sys.executable, "-c", program, str(tmp_path), str(count)], env=environment,
                             capture_output=True, check=True).stdout)
        for count in (2, 20)
    ]  # fmt: skip
    assert peaks[1] - peaks[0] < 40, peaks
