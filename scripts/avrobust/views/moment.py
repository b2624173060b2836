"""One window of sound and the frame at its centre.

Tian & Xu (CVPR 2021), appendix A.2, in the exact form of their released code: frames are counted from 1, the
window is centred on the frame, and a crop that runs over the clip's ends stays zero there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avrobust.data.store import Store
from avrobust.views.augmentation import INT16_SCALE, amplified, centre_crop, random_crop, random_gain
from avrobust.views.view import Input, Written, at_least, pixels, waveform


@dataclass(frozen=True)
class Moment:
    """`audio_samples` of waveform (65,535 in the paper) and a frame of `frame_size` pixels a side (224)."""

    audio_samples: int
    frame_size: int

    opened = Store  # of packed clips

    def __post_init__(self) -> None:
        at_least("moment", audio_samples=(self.audio_samples, 1), frame_size=(self.frame_size, 1))

    def inputs(self, store: Store) -> dict[str, Input]:
        """Return the forms of waveform and frame."""
        # An odd window ends with a zero that is no part of the clip, see `window`.
        sound = waveform(1, self.audio_samples, padding=self.audio_samples % 2)
        return {"audio": sound, "visual": pixels(3, self.frame_size, self.frame_size)}

    def evaluation(self, store: Store, index: int, modalities: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the centre crop of the middle frame and the waveform around it."""
        middle = self.middle_frame(store, index)
        seen = {}
        if "audio" in modalities:
            seen["audio"] = self._sound(store, index, middle)[None]
        if "visual" in modalities:
            picture = store.pixels(index, middle - 1)
            seen["visual"] = centre_crop(picture, self.frame_size).of(picture)
        return seen

    def training(
        self, store: Store, index: int, modalities: Sequence[str], random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return a random crop of a random frame, and the waveform around that with a random gain."""
        frame = self.random_frame(store, index, random)
        seen = {}
        if "audio" in modalities:
            gain = random_gain(random)
            seen["audio"] = amplified(self._sound(store, index, frame), gain)[None]
        if "visual" in modalities:
            picture = store.pixels(index, frame - 1)
            seen["visual"] = random_crop(picture, self.frame_size, random).of(picture)
        return seen

    def written(self, store: Store, index: int, seen: Mapping[str, np.ndarray]) -> Written:
        """Return the clip with `seen` in its place: its frames are those of the crop.

        The clip is as long as before, unless the window goes beyond it: there it goes on, by as many frames at both
        ends, so that the middle frame stays the middle one. The zero that ends an odd window is nowhere.
        """
        count, middle = store.frame_count(index), self.middle_frame(store, index)
        pictures = [store.pixels(index, number) for number in range(count)]
        crops = [centre_crop(picture, self.frame_size).of(picture) for picture in pictures]
        frames = np.stack(crops).astype(np.float32) / np.float32(255)
        frames[middle - 1] = seen["visual"]
        samples = store.audio(index) * INT16_SCALE
        if len(samples) < self.audio_samples:
            samples = np.tile(samples, self.audio_samples // len(samples) + 1)
        centre, half = self._centre(store, middle), self.audio_samples // 2
        beyond = max(0, half - centre, centre + half - len(samples))
        more = math.ceil(beyond * store.frame_rate / store.audio_rate)
        silent = self._centre(store, middle + more) - centre
        samples = np.pad(samples, (silent, silent))
        samples[centre + silent - half :][: 2 * half] = seen["audio"][0, : 2 * half]
        ends = (more, more + (more > 0 and count == 1))
        return Written(np.pad(frames.transpose(0, 2, 3, 1), (ends, (0, 0), (0, 0), (0, 0)), "edge"), samples)

    def middle_frame(self, store: Store, index: int) -> int:
        """Return the frame, counted from 1, that evaluation looks at."""
        return max(1, store.frame_count(index) // 2)

    def random_frame(self, store: Store, index: int, random: np.random.Generator) -> int:
        """Return a random frame, counted from 1, around which a whole window fits; else the middle one."""
        count, margin = store.frame_count(index), self.margin(store.audio_rate, store.frame_rate)
        if count <= 2 * margin:
            return self.middle_frame(store, index)
        return int(random.integers(margin + 1, count - margin, endpoint=True))

    def margin(self, audio_rate: int, frame_rate: int) -> int:
        """Return how many frames half a window lasts: 24 for 65,535 samples at 11,025 Hz and 8 fps."""
        return round(self.audio_samples / audio_rate / 2 * frame_rate)

    def _sound(self, store: Store, index: int, frame: int) -> np.ndarray:
        return window(store.audio(index), self._centre(store, frame), self.audio_samples)

    def _centre(self, store: Store, frame: int) -> int:
        """Return the sample in the middle of a frame, counted from 1."""
        return int((frame - 0.5) / store.frame_rate * store.audio_rate)


def window(samples: np.ndarray, centre: int, length: int) -> np.ndarray:
    """Return `length` samples around `centre` as float32 in [-1, 1).

    `samples`: int16 PCM, (n,), n >= 1. A clip shorter than the window is repeated first. The window holds
    [centre - length // 2, centre + length // 2), so an odd length ends with a zero, as in the released code.
    Beyond the sound it is zero.
    """
    if len(samples) < length:
        samples = np.tile(samples, length // len(samples) + 1)
    half = length // 2
    start, end = max(0, centre - half), min(len(samples), centre + half)
    out = np.zeros(length, np.float32)
    if start < end:
        out[half - (centre - start) : half + (end - centre)] = samples[start:end]
    return out * INT16_SCALE
