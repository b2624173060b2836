"""Clips put back into their files: a view sees there what was put there; H.264 and AAC leave nearly that."""

from threading import Barrier
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from tiny_store import VIEWS, write_shard

from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.encoding import encode
from avrobust.evaluation import coded
from avrobust.evaluation.coded import Coded
from avrobust.evaluation.put_back import written
from avrobust.program import UserError
from avrobust.spec.coded import AAC_RATES
from avrobust.views.clip import ClipView
from avrobust.views.features import Features
from avrobust.views.moment import Moment

RATE, FRAMES_PER_SECOND = 800, 8


class Held:
    """A store of one clip, as it is: no JPEG between."""

    audio_rate, frame_rate = RATE, FRAMES_PER_SECOND

    def __init__(self, frames: np.ndarray, samples: np.ndarray):
        self.frames, self.samples, self.kept = frames, samples, {}

    def __len__(self) -> int:
        return 1

    def audio(self, i: int) -> np.ndarray:
        return self.samples

    def sample_count(self, i: int) -> int:
        return len(self.samples)

    def frame_count(self, i: int) -> int:
        return len(self.frames)

    def pixels(self, i: int, k: int) -> np.ndarray:
        return self.frames[k]


def drawn(frames: int, samples: int) -> Held:
    random = np.random.default_rng([frames, samples])
    pictures = random.integers(0, 256, (frames, 12, 18, 3), dtype=np.uint8)
    return Held(pictures, random.integers(-(2**15), 2**15, samples).astype(np.int16))


def attacked(view: object, clip: Held) -> dict[str, np.ndarray]:
    """Other values in the place of all that the view shows, on the levels of a file."""
    random = np.random.default_rng(1)
    seen = view.evaluation(clip, 0, ("audio", "visual"))
    sound = random.integers(-(2**15), 2**15, seen["audio"].shape) / 2**15
    frame = random.integers(0, 256, seen["visual"].shape) / 255
    return {"audio": sound.astype(np.float32), "visual": frame.astype(np.float32)}


def in_a_file(view: object, clip: Held, seen: dict[str, np.ndarray]) -> Held:
    made = written(view, clip, 0, seen)
    assert made.frames.dtype == made.samples.dtype == np.float32
    return Held(np.round(made.frames * 255).astype(np.uint8), (made.samples * 2**15).astype(np.int16))


