"""From a packed clip to what a net sees: one window of sound and the frame at its centre.

Tian & Xu (CVPR 2021), appendix A.2, in the exact form of their released code: frames are counted from 1, the
window is centred on the frame, and a crop that runs over the clip's ends stays zero there.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from avrobust.data.store import Store

# Training frames are cropped from a picture that is this much larger than the crop.
TRAINING_RESIZE = 1.1
# Training waveforms are multiplied by a gain drawn uniformly from this range.
GAIN_RANGE = (0.5, 1.5)
INT16_SCALE = np.float32(1 / 32768)


@dataclass(frozen=True)
class Recipe:
    """Sizes of a view: samples of waveform (65,535 in the paper) and pixels a side (224)."""

    audio_samples: int
    frame_size: int


def frame_margin(recipe: Recipe, audio_rate: int, frame_rate: int) -> int:
    """Return how many frames half a window lasts: 24 for 65,535 samples at 11,025 Hz and 8 fps."""
    return round(recipe.audio_samples / audio_rate / 2 * frame_rate)


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


def resize_short_side(picture: Image.Image, size: int) -> Image.Image:
    """Return the picture with its shorter side `size` pixels long, bicubic, the aspect ratio kept."""
    width, height = picture.size
    short = min(width, height)
    if short == size:
        return picture
    return picture.resize((size * width // short, size * height // short), Image.Resampling.BICUBIC)


def centre_frame(count: int) -> int:
    """Return the frame, counted from 1, that evaluation looks at: the middle one of `count`."""
    return max(1, count // 2)


def sound_at(store: Store, index: int, frame: int, recipe: Recipe) -> np.ndarray:
    """Return the waveform around `frame` (counted from 1): float32 (audio_samples,) in [-1, 1)."""
    centre = int((frame - 0.5) / store.frame_rate * store.audio_rate)
    return window(store.audio(index), centre, recipe.audio_samples)


def evaluation_frame(store: Store, index: int, recipe: Recipe) -> np.ndarray:
    """Return the centre crop of the middle frame: uint8 (3, frame_size, frame_size)."""
    middle = centre_frame(store.frame_count(index))
    picture = resize_short_side(store.frame(index, middle - 1), recipe.frame_size)
    left = round((picture.width - recipe.frame_size) / 2)
    top = round((picture.height - recipe.frame_size) / 2)
    return _crop(picture, left, top, recipe.frame_size)


def evaluation_sound(store: Store, index: int, recipe: Recipe) -> np.ndarray:
    """Return the waveform around the middle frame: float32 (1, audio_samples) in [-1, 1)."""
    return sound_at(store, index, centre_frame(store.frame_count(index)), recipe)[None]


def training_moment(store: Store, index: int, recipe: Recipe, random: np.random.Generator) -> int:
    """Return a random frame, counted from 1, around which a whole window fits; else the middle one."""
    count = store.frame_count(index)
    margin = frame_margin(recipe, store.audio_rate, store.frame_rate)
    if count <= 2 * margin:
        return centre_frame(count)
    return int(random.integers(margin + 1, count - margin, endpoint=True))


def training_frame(store: Store, index: int, frame: int, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Return a random crop of `frame` (counted from 1), flipped half the time: uint8 (3, size, size)."""
    size = recipe.frame_size
    picture = resize_short_side(store.frame(index, frame - 1), int(TRAINING_RESIZE * size))
    left = int(random.integers(0, picture.width - size, endpoint=True))
    top = int(random.integers(0, picture.height - size, endpoint=True))
    crop = _crop(picture, left, top, size)
    return crop[:, :, ::-1] if random.random() < 0.5 else crop


def training_sound(store: Store, index: int, frame: int, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Return the waveform around `frame` with a random gain: float32 (1, audio_samples) in [-1, 1]."""
    gain = np.float32(random.uniform(*GAIN_RANGE))
    return np.clip(gain * sound_at(store, index, frame, recipe), -1, 1)[None]


def _crop(picture: Image.Image, left: int, top: int, size: int) -> np.ndarray:
    pixels = np.asarray(picture)[top : top + size, left : left + size]
    return pixels.transpose(2, 0, 1)
