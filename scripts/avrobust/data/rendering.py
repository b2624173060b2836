"""Rendered datasets: one mp4 file (H.264, AAC) per clip of the world, and the manifest that lists them."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avrobust.data import encoding, manifest
from avrobust.data.world import Clearness, Footage, class_codes, make_footage
from avrobust.data.world_sounds import SOUNDS
from avrobust.files import remove_leftovers
from avrobust.keyed import generator
from avrobust.processes import in_order
from avrobust.program import UserError, progress
from avrobust.spec.rendered import class_sizes

# Sounding objects are drawn around the middle of the frame: more would cover one another.
MOST_LABELS = 4
EVEN = Clearness(0.0, 0.0)
# The smallest frame side in which a distractor of a twelfth of it is still a shape, and the shortest clip.
MINIMUM_SIDE, MINIMUM_SECONDS = 32, 0.5


@dataclass(frozen=True)
class Dataset:
    """What to render. Raises `UserError` for values that cannot be rendered.

    `classes`: their names; which sound and picture each has depends on their order and number only. `clips`: of the
    first class of each split; the last has `size_ratio` times fewer (`avrobust.spec.rendered`). A clip has up to
    `labels` labels; one of a class that `parents` names is of its parent too, whose sound and picture are like its own.
    `clearness`: see `avrobust.data.world`.
    `width`, `height` of the frames in pixels are even: H.264 stores colour at half the resolution.
    """

    name: str
    classes: tuple[str, ...]
    clips: dict[str, int]
    seconds: float
    width: int
    height: int
    seed: int
    clearness: Clearness = EVEN
    size_ratio: float = 1.0
    labels: int = 1
    parents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        manifest.checked_classes("classes", self.classes)
        if (count := len(self.classes)) > SOUNDS:
            raise UserError(f"{count} classes given: a rendered dataset has at most {SOUNDS}")
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
        if not 1 <= self.size_ratio < float("inf"):
            raise UserError(f"size ratio {self.size_ratio:g}: the largest class has at least as many clips as the last")
        if not 1 <= self.labels <= MOST_LABELS:
            raise UserError(f"{self.labels} labels: a clip has 1 to {MOST_LABELS}")
        for child, parent in self.parents.items():
            for name in (child, parent):
                if name not in self.classes:
                    raise UserError(f"parents: {name!r} is not one of the classes")
            if parent in self.parents or list(self.parents.values()).count(parent) > 1 or self.labels < 2:
                raise UserError(f"parents: {child!r}: a parent has no parent and one child, and clips up to two labels")
        for name, decibels in self.clearness._asdict().items():
            if not abs(decibels) <= 60:
                raise UserError(f"clearness of the {name}: {decibels:g} dB is not from -60 to 60")
        for side, pixels in (("width", self.width), ("height", self.height)):
            if pixels < MINIMUM_SIDE or pixels % 2:
                raise UserError(f"{side} {pixels}: give an even number of pixels, {MINIMUM_SIDE} or more")


class PlannedClip(NamedTuple):
    """One clip of a dataset, by what names it: `label` is the class that it is made for."""

    clip_id: str
    label: int
    split: str


def file_name(label: str) -> str:
    """The label in lower case, `_` for all that is no letter or digit: "Church bell" -> "church_bell"."""
    return re.sub(r"[\W_]+", "_", label.lower()).strip("_")


def planned_clips(dataset: Dataset) -> list[PlannedClip]:
    """All clips of a dataset, sorted by clip id (class, split, number: `flute_train_0003`)."""
    clips = [
        PlannedClip(f"{file_name(dataset.classes[label])}_{split}_{number:04d}", label, split)
        for split, most in dataset.clips.items()
        for label, count in enumerate(class_sizes(len(dataset.classes), most, dataset.size_ratio))
        for number in range(count)
    ]
    return sorted(clips, key=lambda clip: clip.clip_id)


def sounding(dataset: Dataset, planned: PlannedClip) -> list[int]:
    """The classes whose objects sound in a clip: its own, and others as often as they have clips.

    None is a parent of another: whoever is of a class is of its parent too.
    """
    if dataset.labels == 1:
        return [planned.label]
    random = generator("labels", dataset.seed, dataset.name, planned.clip_id)
    sizes = np.array(class_sizes(len(dataset.classes), max(dataset.clips.values()), dataset.size_ratio), float)
    wanted = int(random.integers(1, dataset.labels, endpoint=True))
    chosen = [planned.label]
    for label in random.choice(len(sizes), size=len(sizes), replace=False, p=sizes / sizes.sum()).tolist():
        families = [_family(dataset, one) for one in (*chosen, label)]
        if len(set().union(*families)) == sum(map(len, families)) <= wanted:
            chosen.append(label)
    return chosen


def _family(dataset: Dataset, label: int) -> list[int]:
    """A class and its parent, where it has one."""
    parent = dataset.parents.get(dataset.classes[label])
    return [label] if parent is None else [label, dataset.classes.index(parent)]


def footage(dataset: Dataset, planned: PlannedClip) -> Footage:
    """Make the frames and samples of a clip; all its randomness comes from seed, dataset name and clip id."""
    key = hashlib.sha256(repr((dataset.seed, dataset.name, planned.clip_id)).encode()).digest()
    random = np.random.default_rng(np.frombuffer(key, dtype="<u4"))
    number = dataset.classes.index
    codes = class_codes(len(dataset.classes), {number(child): number(of) for child, of in dataset.parents.items()})
    form = (dataset.clearness, dataset.seconds, dataset.width, dataset.height)
    return make_footage(codes, sounding(dataset, planned), *form, random)


def encode(footage: Footage, path: Path) -> None:
    """Write an mp4 file, H.264 with AAC, whole or not at all, see `avrobust.data.encoding`."""
    encoding.encode(footage.frames, footage.frame_rate, footage.samples, footage.sample_rate, path)


def render_clip(planned: PlannedClip, *, dataset: Dataset, media: Path) -> manifest.Clip:
    """Write `<clip_id>.mp4` in the folder `media` and return the clip's row of the manifest."""
    made = footage(dataset, planned)
    path = f"{planned.clip_id}.mp4"
    encode(made, media / path)
    of = {one for label in sounding(dataset, planned) for one in _family(dataset, label)}
    labels = tuple(dataset.classes[label] for label in sorted(of))
    # One box is what a manifest holds: of a clip in which one object sounds.
    box = tuple(round(side, 4) for side in made.boxes[0]) if len(made.boxes) == 1 else None
    names, span = (planned.clip_id, planned.clip_id), (0.0, dataset.seconds)
    return manifest.Clip(*names, *span, labels, planned.split, "render", f"render:seed={dataset.seed}", path, box)


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
