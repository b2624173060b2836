"""The rendered world: codes, sounds and pictures."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import world_pictures, world_sounds
from avrobust.data.world import MAXIMUM_CLASSES, SAMPLE_RATES, class_codes, make_footage


def footage(label: int, seed: int, classes: int = 11, seconds: float = 2.0, width: int = 96, height: int = 72):
    generator = np.random.default_rng(seed)
    return make_footage(class_codes(classes), label, seconds, width, height, generator)


def ceilings(count: int) -> tuple[float, float]:
    """Best possible accuracy by sound alone and by picture alone: of the classes that share one, one is named right."""
    codes = class_codes(count)
    return len({code.sound for code in codes}) / count, len({code.picture for code in codes}) / count


def spectrum(sound: int, pitch_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Power at each frequency (Hz) of half a second of one note."""
    rate = 22050
    wave = world_sounds.play(sound, np.array([0.0]), 0.5, rate, np.random.default_rng(pitch_seed))
    return np.fft.rfftfreq(len(wave), 1 / rate), np.abs(np.fft.rfft(wave)) ** 2


@given(st.integers(1, MAXIMUM_CLASSES))
def test_every_class_is_another_pair_of_sound_and_picture(count):
    codes = class_codes(count)
    assert len(codes) == count == len(set(codes))
    assert all(world_sounds.attributes(code.sound) for code in codes)
    assert all(world_pictures.attributes(code.picture) for code in codes)


