"""A tiny store that the tests of programs share: three classes that a small net can tell apart."""

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image

from avrobust.data import store
from avrobust.data.store import PackedClip
from avrobust.views.moment import Moment

CLASSES = ["cello", "tuba", "flute"]
CLIPS = {"train": 12, "val": 9, "test": 9}
VIEW = {"name": "moment", "options": {"audio_samples": 4096, "frame_size": 32}}
VIEWS = Moment(**VIEW["options"])


def clip(number: int, split: str, label: int, random: np.random.Generator) -> PackedClip:
    """A tone in noise over a shade of grey in noise; both tell the class, the tone better."""
    time = np.arange(5000) / 11025
    sound = 6000 * np.sin(2 * np.pi * 400 * (label + 1) * time) + 6000 * random.normal(size=5000)
    frames = []
    for _ in range(3):
        pixels = np.clip(60 + 40 * label + 60 * random.normal(size=(36, 36, 3)), 0, 255).astype(np.uint8)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "JPEG", quality=95)
        frames.append(data.getvalue())
    audio = np.clip(sound, -32768, 32767).astype(np.int16)
    return PackedClip(f"{split}{number:02}", split, (label,), None, None, audio, frames, None, 36, 36)


def write_shard(path: Path, *, wrong: str = "", seed: int = 0) -> Path:
    """Write the clips of all splits; those of the split `wrong` sound and look like another class than their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        for split, count in CLIPS.items():
            random = np.random.default_rng([seed, len(split)])
            for number in range(count):
                made = clip(number, split, number % 3, random)
                shard.add(made if split != wrong else dataclasses.replace(made, labels=((number + 1) % 3,)))
    return path


def write_more(path: Path, count: int = 5) -> Path:
    """Write training clips of other names and content than `write_shard` does."""
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        random = np.random.default_rng(9)
        for number in range(40, 40 + count):
            shard.add(clip(number, "train", number % 3, random))
    return path
