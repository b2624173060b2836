"""A small world of sounding, moving objects in which a class is a pair of a sound and a picture.

Some classes share their sound and some their picture, never both: who only hears or only sees cannot tell all
classes apart, who does both can. The names of the classes have no meaning here, only their number and order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avrobust.data.world_pictures import PICTURES, film
from avrobust.data.world_pictures import attributes as picture_attributes
from avrobust.data.world_sounds import SOUNDS, draw_onsets, soundtrack
from avrobust.data.world_sounds import attributes as sound_attributes

# Distinct sounds and pictures per class, which is also what a perfect listener or viewer gets right.
SOUND_CEILING, PICTURE_CEILING = 0.575, 0.675
MAXIMUM_CLASSES = int(SOUNDS / SOUND_CEILING)
assert MAXIMUM_CLASSES * PICTURE_CEILING <= PICTURES

FRAME_RATES = (12, 15, 24, 25)
SAMPLE_RATES = (22050, 44100)


class ClassCode(NamedTuple):
    """What a class sounds like and looks like: numbers below `SOUNDS` and `PICTURES`."""

    sound: int
    picture: int


@dataclass(frozen=True)
class Footage:
    """What is seen and heard in one clip, before it is encoded.

    `frames`: uint8 (frames, height, width, 3), RGB. `samples`: float32 (samples, channels) in [-1, 1]. `box`: where the
    sounding object is during the clip, x0, y0, x1, y1 as fractions of the frame. `onsets`: seconds at which a note and
    a movement start, ascending.
    """

    frames: np.ndarray
    frame_rate: int
    samples: np.ndarray
    sample_rate: int
    box: tuple[float, float, float, float]
    onsets: np.ndarray


def class_codes(count: int) -> list[ClassCode]:
    """The sound and picture of each of `count` classes, all pairs different.

    Class i has sound i modulo the number of sounds, so that sounds are shared at a distance; pictures are
    shared by neighbours, from the front. Every sound and every picture belongs to one class or to two.
    Raises `ValueError` unless 1 <= count <= MAXIMUM_CLASSES.
    """
    if not 1 <= count <= MAXIMUM_CLASSES:
        raise ValueError(f"{count} classes: the rendered world has 1 to {MAXIMUM_CLASSES}")
    sounds = round(SOUND_CEILING * count) or 1
    # Two classes cannot share both.
    pictures = round(PICTURE_CEILING * count) if count > 2 else count
    shared = count - pictures
    return [ClassCode(i % sounds, i // 2 if i < 2 * shared else i - shared) for i in range(count)]


def _distractor(
    own: int, others: set[int], attributes: Callable[[int], tuple], generator: np.random.Generator
) -> int | None:
    """In two clips of five, one of `others` whose first attribute (timbre, shape) is not that of `own`."""
    different = sorted(other for other in others if attributes(other)[0] != attributes(own)[0])
    if not different or generator.random() > 0.4:
        return None
    return int(generator.choice(different))


def make_footage(
    codes: list[ClassCode], label: int, seconds: float, width: int, height: int, generator: np.random.Generator
) -> Footage:
    """Make a clip of class number `label` of the world with these `codes`, a pure function of its arguments.

    Frame rate, sample rate and number of channels (1 or 2) are drawn at random.
    """
    timing, picture_generator, sound_generator = generator.spawn(3)
    onsets = draw_onsets(seconds, timing)
    frame_rate = int(timing.choice(FRAME_RATES))
    sample_rate = int(timing.choice(SAMPLE_RATES))
    channels = int(timing.integers(1, 3))

    code = codes[label]
    times = np.arange(max(1, round(seconds * frame_rate))) / frame_rate
    other_picture = _distractor(code.picture, {other.picture for other in codes}, picture_attributes, picture_generator)
    frames, box = film(code.picture, other_picture, times, onsets, width, height, picture_generator)
    other_sound = _distractor(code.sound, {other.sound for other in codes}, sound_attributes, sound_generator)
    samples = soundtrack(code.sound, other_sound, onsets, seconds, sample_rate, channels, sound_generator)
    return Footage(frames, frame_rate, samples, sample_rate, box, onsets)