def test_codes_of_five_classes_worked_by_hand():
    # round(0.575 * 5) = 3 sounds, round(0.675 * 5) = 3 pictures, so two pictures are shared.
    assert [(code.sound, code.picture) for code in class_codes(5)] == [(0, 0), (1, 0), (2, 1), (0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("count", "sound", "picture"), [(11, 6 / 11, 7 / 11), (27, 16 / 27, 18 / 27), (28, 16 / 28, 19 / 28)]
)
def test_ceilings_of_the_papers_class_counts(count, sound, picture):
    assert ceilings(count) == (sound, picture)


@given(st.integers(10, MAXIMUM_CLASSES))
def test_one_modality_is_never_enough_and_never_useless(count):
    sound, picture = ceilings(count)
    assert 0.53 < sound < 0.62 < picture < 0.73


@pytest.mark.parametrize("count", [0, -1, MAXIMUM_CLASSES + 1])
def test_impossible_class_counts_are_refused(count):
    with pytest.raises(ValueError, match=f"1 to {MAXIMUM_CLASSES}"):
        class_codes(count)


@pytest.mark.parametrize(
    ("module", "count", "main"),
    [(world_sounds, world_sounds.SOUNDS, 20), (world_pictures, world_pictures.PICTURES, 35)],
)
def test_attributes_tell_all_sounds_and_all_pictures_apart(module, count, main):
    every = [module.attributes(number) for number in range(count)]
    assert len(set(every)) == count
    assert len({attributes[:2] for attributes in every[:main]}) == main
    assert all(x != y for one, other in pairwise(every) for x, y in zip(one, other, strict=True))
    for number in (-1, count):
        with pytest.raises(ValueError, match=str(number)):
            module.attributes(number)


@given(st.integers(0, 2**32), st.floats(0.5, 20))
def test_onsets_are_irregular_two_to_five_a_second(seed, seconds):
    onsets = world_sounds.draw_onsets(seconds, np.random.default_rng(seed))
    assert 0 < onsets[0] <= 0.3
    assert onsets[-1] < seconds
    gaps = np.diff(onsets)
    assert np.all(gaps >= 0.6 / 5)
    assert np.all(gaps <= 1.4 / 2)


@given(st.integers(0, world_sounds.SOUNDS - 1), st.integers(0, 2**32), st.sampled_from(SAMPLE_RATES))
def test_notes_start_at_the_onsets_and_not_before(sound, seed, rate):
    onsets = np.array([0.25, 0.5])
    wave = world_sounds.play(sound, onsets, 0.8, rate, np.random.default_rng(seed))
    assert wave.shape == (round(0.8 * rate),)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    for onset in onsets:
        start = round(onset * rate)
        # Notes are released before the next one, so an onset is a rise from silence.
        before, after = wave[start - rate // 1000 : start], wave[start : start + rate // 20]
        assert np.abs(before).max() < 0.3 * np.abs(after).max()
    assert not wave[: round(0.25 * rate)].any()


@pytest.mark.parametrize("sound", [n for n in range(20) if world_sounds.attributes(n)[0] in ("pure", "odd", "breath")])
def test_a_note_lies_at_the_pitch_of_its_register(sound):
    centre = world_sounds.REGISTERS[world_sounds.attributes(sound)[1]]
    frequencies, power = spectrum(sound, pitch_seed=sound)
    near = power * (frequencies < 2 * centre)
    # Two and a half semitones are 15.5 %; a band of noise adds its width.
    assert (near * frequencies).sum() / near.sum() == pytest.approx(centre, rel=0.2)


def test_the_spectrum_of_a_note_tells_its_sound():
    bands = np.geomspace(100, 10000, 25)

    def profile(sound: int, seed: int) -> np.ndarray:
        frequencies, power = spectrum(sound, seed)
        energy = np.histogram(frequencies, bands, weights=power)[0]
        return np.log10(energy / energy.sum() + 1e-3)

    known = np.array([np.mean([profile(sound, seed) for seed in range(12)], axis=0) for sound in range(16)])
    right = [
        np.argmin(np.linalg.norm(known - profile(sound, seed), axis=1)) == sound
        for sound in range(16)
        for seed in range(100, 108)
    ]
    assert np.mean(right) > 0.9


@given(st.sampled_from(list(world_pictures.MOTIONS)), st.floats(0.1, 3))
def test_objects_rest_until_the_onset_then_move_and_come_to_rest(motion, onset):
    times = np.linspace(0, onset + 5, 600)
    moved = world_pictures.swing(motion, times, np.array([onset]))
    assert not moved[times <= onset].any()
    assert np.abs(moved[(times > onset) & (times < onset + 0.3)]).max() > 0.5
    assert np.abs(moved).max() <= 1
    assert np.abs(moved[-60:]).max() < 0.01


@pytest.mark.parametrize(("one", "other"), list(combinations(world_pictures.SHAPES, 2)))
def test_shapes_overlap_but_differ(one, other):
    v, u = np.mgrid[-1.2:1.2:97j, -1.2:1.2:97j]
    first, second = (world_pictures.SHAPES[name](u, v) > 0 for name in (one, other))
    assert (first & second).sum() / (first | second).sum() < 0.85


@given(st.integers(0, 27), st.integers(0, 2**32), st.sampled_from([(96, 72), (64, 64), (48, 80)]))
def test_the_object_moves_and_stays_within_its_box(label, seed, size):
    width, height = size
    clip = footage(label, seed, classes=28, seconds=1.0, width=width, height=height)
    assert clip.frames.shape == (clip.frame_rate, height, width, 3)
    x0, y0, x1, y1 = clip.box
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1
    assert max((x1 - x0) * width, (y1 - y0) * height) < 0.85 * min(size)
    moving = np.ptp(clip.frames, axis=0).max(axis=-1) > 4
    assert moving.sum() > 20
    inside = moving[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)]
    assert inside.sum() == moving.sum()


@given(st.integers(0, 2**32))
def test_the_box_of_a_disc_at_rest_is_its_diameter(seed):
    picture = next(n for n in range(35) if world_pictures.attributes(n)[0] == "disc")
    at_rest = np.array([0.0])
    _, (x0, y0, x1, y1) = world_pictures.film(picture, None, at_rest, at_rest, 96, 72, np.random.default_rng(seed))
    across, down = (x1 - x0) * 96, (y1 - y0) * 72
    assert across == pytest.approx(down, abs=1.01)
    smallest, largest = (2 * 0.9 * size * 72 for size in world_pictures.SIZE_RANGE)
    # The edge is smoothed over a pixel, and the box ends at whole pixels.
    assert smallest - 1 <= across <= largest + 3


@given(st.integers(0, 10), st.integers(0, 2**32))
def test_nothing_moves_or_sounds_before_the_first_onset(label, seed):
    clip = footage(label, seed, seconds=1.0)
    resting = clip.frames[np.arange(len(clip.frames)) / clip.frame_rate <= clip.onsets[0]]
    assert np.array_equal(resting, np.broadcast_to(resting[:1], resting.shape))


@given(st.integers(0, 10), st.integers(0, 2**32))
def test_samples_have_a_moderate_peak(label, seed):
    clip = footage(label, seed, seconds=1.0)
    assert clip.sample_rate in SAMPLE_RATES
    assert clip.samples.shape in {(clip.sample_rate, 1), (clip.sample_rate, 2)}
    assert 0.099 < np.abs(clip.samples.mean(axis=1)).max() < 0.301
    assert np.abs(clip.samples).max() < 0.43


def test_pictures_are_of_low_contrast():
    frames = np.concatenate([footage(label, label).frames[:1] for label in range(11)]).astype(float) / 255
    assert frames.min() > 0.15
    assert frames.max() < 0.85
    assert 0.02 < frames.std(axis=(1, 2)).mean() < 0.12


def test_footage_is_a_function_of_its_seed():
    one, same, other = footage(3, seed=1), footage(3, seed=1), footage(3, seed=2)
    assert np.array_equal(one.frames, same.frames)
    assert np.array_equal(one.samples, same.samples)
    assert one.box == same.box
    assert one.box != other.box
