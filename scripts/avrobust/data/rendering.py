"""Rendered datasets: one mp4 file (H.264, AAC) per clip of the world, and the manifest that lists them."""

import hashlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avrobust.data import encoding, manifest
from avrobust.data.world import Footage, make_footage
from avrobust.files import remove_leftovers
from avrobust.keyed import generator
from avrobust.processes import in_order
from avrobust.program import UserError, progress
from avrobust.spec.rendered import Dataset, class_sizes, file_name


class PlannedClip(NamedTuple):
    """One clip of a dataset, by what names it: `label` is the class that it is made for."""

    clip_id: str
    label: int
    split: str


def planned_clips(dataset: Dataset) -> list[PlannedClip]:
    """All clips of a dataset, sorted by clip id (class, split, number: `flute_train_0003`)."""
    clips = [
        PlannedClip(f"{file_name(dataset.classes[label])}_{split}_{number:04d}", label, split)
        for split in dataset.clips
        for label, count in enumerate(dataset.sizes(split))
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
    # Not `avrobust.keyed.generator`, as of the labels: by its draws every clip would be another.
    key = hashlib.sha256(repr((dataset.seed, dataset.name, planned.clip_id)).encode()).digest()
    random = np.random.default_rng(np.frombuffer(key, dtype="<u4"))
    form = (dataset.clearness, dataset.seconds, dataset.width, dataset.height)
    return make_footage(dataset.codes(), sounding(dataset, planned), *form, random)


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
