"""The rendered world: codes, sounds and pictures."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import world_pictures, world_sounds
from avrobust.data.world import SAMPLE_RATES, make_footage
from avrobust.data.world_pictures import Seen, film
from avrobust.data.world_sounds import SOUNDS, Heard, soundtrack
from avrobust.spec import class_codes as codes_of
from avrobust.spec.class_codes import class_codes
from avrobust.spec.rendered import Clearness

STILL = np.empty(0)


def footage(
    label: int, seed: int, classes: int = 11, seconds: float = 2.0, width: int = 96, height: int = 72, **clearness
):
    codes, clear = class_codes(classes), Clearness(**{"sound": 0.0, "picture": 0.0, **clearness})
    return make_footage(codes, [label], clear, seconds, width, height, np.random.default_rng(seed))


def spectrum(sound: int, pitch_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Power at each frequency (Hz) of half a second of one note."""
    rate = 22050
    wave = world_sounds.play(sound, np.array([0.0]), 0.5, rate, np.random.default_rng(pitch_seed))
    return np.fft.rfftfreq(len(wave), 1 / rate), np.abs(np.fft.rfft(wave)) ** 2


@given(st.integers(1, SOUNDS))
def test_every_class_has_a_sound_and_a_picture_of_its_own(count):
    codes = class_codes(count)
    assert len({code.sound for code in codes}) == len({code.picture for code in codes}) == len(codes) == count
    assert all(world_sounds.attributes(code.sound) for code in codes)
    assert all(world_pictures.attributes(code.picture) for code in codes)


def test_classes_are_compact_middling_and_spread_out_in_turns():
    assert [code.spread for code in class_codes(5)] == [0.5, 1.0, 2.0, 0.5, 1.0]


@given(st.integers(2, 40), st.data())
def test_a_kind_of_another_class_is_like_it_but_not_the_same(count, data):
    child = data.draw(st.integers(0, count - 1))
    parent = data.draw(st.integers(0, count - 1).filter(lambda number: number != child))
    codes = class_codes(count, {child: parent})
    assert len({code.sound for code in codes}) == len({code.picture for code in codes}) == count
    one, other = (world_sounds.attributes(codes[number].sound) for number in (child, parent))
    assert one[:2] == other[:2]
    assert one[2] != other[2]
    one, other = (world_pictures.attributes(codes[number].picture) for number in (child, parent))
    assert one[:2] == other[:2]
    assert one[2:] != other[2:]


@pytest.mark.parametrize(
    ("count", "parents", "most"), [(0, {}, 60), (-1, {}, 60), (61, {}, 60), (0, {0: 1}, 40), (41, {0: 1}, 40)]
)
def test_impossible_class_counts_are_refused(count, parents, most):
    with pytest.raises(ValueError, match=f"1 to {most}"):
        class_codes(count, parents)


def test_what_a_plan_counts_is_what_the_world_has():
    sounds = [len(of) for of in (world_sounds.TIMBRES, world_sounds.REGISTERS, world_sounds.ENVELOPES)]
    assert sounds == [codes_of.TIMBRES, codes_of.REGISTERS, codes_of.ENVELOPES]
    assert world_sounds.SOUNDS == codes_of.SOUNDS
    assert [len(world_pictures.SHAPES), len(world_pictures.TEXTURES)] == [codes_of.SHAPES, codes_of.TEXTURES]


@pytest.mark.parametrize(
    ("first", "second", "what"), [(0, 20, "sound"), (3, 23, "sound"), (0, 35, "picture"), (4, 39, "picture")]
)
def test_kinds_of_classes_that_would_have_one_sound_or_picture_are_refused(first, second, what):
    """20 timbres and registers; 35 shapes and textures."""
    with pytest.raises(ValueError, match=f"^classes 7 and 9 would have one {what}"):
        class_codes(40, {7: first, 9: second})


