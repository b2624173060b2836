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

from avrobust.attacks.threat import bind
from avrobust.data.batches import (
    EvaluationViews,
    ShuffledBatches,
    TrainingViews,
    collate,
    evaluation_batches,
    inputs_of,
    training_loader,
    whole_groups,
    workers_for,
)
from avrobust.data.store import PackedClip, Store, writing
from avrobust.evaluation.arguments import Opened
from avrobust.models.files import Trained
from avrobust.spec.attacks import AttackSpec
from avrobust.training.clips import training_clips
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.start import MemoryRecipe, memory_banks
from avrobust.views.augmentation import TRAINING_RESIZE, resize_short_side
from avrobust.views.moment import Moment, window

PAPER = Moment(audio_samples=65_535, frame_size=224)
SMALL = Moment(audio_samples=4_096, frame_size=32)


def ramp(count: int) -> np.ndarray:
    """Samples that tell their own place: 1, 2, 3, …"""
    return np.arange(1, count + 1).astype(np.int16)


def test_the_released_window_of_a_ten_second_clip():
    """82 frames: frame 41 at 5.0625 s, sample 55,814; 65,534 samples from 23,047 on, and a zero at the end."""
    samples = np.random.default_rng(0).integers(-30_000, 30_000, 110_250).astype(np.int16)
    frame = 82 // 2
    centre = int((frame - 0.5) / 8 * 11_025)
    assert (frame, centre) == (41, 55_814)
    out = window(samples, centre, 65_535)
    assert out.dtype == np.float32 and out.shape == (65_535,)
    np.testing.assert_array_equal(out[:-1], samples[23_047:88_581] / np.float32(32_768))
    assert out[-1] == 0


def test_a_window_over_the_ends_is_zero_there():
    out = window(ramp(10), 2, 8) * 32_768
    assert out.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert (window(ramp(10), 9, 8) * 32_768).tolist() == [6, 7, 8, 9, 10, 0, 0, 0]


def test_a_window_beyond_the_sound_is_silent():
    assert (window(ramp(10), 13, 8) * 32_768).tolist() == [10, 0, 0, 0, 0, 0, 0, 0]
    assert not window(ramp(10), 16, 8).any() and not window(ramp(10), 999, 8).any()


def test_a_clip_shorter_than_the_window_is_repeated_first():
    """Three samples repeated 8 // 3 + 1 = 3 times make nine, of which the window takes eight."""
    assert (window(ramp(3), 4, 8) * 32_768).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]


def test_margins():
    assert PAPER.margin(11_025, 8) == 24
    assert Moment(16_383, 64).margin(11_025, 8) == 6


def test_resizing_keeps_the_aspect_ratio_and_crops_the_middle():
    picture = np.zeros((180, 320, 3), np.uint8)
    assert resize_short_side(picture, 224).shape == (224, 398, 3)
    assert resize_short_side(picture, 180) is picture
    assert int(TRAINING_RESIZE * 224) == 246


# What a picture shows at column x, row y of frame k: every value tells its own place, and in which channel it belongs.
def red(x: np.ndarray) -> np.ndarray:
    return 20 + 4 * x


def green(y: np.ndarray) -> np.ndarray:
    return 30 + 5 * y


def blue(frame: int) -> int:
    return 40 + 10 * frame


def jpeg(frame: int, width: int = 48, height: int = 40) -> bytes:
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = red(np.arange(width))
    pixels[..., 1] = green(np.arange(height))[:, None]
    pixels[..., 2] = blue(frame)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=98, subsampling=0)
    return out.getvalue()


def sound_of(number: int) -> np.ndarray:
    """Samples of clip `number` that tell their own place."""
    return (ramp(27_562) + 100 * number).astype(np.int16)


def places(values: np.ndarray, first: int, slope: int) -> np.ndarray:
    """Return where in the picture values of a ramp are found, in pixels."""
    return (values - first) / slope


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Twelve clips of 20 frames; frame k of every clip is bluer by 10 k, and clip i's sound higher by 100 i."""
    path = tmp_path_factory.mktemp("store") / "0000.arrow"
    with writing(path, audio_rate=11_025, frame_rate=8, classes="abcd") as writer:
        for number in range(12):
            clip = PackedClip(
                clip_id=f"clip{number}",
                split=("train", "val", "test")[number % 3],
                labels=(number % 4,),
                start=None,
                end=None,
                audio=sound_of(number),
                frames=[jpeg(frame) for frame in range(20)],
                box=None,
                width=48,
                height=40,
            )
            writer.add(clip)
    return Store([path])


