"""Views: the released recipe by hand, and what the batches promise."""

import io
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nets import CROSS_ENTROPY, narrow_net, net_with_memory
from PIL import Image

from avrobust.attacks.threat import AttackSpec, bind
from avrobust.data import views
from avrobust.data.batches import (
    EvaluationViews,
    ShuffledBatches,
    TrainingViews,
    collate,
    evaluation_batches,
    inputs_of,
    training_loader,
    workers_for,
)
from avrobust.data.store import PackedClip, Store, writing
from avrobust.data.views import Recipe
from avrobust.evaluation.arguments import Opened
from avrobust.models.files import Trained
from avrobust.training.clips import training_clips

PAPER = Recipe(audio_samples=65_535, frame_size=224)
SMALL = Recipe(audio_samples=4_096, frame_size=32)


def ramp(count: int) -> np.ndarray:
    """Samples that tell their own place: 1, 2, 3, …"""
    return np.arange(1, count + 1).astype(np.int16)


def test_the_released_window_of_a_ten_second_clip():
    """82 frames: frame 41 at 5.0625 s, sample 55,814; 65,534 samples from 23,047 on, and a zero at the end."""
    samples = np.random.default_rng(0).integers(-30_000, 30_000, 110_250).astype(np.int16)
    frame = views.centre_frame(82)
    centre = int((frame - 0.5) / 8 * 11_025)
    assert (frame, centre) == (41, 55_814)
    out = views.window(samples, centre, 65_535)
    assert out.dtype == np.float32 and out.shape == (65_535,)
    np.testing.assert_array_equal(out[:-1], samples[23_047:88_581] / np.float32(32_768))
    assert out[-1] == 0


def test_a_window_over_the_ends_is_zero_there():
    out = views.window(ramp(10), 2, 8) * 32_768
    assert out.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert (views.window(ramp(10), 9, 8) * 32_768).tolist() == [6, 7, 8, 9, 10, 0, 0, 0]


def test_a_window_beyond_the_sound_is_silent():
    assert (views.window(ramp(10), 13, 8) * 32_768).tolist() == [10, 0, 0, 0, 0, 0, 0, 0]
    assert not views.window(ramp(10), 16, 8).any() and not views.window(ramp(10), 999, 8).any()


def test_a_clip_shorter_than_the_window_is_repeated_first():
    """Three samples repeated 8 // 3 + 1 = 3 times make nine, of which the window takes eight."""
    assert (views.window(ramp(3), 4, 8) * 32_768).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]


def test_margins():
    assert views.frame_margin(PAPER, 11_025, 8) == 24
    assert views.frame_margin(Recipe(16_383, 64), 11_025, 8) == 6


def test_resizing_keeps_the_aspect_ratio_and_crops_the_middle():
    picture = Image.new("RGB", (320, 180))
    assert views.resize_short_side(picture, 224).size == (398, 224)
    assert views.resize_short_side(picture, 180) is picture
    assert int(views.TRAINING_RESIZE * 224) == 246