@given(st.integers(2, 40), st.data())
def test_no_two_classes_are_ever_alike_whatever_their_parents(count, data):
    children = data.draw(st.sets(st.integers(0, count - 1), max_size=count // 2))
    others = [number for number in range(count) if number not in children]
    parents = dict(zip(sorted(children), data.draw(st.permutations(others)), strict=False))
    try:
        codes = class_codes(count, parents)
    except ValueError:
        of = list(parents.values())
        assert len({one % 20 for one in of}) < len(of) or len({one % 35 for one in of}) < len(of)
        return
    assert len({code.sound for code in codes}) == len({code.picture for code in codes}) == count


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


SIZES = [(96, 72), (64, 64), (48, 80)]


@given(st.integers(0, 27), st.integers(0, 2**32), st.sampled_from(SIZES))
def test_a_clip_has_the_size_that_is_asked_for_and_a_box_below_a_fifth_of_it(label, seed, size):
    width, height = size
    clip = footage(label, seed, classes=28, seconds=1.0, width=width, height=height)
    assert clip.frames.shape == (clip.frame_rate, height, width, 3)
    ((x0, y0, x1, y1),) = clip.boxes
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1
    assert (x1 - x0) * (y1 - y0) < 0.2


def test_the_middle_of_the_frame_is_in_the_box_of_few_clips():
    boxes = [footage(seed % 28, seed, classes=28, seconds=0.5).boxes[0] for seed in range(300)]
    assert 0.02 < np.mean([x0 <= 0.5 <= x1 and y0 <= 0.5 <= y1 for x0, y0, x1, y1 in boxes]) < 1 / 3


def test_where_the_sounding_object_is_cannot_be_known_beforehand():
    boxes = np.array([footage(seed % 28, seed, classes=28, seconds=0.5).boxes[0] for seed in range(300)])
    right, below = boxes[:, 0] + boxes[:, 2] > 1, boxes[:, 1] + boxes[:, 3] > 1
    for quarter in (right & below, right & ~below, ~right & below, ~right & ~below):
        assert 0.15 < quarter.mean() < 0.35


@given(st.integers(0, world_pictures.PICTURES - 1), st.integers(0, 2**32), st.sampled_from(SIZES))
def test_an_object_moves_at_its_onsets_within_its_box_and_nothing_else_does(picture, seed, size):
    times = np.arange(24) / 12
    objects = [Seen(None, STILL), Seen(3, STILL), Seen(picture, np.array([0.5]), 10.0)]
    frames, boxes = film(objects, [(picture, 0.0)], times, *size, np.random.default_rng(seed))
    assert len(boxes) == 3
    changing = np.ptp(frames.astype(int), axis=0).max(axis=-1) > 0
    x0, y0, x1, y1 = np.array(boxes[2]) * (size * 2)
    own = np.zeros(size[::-1], bool)
    own[round(y0) : round(y1), round(x0) : round(x1)] = True
    # Light falls on whatever has a texture, and stays within it.
    x0, y0, x1, y1 = np.array(boxes[1]) * (size * 2)
    own[round(y0) : round(y1), round(x0) : round(x1)] = True
    assert not changing[~own].any()
    before, after = frames[times <= 0.5], frames[times > 0.5]
    outline = np.abs(np.diff(before.astype(int), axis=0)).max(axis=(0, 3)) > 12
    assert not outline.any() or world_pictures.attributes(picture)[1] != "plain"
    assert (np.ptp(after.astype(int), axis=0).max(axis=-1) > 12).sum() > 5


def test_several_objects_are_in_view_and_do_not_cover_one_another():
    ink = [Seen(number, STILL, 20.0) for number in range(4)]
    for seed in range(20):
        _, boxes = film(ink, [], np.zeros(1), 96, 72, np.random.default_rng(seed))
        for (left, top, right, bottom), (x0, y0, x1, y1) in combinations(boxes, 2):
            shared = max(0, min(right, x1) - max(left, x0)) * max(0, min(bottom, y1) - max(top, y0))
            assert shared < 0.35 * min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0))