def test_evaluation_looks_at_the_middle_frame(store):
    """Frame 20 // 2 = 10 counted from 1 is the tenth; of 48 x 40 pixels made 38 x 32, columns 3 to 34 are shown."""
    frame = SMALL.evaluation(store, 0, ["visual"])["visual"]
    assert frame.shape == (3, 32, 32) and frame.dtype == np.uint8
    frame = frame.astype(float)
    inside = slice(1, -1)  # at its edges bicubic scaling flattens a ramp
    columns, rows = (np.arange(32) + 3.5) * 48 / 38 - 0.5, (np.arange(32) + 0.5) * 40 / 32 - 0.5
    assert np.abs(frame[0, :, inside] - red(columns)[inside]).max() <= 4
    assert np.abs(frame[1, inside] - green(rows)[inside, None]).max() <= 4
    assert np.abs(frame[2] - blue(9)).max() <= 4


def test_evaluation_hears_the_middle_frame(store):
    """The tenth frame's middle is at 9.5 / 8 s, sample 13,092; 2,048 before it is sample 11,044, of value 11,045."""
    sound = SMALL.evaluation(store, 3, ["audio"])["audio"]
    assert sound.shape == (1, 4_096)
    assert (sound[0, :-1] * 32_768).tolist() == list(range(11_045 + 300, 11_045 + 300 + 4_095))


def test_an_odd_window_ends_with_a_zero(store):
    """As in the released code: 2 * 2,047 samples around the same moment."""
    sound = Moment(4_095, 32).evaluation(store, 0, ["audio"])["audio"][0] * 32_768
    assert sound.tolist() == [*range(11_046, 11_046 + 4_094), 0]


@given(seed=st.integers(0, 2**31), index=st.integers(0, 11))
def test_training_views_stay_inside_the_clip(store, seed, index):
    """Frame and sound of one moment: a crop at whole pixels of 42 x 35, mirrored or not, at the sound's own place."""
    moment = SMALL.random_frame(store, index, np.random.default_rng(seed))
    margin = SMALL.margin(store.audio_rate, store.frame_rate)
    assert margin + 1 <= moment <= 20 - margin
    seen = SMALL.training(store, index, ["audio", "visual"], np.random.default_rng(seed))
    frame = seen["visual"].astype(float)
    assert frame.shape == (3, 32, 32)
    left, top, _ = crop_of(frame)
    assert -0.5 < left < 10.5 and -0.5 < top < 3.5
    assert np.abs(frame[2] - blue(moment - 1)).max() <= 4
    sound = seen["audio"][0].astype(float) * 32_768
    first = int((moment - 0.5) / 8 * 11_025) - 2_048
    wanted = sound_of(index)[first : first + 4_096].astype(float)
    gain = sound[0] / wanted[0]
    assert 0.5 <= gain <= 1.5
    np.testing.assert_allclose(sound, np.clip(gain * wanted, -32_768, 32_768), rtol=1e-5)


def crop_of(frame: np.ndarray) -> tuple[float, float, bool]:
    """Return left and top of a training crop in the picture of 42 x 35 that it is of, and whether it is mirrored."""
    across, down = frame[0].mean(0), frame[1].mean(1)
    mirrored = across[-1] < across[0]
    across = across[::-1] if mirrored else across
    columns, rows = places(across, 20, 4), places(down, 30, 5)
    left = (columns + 0.5) * 42 / 48 - 0.5 - np.arange(32)
    top = (rows + 0.5) * 35 / 40 - 0.5 - np.arange(32)
    # Everywhere the same, and so upright; bicubic scaling flattens the ends of a ramp.
    assert np.ptp(left[1:-1]) < 0.9 and np.ptp(top[1:-1]) < 0.9
    return float(np.median(left)), float(np.median(top)), mirrored


def test_training_crops_are_of_every_place_and_mirrored_half_the_time(store):
    """Of 42 - 32 + 1 columns and 35 - 32 + 1 rows; 100 of 300 are 5.8 standard deviations from a half."""
    seen = [SMALL.training(store, 0, ["visual"], np.random.default_rng(seed)) for seed in range(300)]
    crops = [crop_of(one["visual"]) for one in seen]
    assert {round(left) for left, _, _ in crops} == set(range(11))
    assert {round(top) for _, top, _ in crops} == set(range(4))
    assert 100 < sum(mirrored for *_, mirrored in crops) < 200


def test_a_clip_too_short_for_a_free_choice_gives_its_middle(store):
    wide = Moment(audio_samples=27_562, frame_size=32)
    moments = {wide.random_frame(store, 0, np.random.default_rng(seed)) for seed in range(20)}
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
    watched = EvaluationViews(store, store.indices("test"), SMALL, ("audio", "visual"))
    alone, helped = (list(evaluation_batches(watched, 3, passes=1, threads=threads)) for threads in (1, 3))
    assert [batch["clip_id"] for batch in alone] == [batch["clip_id"] for batch in helped]
    assert all(torch.equal(one["visual"], other["visual"]) for one, other in zip(alone, helped, strict=True))


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


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_epochs_of_so_many_batches_are_the_passes_one_after_the_other_cut_anew(size):
    def epochs(count: int, **more: int) -> list:
        batches = ShuffledBatches(clips=11, batch_size=3, seed=1, **more)
        made = []
        for batches.epoch in range(1, count + 1):
            made.append(list(batches))
            assert len(made[-1]) == len(batches)
        return made

    passes = [batch for epoch in epochs(12) for batch in epoch]
    cut = epochs(5, epoch_batches=size)
    assert [batch for epoch in cut for batch in epoch] == passes[: 5 * size]
    assert all(len(epoch) == size for epoch in cut)


