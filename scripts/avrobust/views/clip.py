"""The sound of a whole clip, or of a stretch of so many seconds, and pictures spread evenly over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avrobust.data.store import Store
from avrobust.program import UserError
from avrobust.views.augmentation import (
    INT16_SCALE,
    TRAINING_RESIZE,
    amplified,
    centre_crop,
    random_crop,
    random_gain,
    resize_short_side,
)
from avrobust.views.view import Input, Written, at_least, pixels, waveform

# `ffmpeg -r` shows a clip in so many frames more than it lasts (avrobust.data.frame_rate).
SURPLUS_FRAMES = 2

# Pictures stay decoded where those of all clips take no more bytes: training shows the same ones in every epoch.
KEPT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ClipView:
    """`seconds` of a clip: its sound, and `frames` pictures of `frame_size` pixels a side.

    The pictures are those at the centres of as many equal parts of these seconds. Of a longer clip it is the middle;
    with `random_stretch`, training takes any stretch of it. A shorter clip is repeated, sound and pictures alike. In
    training one crop, mirrored or not, and one gain hold for all of it.
    """

    seconds: float
    frames: int
    frame_size: int
    random_stretch: bool = False

    opened = Store  # of packed clips

    def __post_init__(self) -> None:
        at_least("clip", seconds=(self.seconds, 0.001), frames=(self.frames, 1), frame_size=(self.frame_size, 1))

    def inputs(self, store: Store) -> dict[str, Input]:
        """Return the forms of the waveform and of the pictures."""
        side = self.frame_size
        return {"audio": waveform(1, self._length(store)), "visual": pixels(self.frames, 3, side, side)}

    def evaluation(self, store: Store, index: int, modalities: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the middle of the clip and of its pictures."""
        start = max(0, lasts(store, index) - self._length(store)) // 2
        seen = {}
        if "audio" in modalities:
            seen["audio"] = self._sound(store, index, start)[None]
        if "visual" in modalities:
            pictures = self._pictures(store, index, start, self.frame_size)
            crop = centre_crop(pictures[0], self.frame_size)
            seen["visual"] = np.stack([crop.of(picture) for picture in pictures])
        return seen

    def training(
        self, store: Store, index: int, modalities: Sequence[str], random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the middle of the clip or a random stretch, with a random gain, and a random crop of its pictures."""
        free = max(0, lasts(store, index) - self._length(store))
        start = int(random.integers(0, free, endpoint=True)) if self.random_stretch else free // 2
        # Drawn whatever the net takes, so that nets of one modality and of both learn from the same pictures.
        gain = random_gain(random)
        seen = {}
        if "audio" in modalities:
            seen["audio"] = amplified(self._sound(store, index, start), gain)[None]
        if "visual" in modalities:
            pictures = self._pictures(store, index, start, int(TRAINING_RESIZE * self.frame_size))
            crop = random_crop(pictures[0], self.frame_size, random)
            seen["visual"] = np.stack([crop.of(picture) for picture in pictures])
        return seen

    def written(self, store: Store, index: int, seen: Mapping[str, np.ndarray]) -> Written:
        """Return `seen` as a clip of these seconds.

        Raises:
            UserError: it has more pictures than the store's rate shows in that time.
        """
        count = round(self.seconds * store.frame_rate)
        if count < self.frames:
            raise UserError(
                f"view clip: {self.frames} pictures in {self.seconds:g} s are more than a file of {store.frame_rate} "
                "frames a second holds"
            )
        nearest = ((np.arange(count) + 0.5) / count * self.frames).astype(int)
        return Written(seen["visual"].transpose(0, 2, 3, 1)[nearest], seen["audio"][0])

    def _length(self, store: Store) -> int:
        return round(self.seconds * store.audio_rate)

    def _sound(self, store: Store, index: int, start: int) -> np.ndarray:
        """Return the waveform from sample `start` on: float32 (length,) in [-1, 1); silent where pictures alone are."""
        samples, length = store.audio(index)[start:], self._length(store)
        length_once = min(length, lasts(store, index) - start)
        once = np.zeros(length_once, np.float32)
        once[: len(samples)] = samples[:length_once]
        return np.resize(once, length) * INT16_SCALE

    def _pictures(self, store: Store, index: int, start: int, short: int) -> list[np.ndarray]:
        """Return the pictures from sample `start` on, of which the shorter side is `short`: uint8 (H, W, 3) each."""
        count, duration = store.frame_count(index), lasts(store, index)
        centres = start + (np.arange(self.frames) + 0.5) / self.frames * self._length(store)
        places = (centres % duration / duration * count).astype(int)
        kept = store.kept if len(store) * count * 3 * short**2 <= KEPT_BYTES else {}
        for place in places.tolist():
            if (index, place, short) not in kept:
                kept[index, place, short] = resize_short_side(store.pixels(index, place), short)
        return [kept[index, place, short] for place in places.tolist()]


def lasts(store: Store, index: int) -> int:
    """Return how long a clip lasts, in samples: as long as its sound, or its pictures where they go on.

    Its n frames are taken to show n equal parts of that.
    """
    pictures = (store.frame_count(index) - SURPLUS_FRAMES) / store.frame_rate
    return max(store.sample_count(index), round(pictures * store.audio_rate))
