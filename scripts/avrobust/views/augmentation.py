"""Scaling, crops, mirroring and gain as in Tian & Xu's released code (CVPR 2021, appendix A.2)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Training frames are cropped from a picture that is this much larger than the crop.
TRAINING_RESIZE = 1.1
# Training waveforms are multiplied by a gain drawn uniformly from this range.
GAIN_RANGE = (0.5, 1.5)
INT16_SCALE = np.float32(1 / 32768)


def resize_short_side(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3), with its shorter side `size` pixels long, bicubic, the aspect ratio kept."""
    height, width = _scaled(picture, size)
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Crop:
    """A square of `size` pixels of pictures whose shorter side is scaled to `short`; mirrored or not."""

    size: int
    short: int
    left: int
    top: int
    mirrored: bool = False

    def of(self, picture: np.ndarray) -> np.ndarray:
        """Cut it out of a picture, uint8 (H, W, 3): uint8 (3, size, size)."""
        scaled = resize_short_side(picture, self.short)
        cut = scaled[self.top : self.top + self.size, self.left : self.left + self.size].transpose(2, 0, 1)
        return cut[:, :, ::-1] if self.mirrored else cut


def centre_crop(picture: np.ndarray, size: int) -> Crop:
    """Return the crop of a picture's middle, (H, W, 3), that evaluation looks at."""
    height, width = _scaled(picture, size)
    return Crop(size, size, round((width - size) / 2), round((height - size) / 2))


def random_crop(picture: np.ndarray, size: int, random: np.random.Generator) -> Crop:
    """Return a crop from anywhere in a picture, (H, W, 3), mirrored half the time."""
    short = int(TRAINING_RESIZE * size)
    height, width = _scaled(picture, short)
    left = int(random.integers(0, width - size, endpoint=True))
    top = int(random.integers(0, height - size, endpoint=True))
    return Crop(size, short, left, top, bool(random.random() < 0.5))


def random_gain(random: np.random.Generator) -> np.float32:
    """Return what a training waveform is multiplied by."""
    return np.float32(random.uniform(*GAIN_RANGE))


def amplified(sound: np.ndarray, gain: np.float32) -> np.ndarray:
    """Return a waveform times `gain`, clipped to [-1, 1]."""
    return np.clip(gain * sound, -1, 1)


def _scaled(picture: np.ndarray, short: int) -> tuple[int, int]:
    """Return height and width of a picture after `resize_short_side`."""
    height, width = picture.shape[:2]
    least = min(width, height)
    return short * height // least, short * width // least