@given(st.integers(0, 2**32))
def test_the_box_of_a_disc_at_rest_is_its_diameter(seed):
    picture = next(n for n in range(35) if world_pictures.attributes(n)[0] == "disc")
    at_rest = [Seen(picture, STILL)]
    _, ((x0, y0, x1, y1),) = film(at_rest, [], np.zeros(1), 96, 72, np.random.default_rng(seed))
    across, down = (x1 - x0) * 96, (y1 - y0) * 72
    assert across == pytest.approx(down, abs=1.01)
    smallest, largest = (2 * 0.9 * size * 72 for size in world_pictures.SIZE_RANGE)
    # The edge is smoothed over a pixel, and the box ends at whole pixels.
    assert smallest - 1 <= across <= largest + 3


def test_evidence_is_spread_over_the_clip_and_no_frame_shows_it_best_for_all():
    """How clearly an object's texture shows varies within a clip, and its mean over clips does not depend on time."""
    times = np.arange(48) / 8
    light = np.array([world_pictures.light(times, np.random.default_rng(seed)) for seed in range(400)])
    assert np.ptp(light, axis=1).min() > 0.5
    assert light.min() > 0.35
    assert np.abs(light.mean(axis=0) - 1).max() < 0.12
    onsets = np.concatenate([world_sounds.draw_onsets(6.0, np.random.default_rng(seed)) for seed in range(400)])
    counts = np.histogram(onsets, np.arange(0, 7))[0]
    assert counts.min() > 0.6 * counts.max()


def test_levels_of_sounds_are_in_decibels():
    onsets, other = np.array([0.1]), np.array([0.6])
    made = soundtrack(
        [Heard(0, onsets, 0.0, 1.0), Heard(0, other, -20.0, 1.0)], 1.0, 22050, 1, np.random.default_rng(4)
    )[:, 0]
    alone = soundtrack([Heard(0, onsets, 0.0, 1.0)], 1.0, 22050, 1, np.random.default_rng(4))[:, 0]
    both = np.sqrt(np.mean(made[14000:16000] ** 2)), np.sqrt(np.mean(alone[2500:4500] ** 2))
    assert both[0] < 0.5 * both[1]


@given(st.integers(0, 10), st.integers(0, 2**32))
def test_samples_have_a_moderate_peak(label, seed):
    clip = footage(label, seed, seconds=1.0)
    assert clip.sample_rate in SAMPLE_RATES
    assert clip.samples.shape in {(clip.sample_rate, 1), (clip.sample_rate, 2)}
    assert 0.099 < np.abs(clip.samples.mean(axis=1)).max() < 0.301
    assert np.abs(clip.samples).max() < 0.43


def test_a_clearer_world_shows_more_of_its_colours_and_grain():
    faint, clear = (
        np.mean([np.diff(footage(one, one, picture=level).frames[0].astype(float), axis=0).std() for one in range(11)])
        for level in (0.0, 10.0)
    )
    assert clear > 1.5 * faint


def test_pictures_are_of_low_contrast():
    frames = np.concatenate([footage(label, label).frames[:1] for label in range(11)]).astype(float) / 255
    assert frames.min() > 0.15
    assert frames.max() < 0.85
    assert 0.02 < frames.std(axis=(1, 2)).mean() < 0.12


def test_several_labels_are_several_sounding_objects():
    clip = make_footage(class_codes(24), [3, 7, 11], Clearness(0, 0), 1.0, 96, 72, np.random.default_rng(5))
    assert len(clip.boxes) == len(clip.onsets) == 3
    assert len(set(clip.boxes)) == 3


def test_footage_is_a_function_of_its_seed():
    one, same, other = footage(3, seed=1), footage(3, seed=1), footage(3, seed=2)
    assert np.array_equal(one.frames, same.frames)
    assert np.array_equal(one.samples, same.samples)
    assert one.boxes == same.boxes
    assert one.boxes != other.boxes
