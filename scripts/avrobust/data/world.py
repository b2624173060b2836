"""A small world of sounding, moving objects, in which a class is a sound, a picture and how its object moves.

No clip tells its class for certain by sound or by sight: another sound is heard too, other objects are in view, some
of them such as sound in other clips, and how much stands out varies from clip to clip. Who hears and sees can tell
which of the objects in view is the one that sounds. The names of the classes have no meaning here, only their number
and order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avrobust.data.world_pictures import Seen, film
from avrobust.data.world_sounds import Heard, draw_onsets, soundtrack
from avrobust.spec.class_codes import ClassCode
from avrobust.spec.rendered import Clearness

FRAME_RATES = (12, 15, 24, 25)
SAMPLE_RATES = (22050, 44100)

# Silent objects in view; the share of them that are of another class; the share of those that move, though not
# when something sounds.
OTHERS = (1, 3)
OTHER_CLASS, MOVING = 0.3, 0.5
# How far a clip is from the mean clearness of its dataset, in dB.
SOUND_RANGE, PICTURE_RANGE = 12.0, 6.0


@dataclass(frozen=True)
class Footage:
    """What is seen and heard in one clip, before it is encoded.

    `frames`: uint8 (frames, height, width, 3), RGB. `samples`: float32 (samples, channels) in [-1, 1]. `boxes`: where
    the object of each label is during the clip, x0, y0, x1, y1 as fractions of the frame. `onsets`: of each label,
    seconds at which a note and a movement start, ascending.
    """

    frames: np.ndarray
    frame_rate: int
    samples: np.ndarray
    sample_rate: int
    boxes: list[tuple[float, float, float, float]]
    onsets: list[np.ndarray]


def make_footage(
    codes: Sequence[ClassCode], labels: Sequence[int], clearness: Clearness, seconds: float, width: int, height: int,
    generator: np.random.Generator,
) -> Footage:  # fmt: skip
    """Make a clip of the classes number `labels` of the world with these `codes`, a pure function of its arguments.

    Frame rate, sample rate and number of channels (1 or 2) are drawn at random.
    """
    timing, choices, picture_generator, sound_generator = generator.spawn(4)
    onsets = [draw_onsets(seconds, timing) for _ in labels]
    frame_rate = int(timing.choice(FRAME_RATES))
    sample_rate = int(timing.choice(SAMPLE_RATES))
    channels = int(timing.integers(1, 3))
    absent = [code for number, code in enumerate(codes) if number not in labels]

    def another() -> ClassCode | None:
        return absent[int(choices.integers(len(absent)))] if absent else None

    objects, played = [], []
    for _ in range(int(choices.integers(*OTHERS, endpoint=True))):
        code = another() if choices.random() < OTHER_CLASS else None
        still = choices.random() > MOVING
        moves = np.empty(0) if still else draw_onsets(seconds, choices)
        level = clearness.picture + choices.uniform(-PICTURE_RANGE, PICTURE_RANGE)
        objects.append(Seen(code.picture, moves, level, code.spread) if code else Seen(None, moves))
    if heard := another():
        level = choices.uniform(-SOUND_RANGE, SOUND_RANGE) - clearness.sound
        played.append(Heard(heard.sound, draw_onsets(seconds, choices), level, heard.spread))
    for label, starts in zip(labels, onsets, strict=True):
        code = codes[label]
        level = clearness.picture + choices.uniform(-PICTURE_RANGE, PICTURE_RANGE)
        objects.append(Seen(code.picture, starts, level, code.spread))
        played.append(Heard(code.sound, starts, 0.0, code.spread))

    times = np.arange(max(1, round(seconds * frame_rate))) / frame_rate
    scene = [
        (codes[label].picture, clearness.picture + choices.uniform(-PICTURE_RANGE, PICTURE_RANGE)) for label in labels
    ]
    frames, boxes = film(objects, scene, times, width, height, picture_generator)
    samples = soundtrack(played, seconds, sample_rate, channels, sound_generator)
    return Footage(frames, frame_rate, samples, sample_rate, boxes[-len(labels) :], onsets)
