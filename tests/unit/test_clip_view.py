"""The view `clip`: which seconds, which pictures, and one crop and one gain for all of them."""

import io
import pickle

import numpy as np
import pytest
from extending_page import sections
from PIL import Image

from avrobust.data.store import PackedClip, Store, writing
from avrobust.program import UserError
from avrobust.views.clip import ClipView
from avrobust.views.view import View, build_view

# Samples and frames per second; ffmpeg makes two frames more than a clip lasts.
AUDIO_RATE, FRAME_RATE = 100, 2
# Seconds of sound and of picture of each clip.
CLIPS = {"whole": (10, 10), "long": (20, 20), "short": (4, 4), "silent_end": (7, 10)}
TEN = ClipView(seconds=10, frames=5, frame_size=32)


def picture(frame: int) -> bytes:
    """A picture of 48 x 40 that tells its number by its blue, and by red and green the place of each pixel."""
    pixels = np.empty((40, 48, 3), np.uint8)
    pixels[..., 0] = 20 + 4 * np.arange(48)
    pixels[..., 1] = 30 + 5 * np.arange(40)[:, None]
    pixels[..., 2] = 5 * frame
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=98, subsampling=0)
    return data.getvalue()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sound that tells its own place: 1, 2, 3, ..."""
    path = tmp_path_factory.mktemp("clips") / "0000.arrow"
    with writing(path, audio_rate=AUDIO_RATE, frame_rate=FRAME_RATE, classes="ab") as shard:
        for name, (heard, shown) in CLIPS.items():
            sound = np.arange(1, heard * AUDIO_RATE + 1).astype(np.int16)
            frames = [picture(frame) for frame in range(shown * FRAME_RATE + 2)]
            shard.add(PackedClip(name, "train", (0,), None, None, sound, frames, None, 48, 40))
    return Store([path])


def numbers(frames: np.ndarray) -> list[int]:
    """Which frames of a clip are shown, (T, 3, H, W)."""
    return np.round(frames[:, 2].mean((1, 2)) / 5).astype(int).tolist()


def samples(sound: np.ndarray) -> list[int]:
    return (sound[0] * 32_768).astype(int).tolist()


def judged(store: Store, name: str, view: ClipView = TEN) -> tuple[list[int], list[int]]:
    seen = view.evaluation(store, list(CLIPS).index(name), ["audio", "visual"])
    return samples(seen["audio"]), numbers(seen["visual"])


def test_a_clip_of_these_seconds_is_shown_whole(store: Store) -> None:
    """Of five parts the centres lie at 1, 3, 5, 7 and 9 of 10 s: of 22 frames 2.2, 6.6, 11, 15.4, 19.8."""
    assert judged(store, "whole") == (list(range(1, 1001)), [2, 6, 11, 15, 19])


def test_of_a_longer_clip_it_is_the_middle(store: Store) -> None:
    """From second 5 of 20 on; the centres at 6, 8, 10, 12, 14 s are frames 12.6, 16.8, 21, 25.2, 29.4 of 42."""
    assert judged(store, "long") == (list(range(501, 1501)), [12, 16, 21, 25, 29])


def test_a_shorter_clip_is_repeated_sound_and_pictures_alike(store: Store) -> None:
    """The centres at 1, 3, 5, 7, 9 s are 1, 3, 1, 3, 1 s of 4: frames 2.5 and 7.5 of 10."""
    once = list(range(1, 401))
    assert judged(store, "short") == (once + once + once[:200], [2, 7, 2, 7, 2])


def test_where_the_picture_goes_on_without_sound_it_is_silent(store: Store) -> None:
    assert judged(store, "silent_end") == ([*range(1, 701), *[0] * 300], [2, 6, 11, 15, 19])


def test_as_many_pictures_as_asked_for_whatever_the_frames(store: Store) -> None:
    """40 parts of 10 s, of which 22 frames show most twice; one part: the centre."""
    many = judged(store, "whole", ClipView(10, 40, 32))[1]
    assert many == [int((part + 0.5) / 40 * 22) for part in range(40)]
    assert judged(store, "whole", ClipView(10, 1, 32))[1] == [11]


def test_training_takes_any_stretch_where_it_may_and_the_middle_elsewhere(store: Store) -> None:
    free, index = ClipView(10, 5, 32, random_stretch=True), list(CLIPS).index("long")
    starts = []
    for seed in range(200):
        seen = free.training(store, index, ["audio", "visual"], np.random.default_rng(seed))
        sound = seen["audio"][0] * 32_768
        # A ramp times a gain: its first value over its step is where it starts.
        gain = (sound[-1] - sound[0]) / 999
        start = round(float(sound[0] / gain)) - 1
        np.testing.assert_allclose(sound, gain * np.arange(start + 1, start + 1001), rtol=1e-4)
        assert 0.5 <= gain <= 1.5
        centres = (start / 100 + np.array([1, 3, 5, 7, 9])) / 20 * 42
        assert numbers(seen["visual"]) == np.floor(centres).tolist()
        starts.append(start)
    assert min(starts) < 50 and max(starts) > 950 and 400 < np.mean(starts) < 600
    fixed = [TEN.training(store, index, ["visual"], np.random.default_rng(seed))["visual"] for seed in range(5)]
    assert [numbers(frames) for frames in fixed] == [[12, 16, 21, 25, 29]] * 5


def test_one_crop_mirrored_or_not_holds_for_all_pictures(store: Store) -> None:
    """Red and green, which tell the place of a pixel, are the same in all; over seeds they are not."""
    crops = []
    for seed in range(40):
        frames = TEN.training(store, 0, ["visual"], np.random.default_rng(seed))["visual"]
        assert frames.dtype == np.uint8 and frames.shape == (5, 3, 32, 32)
        places = frames[:, :2].astype(int)
        assert np.abs(places - places[0]).max() <= 3
        crops.append((places[0, 0, 0, 0] < places[0, 0, 0, -1], places[0, 0].min(), places[0, 1].min()))
    assert {upright for upright, *_ in crops} == {True, False}
    assert len(set(crops)) > 20


def test_nets_of_one_modality_learn_from_the_same_pictures_and_sound(store: Store) -> None:
    view = ClipView(3, 2, 32, random_stretch=True)
    for seed in range(9):
        both, sound, picture = (
            view.training(store, 1, modalities, np.random.default_rng(seed))
            for modalities in (["audio", "visual"], ["audio"], ["visual"])
        )
        assert sound.keys() == {"audio"} and picture.keys() == {"visual"}
        assert np.array_equal(both["audio"], sound["audio"]) and np.array_equal(both["visual"], picture["visual"])


def documented() -> View:
    """The view that docs/extending.md adds."""
    names: dict = {"__name__": __name__}
    exec(sections()["A view"][0].text, names)
    return names["Beginning"](frame_size=24)


def test_pictures_are_decoded_once_where_all_fit_into_memory_and_stay_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, view = Store(store.paths), ClipView(10, 5, 24, random_stretch=True)

    def shown() -> list[np.ndarray]:
        training = [view.training(opened, index, ["visual"], np.random.default_rng(7)) for index in range(4)]
        return [seen["visual"] for seen in [*training, view.evaluation(opened, 1, ["visual"])]]

    first = shown()
    # 26 and 24 pixels: what is trained with and what is judged by.
    assert {short for *_, short in opened.kept} == {26, 24} and len(opened.kept) == 5 + 5 + 2 + 5 + 5
    monkeypatch.setattr(opened, "pixels", None)
    again = shown()
    monkeypatch.undo()
    monkeypatch.setattr("avrobust.views.clip.KEPT_BYTES", len(opened) * 42 * 3 * 26**2 - 1)
    opened.kept.clear()
    anew = shown()
    assert all(index != 1 for index, *_, short in opened.kept if short == 26)
    for one, other, another in zip(first, again, anew, strict=True):
        assert np.array_equal(one, other) and np.array_equal(one, another)
    assert pickle.loads(pickle.dumps(opened)).kept == {}


@pytest.mark.parametrize(
    "view",
    [
        None,
        {"name": "moment", "options": {"audio_samples": 4096, "frame_size": 32}},
        {"name": "clip", "options": {"seconds": 2.5, "frames": 3, "frame_size": 24}},
    ],
    ids=lambda view: view["name"] if view else "documented",
)
def test_what_a_view_says_of_its_inputs_is_what_it_gives(store: Store, view: dict | None) -> None:
    made = build_view(view) if view else documented()
    for name, form in made.inputs(store).items():
        for seen in (
            made.evaluation(store, 1, [name]),
            made.training(store, 1, [name], np.random.default_rng(0)),
        ):
            assert (seen[name].shape, seen[name].dtype) == (form.shape, np.dtype(form.dtype))
            natural = seen[name] / 255 if form.dtype == "uint8" else seen[name]
            assert form.low <= natural.min() and natural.max() <= form.high
    bounds = {name: (form.low, form.high) for name, form in made.inputs(store).items()}
    assert bounds == {"audio": (-1, 1), "visual": (0, 1)}


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ({"name": "clp"}, "unknown name 'clp'"),
        ({"name": "clip", "options": {"second": 10}}, "clip: missing a required argument: 'seconds'"),
        ({"name": "clip", "options": {"seconds": 0, "frames": 2, "frame_size": 32}}, "view clip: seconds is 0"),
        ({"name": "clip", "options": {"seconds": 1, "frames": 0, "frame_size": 32}}, "view clip: frames is 0"),
        ({"name": "moment", "options": {"audio_samples": 0, "frame_size": 32}}, "view moment: audio_samples is 0"),
        ({"view": "clip"}, "--view: {'view': 'clip'} is not of the form"),
    ],
)
def test_a_view_that_cannot_be_is_said_in_a_line(view: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        build_view(view)
    assert said in str(error.value) and "\n" not in str(error.value)