@pytest.mark.parametrize(
    ("frames", "samples", "window"),
    [
        (26, 2600, 800),  # well inside the clip
        (27, 2600, 801),  # an odd window ends with a zero, whatever is put there
        (10, 1000, 900),  # begins before the clip
        (26, 1200, 1100),  # ends behind it
        (9, 300, 900),  # the sound is repeated to fill it
        (1, 100, 700),
        (1, 4000, 64),
        (2, 210, 211),
    ],
)
def test_a_moment_is_seen_in_its_clip_as_it_was_put_there(frames, samples, window):
    view, clip = Moment(window, 12), drawn(frames, samples)
    seen = attacked(view, clip)
    found = view.evaluation(in_a_file(view, clip, seen), 0, ("audio", "visual"))
    assert np.array_equal(found["visual"], np.round(seen["visual"] * 255))
    assert np.array_equal(found["audio"][:, : window // 2 * 2], seen["audio"][:, : window // 2 * 2])
    assert (found["audio"][:, window // 2 * 2 :] == 0).all()


def test_what_a_moment_does_not_see_stays_as_it_was():
    """And so does a modality of which nothing is put there."""
    view, clip = Moment(200, 12), drawn(26, 2600)
    held = in_a_file(view, clip, {"audio": np.zeros((1, 200), np.float32)})
    crops = clip.frames[:, :, 3:15]
    assert np.array_equal(held.frames, crops) and len(held.samples) == 2600
    changed = np.flatnonzero(held.samples != clip.samples)
    assert changed.max() - changed.min() < 200 and (held.samples[changed] == 0).all()


@pytest.mark.parametrize(("frames", "samples", "seconds"), [(26, 2600, 2.0), (26, 2600, 3.25), (10, 800, 3.0)])
@pytest.mark.parametrize("shown", [1, 3, 10, 16])
def test_a_clip_is_seen_as_it_was_put_there(frames, samples, seconds, shown):
    view, clip = ClipView(seconds, shown, 12), drawn(frames, samples)
    seen = attacked(view, clip)
    found = view.evaluation(in_a_file(view, clip, seen), 0, ("audio", "visual"))
    assert np.array_equal(found["visual"], np.round(seen["visual"] * 255))
    assert np.array_equal(found["audio"], seen["audio"])


def test_more_pictures_than_a_file_shows_are_named():
    view, clip = ClipView(2.0, 17, 12), drawn(26, 2600)
    with pytest.raises(UserError, match="17 pictures in 2 s are more than a file of 8 frames a second holds"):
        written(view, clip, 0, attacked(view, clip))


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> EvaluationViews:
    opened = VIEWS.opened([write_shard(tmp_path_factory.mktemp("store") / "0.arrow")])
    return EvaluationViews(opened, opened.indices("test"), VIEWS, ("audio", "visual"))


def test_an_encoder_leaves_clips_in_their_places(views):
    """Sound not moved by a sample, for it would be another wave; frames those of the moment. Each clip by itself."""
    batch = collate([views[number] for number in range(4)])
    inputs = inputs_of(batch, torch.device("cpu"))
    coder = Coded(views)
    found = coder(batch["clip_id"], inputs)
    for name, x in inputs.items():
        assert found[name].shape == x.shape and found[name].dtype == torch.float32
        assert not torch.equal(found[name], x)
        ours, given = (one.flatten(1) - one.flatten(1).mean(1, keepdim=True) for one in (found[name], x))
        alike = torch.nn.functional.cosine_similarity(ours, given)
        assert (alike > 0.9).all(), name
        others = torch.nn.functional.cosine_similarity(ours, given.roll(1, dims=0))
        shifted = torch.nn.functional.cosine_similarity(ours, given.roll(1, dims=1))
        assert (alike > others + 0.3).all() and (alike > shifted).all(), name
    alone = coder(batch["clip_id"][2:3], {name: x[2:3] for name, x in inputs.items()})
    assert all(torch.equal(alone[name], found[name][2:3]) for name in inputs)


def test_clips_come_out_the_same_whatever_the_number_of_threads(views):
    batch = collate([views[number] for number in range(len(views))])
    inputs = inputs_of(batch, torch.device("cpu"))
    one, three = (Coded(views, threads)(batch["clip_id"], inputs) for threads in (1, 3))
    assert all(torch.equal(one[name], three[name]) for name in inputs)


def test_several_clips_are_encoded_at_a_time(views, monkeypatch):
    """As many as there are threads: each waits until all of them are there."""
    batch = collate([views[number] for number in range(3)])
    coder, together = Coded(views, 3), Barrier(3)

    def waiting(*given):
        together.wait(timeout=20)
        encode(*given)

    monkeypatch.setattr(coded, "encode", waiting)
    assert coder(batch["clip_id"], inputs_of(batch, torch.device("cpu"))).keys() == {"audio", "visual"}


def test_what_no_file_holds_is_not_encoded(views):
    with pytest.raises(UserError, match="view Features shows no clips of a file"):
        Coded(SimpleNamespace(view=Features("net"), store=None, indices=[]))


@pytest.mark.parametrize(
    ("view", "rate", "why"),
    [
        (Moment(4096, 33), 11025, "frames of 33 x 33 pixels cannot be H.264, .* give the view an even frame_size"),
        (Moment(4096, 32), 11000, "sound of 11000 samples a second cannot be AAC; give audio_rate as one of 7350, "),
        (ClipView(0.3, 3, 32), 11025, "3 pictures in 0.3 s are more than a file of 8 frames a second holds"),
    ],
)
def test_what_cannot_be_encoded_is_said_before_anything_is_attacked(tmp_path, view, rate, why):
    opened = view.opened([write_shard(tmp_path / "0.arrow")])
    opened.audio_rate = rate
    with pytest.raises(UserError, match=why) as raised:
        Coded(EvaluationViews(opened, opened.indices("test"), view, ("audio", "visual")))
    assert "\n" not in str(raised.value)


def test_a_clip_that_comes_out_broken_is_one_line(views, monkeypatch):
    batch = collate([views[number] for number in range(2)])
    coder = Coded(views)
    monkeypatch.setattr(coded, "encode", lambda *given: given[-1].write_bytes(b"no video"))
    with pytest.raises(UserError) as raised:
        coder(batch["clip_id"], inputs_of(batch, torch.device("cpu")))
    assert str(raised.value).startswith(
        "clip test00 as H.264 and AAC: unreadable (docs/data.md says what that is); leave"
    )
    assert "\n" not in str(raised.value)


def test_a_clip_that_cannot_be_written_is_named(views, monkeypatch):
    batch = collate([views[number] for number in range(2)])
    coder = Coded(views)

    def full(*given):
        raise UserError("clip.mp4 could not be written: No space left on device")

    monkeypatch.setattr(coded, "encode", full)
    with pytest.raises(
        UserError, match=r"^clip test00 as H\.264 and AAC: clip\.mp4 could not be written: No space left"
    ):
        coder(batch["clip_id"], inputs_of(batch, torch.device("cpu")))


def test_the_rates_that_a_plan_takes_for_those_of_aac_are_the_encoders():
    assert set(AAC_RATES) == set(av.codec.Codec("aac", "w").audio_rates)
