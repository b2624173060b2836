"""From a file through packing and a shard to what a net reads: every sample and pixel in its place and channel.

The sound tells its own place sample by sample, the picture by a colour in each quarter and by the level of its middle.
"""

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
from avrobust.views.moment import Moment

FORM = Form(audio_rate=11_025, frame_rate=8, short_side=0, minimum_frames=49)
RECIPE = Moment(audio_samples=65_535, frame_size=64)
SECONDS, RATE = 10, 25
# Quarters of a picture, red, green, blue: above left and right, below left and right.
QUARTERS = np.array([[(200, 60, 60), (60, 190, 60)], [(60, 60, 200), (190, 180, 70)]])


def level(frame: int | np.ndarray) -> int | np.ndarray:
    """Grey level of the middle of a frame, of 250."""
    return 20 + frame * 4 // 5


# Noise, of which no stretch is like another; one sample more or less gives other numbers altogether.
SAMPLES = np.random.default_rng(0).integers(-20_000, 20_000, SECONDS * 11_025).astype("<i2")


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Store:
    """A clip of ten seconds, as a whole and as the span from second 1 on, for the test and for training."""
    folder = tmp_path_factory.mktemp("net")
    pictures = np.repeat(np.repeat(QUARTERS, 32, 0), 40, 1)[None].repeat(SECONDS * RATE, 0).astype(np.uint8)
    pictures[:, 24:40, 24:56] = level(np.arange(SECONDS * RATE))[:, None, None, None]
    (folder / "pictures.raw").write_bytes(pictures.tobytes())
    (folder / "sound.raw").write_bytes(SAMPLES.tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "80x64", "-r", str(RATE), "-i", folder / "pictures.raw")
    sound = ("-f", "s16le", "-ar", "11025", "-ac", "1", "-i", folder / "sound.raw")
    codecs = ("-c:v", "libx264", "-qp", "4", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1")
    ffmpeg(*raw, *sound, *codecs, "-c:a", "pcm_s16le", folder / "clip.mov")
    rows = [
        Clip(name, "clip", start, None if start is None else 10.0, ("a",), split, "local", "t", "clip.mov")
        for name, start, split in [("whole", None, "test"), ("part", 1.0, "test"), ("trained", None, "train")]
    ]
    with store.writing(folder / "s.arrow", audio_rate=11_025, frame_rate=8, classes=("a",)) as shard:
        located = [(row, in_manifest(row)) for row in rows]
        outcomes = list(packing.pack(located, ("a",), folder, FORM, "drop", 1, shard))
    assert [(outcome.status, outcome.frames) for outcome in outcomes] == [("ok", 82), ("ok", 74), ("ok", 82)]
    return Store([folder / "s.arrow"])


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


def test_a_net_normalises_red_as_red(packed):
    """The mean colour of ImageNet becomes 0 in each channel, and a level above it 1 / (255 std)."""
    net = ResNet18(width=0.125)
    seen = []
    net.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net.eval()(
        torch.tensor(imagenet.MEAN).view(1, 3, 1, 1).expand(1, 3, 32, 32) + torch.tensor([0.229, 0, 0]).view(3, 1, 1)
    )
    assert seen[0].mean((0, 2, 3)).tolist() == pytest.approx([1, 0, 0], abs=1e-5)
