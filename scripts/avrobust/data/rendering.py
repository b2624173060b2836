"""Rendered datasets: one mp4 file (H.264, AAC) per clip of the world, and the manifest that lists them."""

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avrobust.data import encoding, manifest
from avrobust.data.world import MAXIMUM_CLASSES, Footage, class_codes, make_footage
from avrobust.files import remove_leftovers
from avrobust.processes import in_order
from avrobust.program import UserError, progress

# The smallest frame side in which a distractor of a twelfth of it is still a shape, and the shortest clip.
MINIMUM_SIDE, MINIMUM_SECONDS = 32, 0.5


@dataclass(frozen=True)
class Dataset:
    """What to render. Raises `UserError` for values that cannot be rendered.

    `classes`: their names; which sound and picture each has depends on their order and number only. `clips`: per class
    of each split. `width`, `height` of the frames in pixels are even: H.264 stores colour at half the resolution.
    """

    name: str
    classes: tuple[str, ...]
    clips: dict[str, int]
    seconds: float
    width: int
    height: int
    seed: int

    def __post_init__(self) -> None:
        manifest.checked_classes("classes", self.classes)
        if (count := len(self.classes)) > MAXIMUM_CLASSES:
            raise UserError(f"{count} classes given: a rendered dataset has at most {MAXIMUM_CLASSES}")
        named: dict[str, str] = {}
        for label in self.classes:
            if not file_name(label):
                raise UserError(f"class {label!r} has no letter or digit that a file can be named after")
            if (other := named.setdefault(file_name(label), label)) != label:
                raise UserError(f"classes {other!r} and {label!r} give the same file names; rename one")
        for split, count in self.clips.items():
            manifest.split("clips", split)
            if type(count) is not int or not 0 <= count <= 9999:
                raise UserError(f"clips of split {split!r}: {count!r} is not a whole number from 0 to 9999")
        if not any(self.clips.values()):
            raise UserError("no clips asked for: give at least one split more than 0 clips per class")
        if not MINIMUM_SECONDS <= self.seconds < float("inf"):
            raise UserError(f"seconds {self.seconds:g}: a clip lasts at least {MINIMUM_SECONDS} seconds")
        for side, pixels in (("width", self.width), ("height", self.height)):
            if pixels < MINIMUM_SIDE or pixels % 2:
                raise UserError(f"{side} {pixels}: give an even number of pixels, {MINIMUM_SIDE} or more")


class PlannedClip(NamedTuple):
    """One clip of a dataset, by what names it."""

    clip_id: str
    label: int
    split: str


def file_name(label: str) -> str:
    """The label in lower case, `_` for all that is no letter or digit: "Church bell" -> "church_bell"."""
    return re.sub(r"[\W_]+", "_", label.lower()).strip("_")


def planned_clips(dataset: Dataset) -> list[PlannedClip]:
    """All clips of a dataset, sorted by clip id (class, split, number: `flute_train_0003`)."""
    clips = [
        PlannedClip(f"{file_name(name)}_{split}_{number:04d}", label, split)
        for label, name in enumerate(dataset.classes)
        for split, count in dataset.clips.items()
        for number in range(count)
    ]
    return sorted(clips, key=lambda clip: clip.clip_id)


def footage(dataset: Dataset, planned: PlannedClip) -> Footage:
    """Make the frames and samples of a clip; all its randomness comes from seed, dataset name and clip id."""
    key = hashlib.sha256(repr((dataset.seed, dataset.name, planned.clip_id)).encode()).digest()
    generator = np.random.default_rng(np.frombuffer(key, dtype="<u4"))
    codes = class_codes(len(dataset.classes))
    return make_footage(codes, planned.label, dataset.seconds, dataset.width, dataset.height, generator)


def encode(footage: Footage, path: Path) -> None:
    """Write an mp4 file, H.264 with AAC, whole or not at all, see `avrobust.data.encoding`."""
    encoding.encode(footage.frames, footage.frame_rate, footage.samples, footage.sample_rate, path)


def render_clip(planned: PlannedClip, *, dataset: Dataset, media: Path) -> manifest.Clip:
    """Write `<clip_id>.mp4` in the folder `media` and return the clip's row of the manifest."""
    made = footage(dataset, planned)
    path = f"{planned.clip_id}.mp4"
    encode(made, media / path)
    label, source = dataset.classes[planned.label], f"render:seed={dataset.seed}"
    box = tuple(round(side, 4) for side in made.box)
    names, span = (planned.clip_id, planned.clip_id), (0.0, dataset.seconds)
    return manifest.Clip(*names, *span, (label,), planned.split, "render", source, path, box)


def render(dataset: Dataset, media: Path, table: Path, processes: int) -> int:
    """Write all clips of a dataset into the folder `media`, then the manifest `table`; return their number.

    An earlier manifest goes first, so that one only ever stands beside the clips it lists. Every clip is made
    anew: that takes seconds, and an old file could be of another seed.
    Raises `UserError` if a file cannot be written.
    """
    table.unlink(missing_ok=True)
    try:
        media.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {media} cannot be made: {error.strerror}") from None
    remove_leftovers(media)
    planned = planned_clips(dataset)
    rendered = in_order(partial(render_clip, dataset=dataset, media=media), planned, processes)
    clips = [clip for _, clip in progress(rendered, label="render", unit="clips", total=len(planned))]
    return manifest.write(table, clips)
