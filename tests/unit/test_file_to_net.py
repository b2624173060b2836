"""From a file through packing and a shard to what a net reads: every sample and pixel in its place and channel.

The sound tells its own place sample by sample, the picture by a colour in each quarter and by the level of its middle.
"""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_files import ffmpeg

from avrobust import imagenet
from avrobust.data import packing, store
from avrobust.data.batches import EvaluationViews, TrainingViews, collate, inputs_of
from avrobust.data.locations import in_manifest
from avrobust.data.manifest import Clip
from avrobust.data.media import Form
from avrobust.data.store import Store
from avrobust.models.encoders.resnet18 import ResNet18
from avrobust.views.clip import ClipView
from avrobust.views.moment import Moment

FORM = Form(audio_rate=11_025, frame_rate=8, short_side=0, minimum_frames=49)
RECIPE = Moment(audio_samples=65_535, frame_size=64)
SECONDS, RATE = 10, 25
# Quarters of a picture, red, green, blue: above left and right, below left and right.
QUARTERS = np.array([[(200, 60, 60), (60, 190, 60)], [(60, 60, 200), (190, 180, 70)]])


def level(frame: int | np.ndarray) -> int | np.ndarray:
    """Grey level of the middle of a frame, of 250."""
    return 20 + frame * 4 // 5


def noise(rate: int) -> np.ndarray:
    """Samples of which no stretch is like another; one more or less gives other numbers altogether."""
    return np.random.default_rng(0).integers(-20_000, 20_000, SECONDS * rate).astype("<i2")


SAMPLES = noise(11_025)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Store:
    """A clip of ten seconds, as a whole and as the span from second 1 on, for the test and for training."""
    store, frames = pack(tmp_path_factory.mktemp("net"), FORM)
    assert frames == [82, 74, 82]
    return store


