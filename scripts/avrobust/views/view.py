"""What a view is: how a net sees a clip, from an open store to arrays of one shape."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from avrobust.data.shards import Shards
from avrobust.lazy import built
from avrobust.program import UserError
from avrobust.views.registry import VIEWS

VIEW_HELP = 'how a net sees a clip, JSON: {"name": "moment", "options": {"audio_samples": 65535, "frame_size": 224}}'


@dataclass(frozen=True)
class Input:
    """One modality of one clip as a batch holds it: shape, numpy's name of its type, and what its values lie between.

    `step_axes`: how many trailing axes make up one time step: 3 of frames (T, 3, H, W), 2 of a waveform (1, L), which
    is one step, 1 of features (T, D).

    The bounds are those of the natural units that a net and an attack get (`avrobust.data.batches.inputs_of`): uint8
    stands for 255ths, every other type for itself.

    A file holds whole numbers of 1 / `levels` between `low` and `highest`, None where no file holds such values; the
    last `padding` values are those of no clip: a net gets them, and no file can.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    step_axes: int
    levels: int | None = None
    highest: float = math.inf
    padding: int = 0

    @property
    def is_picture(self) -> bool:
        """Whether it is one or several pictures."""
        return self.dtype == "uint8"

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Written(NamedTuple):
    """A clip of which `evaluation` shows certain inputs, at the rates of its store.

    `frames`: (n, H, W, 3) in [0, 1], `samples`: (n,) in [-1, 1], both float32.
    """

    frames: np.ndarray
    samples: np.ndarray


def waveform(*shape: int, padding: int = 0) -> Input:
    """Return the form of sound: float32 in [-1, 1], 16 bits in a file."""
    return Input(shape, "float32", -1.0, 1.0, 2, levels=2**15, highest=1 - 2**-15, padding=padding)


def pixels(*shape: int) -> Input:
    """Return the form of pictures: uint8, which become [0, 1], 8 bits in a file."""
    return Input(shape, "uint8", 0.0, 1.0, 3, levels=255, highest=1.0)


class View(Protocol):
    """A class of `avrobust.views.registry`. Its instances can be sent to other processes."""

    def opened(self, shards: Iterable[str | Path]) -> Shards:
        """Return the store that the view reads: its clips with their labels and splits."""

    def inputs(self, store: Shards) -> dict[str, Input]:
        """Return modality -> the form of its input; the same for every clip of `store`."""

    def evaluation(self, store: Shards, index: int, modalities: Sequence[str]) -> dict[str, np.ndarray]:
        """Return modality -> what a net is shown of clip `index` to be judged by; nothing in it is random."""

    def training(
        self, store: Shards, index: int, modalities: Sequence[str], random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the same to learn from; all that is random in it is drawn from `random`."""


@runtime_checkable
class FileView(View, Protocol):
    """A view of what a file holds, of which adversarial clips can be encoded and exported: it has `written` too."""

    def written(self, store: Shards, index: int, seen: Mapping[str, np.ndarray]) -> Written:
        """Return the clip of which `evaluation` shows `seen`, inputs of both modalities in natural units.

        Several threads may call it at a time.
        """


def build_view(spec: Mapping) -> View:
    """Return the view that {"name": ..., "options": {...}} describes.

    Raises:
        UserError: no such view, or options that it has not or cannot have.
    """
    if not {"name"} <= spec.keys() <= {"name", "options"}:
        raise UserError(f"--view: {dict(spec)} is not of the form {{name: ..., options: ...}}")
    return built(VIEWS, spec)


def at_least(view: str, **options: tuple[float, float]) -> None:
    """Raise UserError if an option of a view, (its value, the least one), is too small."""
    for name, (value, least) in options.items():
        if not value >= least:
            raise UserError(f"view {view}: {name} is {value!r}; give {least} or more")