def jpeg(level: int, width: int = 48, height: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Twelve clips of 20 frames; frame k of every clip is of grey level 10 k, clip i's samples have value i + 1."""
    path = tmp_path_factory.mktemp("store") / "0000.arrow"
    with writing(path, audio_rate=11_025, frame_rate=8) as writer:
        for number in range(12):
            clip = PackedClip(
                clip_id=f"clip{number}",
                split=("train", "val", "test")[number % 3],
                labels=(number % 4,),
                start=None,
                end=None,
                audio=np.full(27_562, 100 * (number + 1), np.int16),
                frames=[jpeg(10 * frame) for frame in range(20)],
                box=None,
                width=48,
                height=40,
            )
            writer.add(clip)
    return Store([path])


def test_evaluation_looks_at_the_middle_frame(store):
    """Frame 20 // 2 = 10 counted from 1 is the tenth, of grey level 90."""
    frame = views.evaluation_frame(store, 0, SMALL)
    assert frame.shape == (3, 32, 32) and frame.dtype == np.uint8
    assert np.abs(frame.astype(int) - 90).max() <= 2
    sound = views.evaluation_sound(store, 3, SMALL)
    assert sound.shape == (1, 4_096) and np.all(sound[0, :-1] == np.float32(400 / 32_768))


@given(seed=st.integers(0, 2**31), index=st.integers(0, 11))
def test_training_views_stay_inside_the_clip(store, seed, index):
    random = np.random.default_rng(seed)
    margin = views.frame_margin(SMALL, store.audio_rate, store.frame_rate)
    moment = views.training_moment(store, index, SMALL, random)
    assert margin + 1 <= moment <= 20 - margin
    frame = views.training_frame(store, index, moment, SMALL, random)
    assert frame.shape == (3, 32, 32) and np.abs(frame.astype(int) - 10 * (moment - 1)).max() <= 2
    sound = views.training_sound(store, index, moment, SMALL, random)
    level = 100 * (index + 1) / 32_768
    assert sound.shape == (1, 4_096) and np.abs(sound).max() <= 1
    assert 0.499 * level <= sound[0, 2_000] <= 1.501 * level


def test_a_clip_too_short_for_a_free_choice_gives_its_middle(store):
    wide = Recipe(audio_samples=27_562, frame_size=32)
    moments = {views.training_moment(store, 0, wide, np.random.default_rng(seed)) for seed in range(20)}
    assert moments == {10}


def test_what_is_random_depends_on_seed_epoch_and_clip_only(store):
    dataset = TrainingViews(store, store.indices("train"), SMALL, ("audio", "visual"), seed=7)
    twice = dataset[3, 1], dataset[3, 1]
    assert np.array_equal(twice[0]["audio"], twice[1]["audio"])
    assert np.array_equal(twice[0]["visual"], twice[1]["visual"])
    assert not np.array_equal(dataset[4, 1]["audio"], twice[0]["audio"])
    other = TrainingViews(store, store.indices("train"), SMALL, ("audio",), seed=8)
    assert not np.array_equal(other[3, 1]["audio"], twice[0]["audio"])
    assert "visual" not in other[3, 1]


def test_worker_processes_give_the_same_batches(store, monkeypatch):
    dataset = TrainingViews(store, store.indices("train"), SMALL, ("audio", "visual"), seed=7)
    batches = ShuffledBatches(len(dataset), batch_size=2, seed=7)
    alone = list(training_loader(dataset, batches, epochs=1, threads=1))
    monkeypatch.setattr("avrobust.data.batches.WORKERS_START", 0)
    helped = list(training_loader(dataset, batches, epochs=1, threads=3))
    assert len(alone) == len(helped) == 2
    for one, other in zip(alone, helped, strict=True):
        assert one["clip_id"] == other["clip_id"]
        assert all(torch.equal(one[name], other[name]) for name in ("audio", "visual", "label"))


def test_workers_are_started_only_where_reading_takes_longer_than_they_do():
    """Each read takes 10 ms: 20 clips once are 0.2 s, 500 times 100 s."""

    class Slow:
        def __len__(self):
            return 20

        def __getitem__(self, key):
            time.sleep(0.01)

    assert workers_for(Slow(), range(20), passes=1, threads=4) == 0
    assert workers_for(Slow(), range(20), passes=500, threads=4) == 3
    assert workers_for(Slow(), range(20), passes=500, threads=1) == 0


def test_shuffling_covers_every_clip_once_and_leaves_the_incomplete_batch_out():
    batches = ShuffledBatches(clips=11, batch_size=3, seed=1)
    orders = []
    for epoch in (1, 2):
        batches.epoch = epoch
        made = list(batches)
        assert [len(batch) for batch in made] == [3, 3, 3] == [3] * len(batches)
        assert {number for batch in made for number, _ in batch} == {epoch}
        positions = [position for batch in made for _, position in batch]
        assert len(set(positions)) == 9 and set(positions) <= set(range(11))
        orders.append(positions)
    assert orders[0] != orders[1]


def test_evaluation_batches_hold_every_clip_in_order(store, monkeypatch):
    dataset = EvaluationViews(store, store.indices("test"), SMALL, ("audio", "visual"))
    cached = evaluation_batches(dataset, 3, passes=1, threads=1)
    assert isinstance(cached, list)
    monkeypatch.setattr("avrobust.data.batches.CACHED_BYTES", 0)
    read = list(evaluation_batches(dataset, 3, passes=1, threads=1))
    expected = [["clip2", "clip5", "clip8"], ["clip11"]]
    assert [batch["clip_id"] for batch in cached] == [batch["clip_id"] for batch in read] == expected
    # Whole groups up to the size, one at least.
    for size, group, sizes in ((3, 2, [2, 2]), (1, 3, [3, 1]), (4, 4, [4]), (7, 3, [4]), (2, 1, [2, 2])):
        made = evaluation_batches(dataset, size, passes=1, threads=1, group=group)
        assert [len(batch["clip_id"]) for batch in made] == sizes
        assert [name for batch in made for name in batch["clip_id"]] == ["clip2", "clip5", "clip8", "clip11"]


def test_an_attack_gets_whole_groups_or_the_batch_that_it_mixes(store):
    """Of the four test clips; also where the size asked for is no multiple of the group."""
    net = net_with_memory(group=2)
    victim = Trained(net, CROSS_ENTROPY, ["a"] * 5, {})
    dataset = EvaluationViews(store, store.indices("test"), SMALL, ("audio", "visual"))
    for spec, size, sizes in (
        (AttackSpec("fgsm"), 3, [2, 2]),
        (AttackSpec("fgsm"), 1, [2, 2]),
        (AttackSpec("fgsm"), 33, [4]),
        (AttackSpec("mim_official", batch_size=3), 2, [3, 1]),
        (AttackSpec("mim_official", batch_size=1), 4, [1, 1, 1, 1]),
    ):
        job = Opened(victim, spec, store, dataset, [], torch.device("cpu"), None)
        made = job.batches(bind(spec, victim), size, threads=1)
        assert [len(batch["clip_id"]) for batch in made] == sizes
    plain = Opened(
        victim._replace(model=narrow_net()), AttackSpec("fgsm"), store, dataset, [], torch.device("cpu"), None
    )
    assert [len(batch["clip_id"]) for batch in plain.batches(bind(plain.spec, plain.victim), 3, 1)] == [3, 1]


def test_the_epoch_is_chosen_by_batches_of_whole_groups(store):
    """The validation clips, through a net of which two clips share a result; training keeps its own size."""
    for net, sizes in ((narrow_net(), [3, 1]), (net_with_memory(group=2), [2, 2])):
        clips = training_clips(store, SMALL, net, batch_size=3, epochs=1, seed=0, threads=1)
        assert [len(batch["clip_id"]) for batch in clips.validation] == sizes
        assert [len(batch["clip_id"]) for batch in clips.loader] == [3]


def test_inputs_are_in_natural_units(store):
    batch = collate([EvaluationViews(store, [0], SMALL, ("audio", "visual"))[0]])
    inputs = inputs_of(batch, torch.device("cpu"))
    assert inputs["visual"].dtype == torch.float32 and inputs["visual"].shape == (1, 3, 32, 32)
    assert abs(inputs["visual"].mean().item() - 90 / 255) < 0.01
    assert inputs["audio"].shape == (1, 1, 4_096)