def test_evaluation_batches_hold_every_clip_in_order(store, monkeypatch):
    dataset = EvaluationViews(store, store.indices("test"), SMALL, ("audio", "visual"))
    cached = evaluation_batches(dataset, 3, passes=1, threads=1)
    assert isinstance(cached, list)
    monkeypatch.setattr("avrobust.data.batches.CACHED_BYTES", 0)
    read = list(evaluation_batches(dataset, 3, passes=1, threads=1))
    expected = [["clip2", "clip5", "clip8"], ["clip11"]]
    assert [batch["clip_id"] for batch in cached] == [batch["clip_id"] for batch in read] == expected


def test_whole_groups_are_the_most_up_to_a_size_and_one_at_least():
    sizes = ((32, 4, 32), (33, 4, 32), (35, 4, 32), (3, 4, 4), (13, 4, 12), (7, 1, 7), (5, 8, 8))
    assert all(whole_groups(size, group) == wanted for size, group, wanted in sizes)


def test_an_attack_gets_whole_groups_or_the_batch_that_it_mixes(store, caplog):
    """Of the four test clips; also where the size asked for is no multiple of the group, which is said."""
    caplog.set_level("INFO")
    net = net_with_memory(group=2)
    victim = Trained(net, CROSS_ENTROPY, ["a"] * 5, {})
    dataset = EvaluationViews(store, store.indices("test"), SMALL, ("audio", "visual"))

    def job_of(net: Trained) -> Opened:
        return Opened({"concat": net}, store, dataset, None, torch.device("cpu"), None)

    for spec, size, sizes in (
        (AttackSpec("fgsm"), 3, [2, 2]),
        (AttackSpec("fgsm"), 1, [2, 2]),
        (AttackSpec("fgsm"), 33, [4]),
        (AttackSpec("mim_official", batch_size=3), 2, [3, 1]),
        (AttackSpec("mim_official", batch_size=1), 4, [1, 1, 1, 1]),
    ):
        threat = bind(spec, victim)
        group = threat.clips_together(victim.model)
        made = job_of(victim).batches(group, size, threads=1, batch_size=threat.batch_size)
        assert [len(batch["clip_id"]) for batch in made] == sizes
    assert "2 clips at a time, not 3: the result of each depends on 2" in caplog.messages
    assert "3 clips at a time, not 2: the result of each depends on 3" in caplog.messages
    plain = victim._replace(model=narrow_net())
    alone = bind(AttackSpec("fgsm"), plain).clips_together(plain.model)
    assert [len(batch["clip_id"]) for batch in job_of(plain).batches(alone, 3, threads=1)] == [3, 1]


def test_the_epoch_is_chosen_by_batches_of_whole_groups(store):
    """The validation clips, through a net of which two clips share a result; training keeps its own size."""
    for net, sizes in ((narrow_net(), [3, 1]), (net_with_memory(group=2), [2, 2])):
        clips = training_clips(store, SMALL, net, "single", TrainingRecipe(1, 3, {}), seed=0, threads=1)
        assert [len(batch["clip_id"]) for batch in clips.validation] == sizes
        assert [len(batch["clip_id"]) for batch in clips.loader] == [3]


class Levels(torch.nn.Module):
    """A feature as long as its clip is loud, so that of two clips the louder one goes on for longer."""

    out_features = 64

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        return 1e4 * sound[:, 0, :1] * torch.linspace(0, 1, 64)


def test_a_memory_of_the_finished_net_is_filled_in_whole_groups(store):
    """Where that net has a memory too, of which two clips stop together, and the batches are of three."""
    net = net_with_memory(group=2, tolerance=0.01)
    net.encoders["audio"] = Levels()
    start, recipe = Trained(net, CROSS_ENTROPY, ["a"] * 5, {}), MemoryRecipe(4, "eval_mode", {})
    banks = [
        memory_banks(recipe, start, store, SMALL, size, seed=0, threads=1, device=torch.device("cpu"))
        for size in (2, 3)
    ]
    assert torch.equal(banks[0]["audio"], banks[1]["audio"])


def test_inputs_are_in_natural_units(store):
    batch = collate([EvaluationViews(store, [0], SMALL, ("audio", "visual"))[0]])
    inputs = inputs_of(batch, torch.device("cpu"))
    assert inputs["visual"].dtype == torch.float32 and inputs["visual"].shape == (1, 3, 32, 32)
    red_green_blue = inputs["visual"].mean((0, 2, 3)) * 255
    middle = torch.tensor([red(23.5), green(19.5), blue(9)])
    assert (red_green_blue - middle).abs().max() < 2
    assert inputs["audio"].shape == (1, 1, 4_096)
    assert inputs["audio"][0, 0, 0].item() == 11_045 / 32_768