def pack(folder: Path, form: Form) -> tuple[Store, list[int]]:
    """Pack the clip and return its store, and how many frames each of its rows has."""
    pictures = np.repeat(np.repeat(QUARTERS, 32, 0), 40, 1)[None].repeat(SECONDS * RATE, 0).astype(np.uint8)
    pictures[:, 24:40, 24:56] = level(np.arange(SECONDS * RATE))[:, None, None, None]
    (folder / "pictures.raw").write_bytes(pictures.tobytes())
    (folder / "sound.raw").write_bytes(noise(form.audio_rate).tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "80x64", "-r", str(RATE), "-i", folder / "pictures.raw")
    sound = ("-f", "s16le", "-ar", str(form.audio_rate), "-ac", "1", "-i", folder / "sound.raw")
    codecs = ("-c:v", "libx264", "-qp", "4", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1")
    ffmpeg(*raw, *sound, *codecs, "-c:a", "pcm_s16le", folder / "clip.mov")
    rows = [
        Clip(name, "clip", start, None if start is None else 10.0, ("a",), split, "local", "t", "clip.mov")
        for name, start, split in [("whole", None, "test"), ("part", 1.0, "test"), ("trained", None, "train")]
    ]
    rates = {"audio_rate": form.audio_rate, "frame_rate": form.frame_rate}
    with store.writing(folder / "s.arrow", **rates, classes=("a",)) as shard:
        located = [(row, in_manifest(row)) for row in rows]
        outcomes = list(packing.pack(located, ("a",), folder, form, "drop", 1, shard))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    return Store([folder / "s.arrow"]), [outcome.frames for outcome in outcomes]


def quarters(frame: np.ndarray) -> np.ndarray:
    """Mean colours of the quarters of a frame (3, 64, 64), away from their edges: (2, 2, 3)."""
    return np.array([[frame[:, y : y + 12, x : x + 12].mean((1, 2)) for x in (4, 48)] for y in (4, 48)])


@pytest.mark.parametrize(
    ("number", "shown", "first"),
    [
        # 82 // 2 = 41: slot 40 of `-r 8` shows frame 121 of 25 a second, and second 40.5 / 8 is sample 55,814.
        (0, 121, 55_814 - 32_767),
        # 74 // 2 = 37: slot 36 shows frame 109 after second 1, and 36.5 / 8 s is sample 50,301 after it.
        (1, 25 + 109, 11_025 + 50_301 - 32_767),
    ],
    ids=["whole", "part"],
)
def test_evaluation_reads_the_right_samples_and_pixels(packed, number, shown, first):
    inputs = inputs_of(collate([EvaluationViews(packed, [0, 1], RECIPE, ("audio", "visual"))[number]]), "cpu")
    sound = (inputs["audio"][0, 0].numpy() * 32_768).astype(int)
    assert sound.tolist() == [*SAMPLES[first : first + 65_534].tolist(), 0]
    frame = inputs["visual"][0].numpy() * 255
    assert np.abs(quarters(frame) - QUARTERS).max() < 6
    # Frames are 0.8 of a level apart: within two of 25 a second, a sixth of a slot.
    assert frame[:, 28:36, 28:36].mean() == pytest.approx(level(shown), abs=2)


def test_training_reads_frame_and_sound_of_the_same_moment(packed):
    training = TrainingViews(packed, [2], RECIPE, ("audio", "visual"), seed=1)
    mirrored = set()
    for epoch in range(12):
        item = training[epoch, 0]
        sound = item["audio"][0, :-1]
        frame = item["visual"].astype(float)
        # Of the samples around the right moment, and no others, these are a multiple.
        scaled = np.pad(SAMPLES, (0, 65_534)) / np.float32(32_768)
        places = [int((moment - 0.5) / 8 * 11_025) - 32_767 for moment in range(25, 59)]
        alike = [np.corrcoef(sound, scaled[place : place + 65_534])[0, 1] for place in places]
        moment = 25 + int(np.argmax(alike))
        assert max(alike) > 0.9999 and sorted(alike)[-2] < 0.1
        # Slot k shows frame 25 / 8 k - 4, to within two.
        shown = (frame[:, 28:36, 28:36].mean() - 20) * 5 / 4
        assert shown == pytest.approx((moment - 1) * RATE / 8 - 4, abs=4)
        found = np.abs(quarters(frame) - QUARTERS).max() < 12
        turned = np.abs(quarters(frame) - QUARTERS[:, ::-1]).max() < 12
        assert found != turned
        mirrored.add(turned)
    assert mirrored == {False, True}


@pytest.fixture(scope="module")
def at_16_000(tmp_path_factory) -> Store:
    """The same clip at 16,000 samples and 16 frames a second."""
    store, frames = pack(tmp_path_factory.mktemp("li2022"), Form(16_000, 16, short_side=48, minimum_frames=16))
    assert frames == [162, 146, 162]
    return store


def shown_at(slot: int, rate: int) -> int:
    """Frame of 25 a second that `-r rate` shows in a slot: the first one that begins 2.1 slots before it or later.

    ffmpeg counts a frame of 0.64 slots as a whole one, and lets the next slot begin 1.1 before it ends; at the start
    each frame has a slot.
    """
    return max(math.ceil((slot - 2.1) * RATE / rate), slot)


def test_a_moment_of_a_clip_at_16_000_samples_and_16_frames_a_second(at_16_000):
    """162 // 2 = 81: slot 80, and 80.5 / 16 s is sample 80,500."""
    view = Moment(audio_samples=16_384, frame_size=48)
    inputs = inputs_of(collate([EvaluationViews(at_16_000, [0], view, ("audio", "visual"))[0]]), "cpu")
    sound = (inputs["audio"][0, 0].numpy() * 32_768).astype(int)
    assert sound.tolist() == noise(16_000)[80_500 - 8_192 : 80_500 + 8_192].tolist()
    # The middle of a picture of 80 x 64 made 60 x 48.
    grey = inputs["visual"][0, :, 20:28, 20:28].mean() * 255
    assert grey == pytest.approx(level(shown_at(80, 16)), abs=2)
    assert view.margin(16_000, 16) == 8


def test_the_whole_of_a_clip_at_16_000_samples_and_16_frames_a_second(at_16_000):
    """Every sample, and of 162 frames those at (t + 1/2) / 20 of them: all within two slots of their moment."""
    view = ClipView(seconds=10, frames=20, frame_size=48)
    for kind in (EvaluationViews, functools.partial(TrainingViews, seed=1)):
        views = kind(at_16_000, [0], view, ("audio", "visual"))
        inputs = inputs_of(collate([views[0 if kind is EvaluationViews else (1, 0)]]), "cpu")
        assert inputs["audio"].shape == (1, 1, 160_000) and inputs["visual"].shape == (1, 20, 3, 48, 48)
        sound, wanted = inputs["audio"][0, 0].numpy(), noise(16_000) / np.float32(32_768)
        gain = 1 if kind is EvaluationViews else float(np.abs(sound).max() / np.abs(wanted).max())
        np.testing.assert_allclose(sound, gain * wanted, atol=1e-6)
        slots = [int((part + 0.5) / 20 * 162) for part in range(20)]
        grey = inputs["visual"][0, :, :, 22:26, 22:26].mean((1, 2, 3)) * 255
        assert grey.tolist() == pytest.approx([level(shown_at(slot, 16)) for slot in slots], abs=2)
        assert [shown_at(slot, 16) / RATE for slot in slots] == pytest.approx(np.arange(20) / 2 + 0.25, abs=0.14)


def test_a_net_normalises_red_as_red(packed):
    """The mean colour of ImageNet becomes 0 in each channel, and a level above it 1 / (255 std)."""
    net = ResNet18(width=0.125)
    seen = []
    net.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net.eval()(
        torch.tensor(imagenet.MEAN).view(1, 3, 1, 1).expand(1, 3, 32, 32) + torch.tensor([0.229, 0, 0]).view(3, 1, 1)
    )
    assert seen[0].mean((0, 2, 3)).tolist() == pytest.approx([1, 0, 0], abs=1e-5)
