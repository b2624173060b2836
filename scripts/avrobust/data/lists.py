"""Lists of clips: a user's own table, media found in a folder, and what all protocols of published lists share.

A protocol (avrobust.data.protocols) says what published lists mean; the shared rules here are that options and lists
have known names, that no clip comes twice, and that a split that nobody published is drawn by a hash of the video id.
"""

import hashlib
import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.manifest import SPLITS, Clip
from avrobust.program import UserError

TABLE_COLUMNS = ("clip_id", "path", "label", "split")
MEDIA_SUFFIXES = (".mp4", ".mkv", ".webm")

CURE = "; correct it, add it to the classes, or take the classes from the table (--classes-from-table)"

# How many of a table's files are looked for, to tell a wrong folder from some missing files.
LOOKED_FOR = 100

# Of the hash that decides splits: another one gives other splits, and other results.
SEED = 0


def table_classes(table: str | Path) -> tuple[str, ...]:
    """Return the sorted class names that a user's table uses."""
    found = set()
    for _, row in manifest.rows(table, TABLE_COLUMNS):
        found.update(row["label"].split(manifest.LABEL_SEPARATOR))
    return manifest.checked_classes(str(table), sorted(found))


def table_clips(table: str | Path, classes: Iterable[str], folder: str | Path) -> Iterator[Clip]:
    """Yield the clips of a user's table (`clip_id,path,label,split[,start,end]`) in order.

    Raises UserError for the first mistake: a bad row, a repeated clip_id, a split without a row, or a folder
    in which none of the first files is. Memory grows by eight bytes a row.
    """
    classes = frozenset(manifest.checked_classes(str(table), classes))
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: the media folder is missing or no folder")
    hashes, splits, found = array("q"), set(), False
    for where, row in manifest.rows(table, TABLE_COLUMNS):
        clip = _table_clip(where, row, classes, Path(table).name)
        if len(hashes) < LOOKED_FOR:
            found = found or (folder / clip.path).is_file()
        hashes.append(hash(clip.clip_id))
        splits.add(clip.split)
        yield clip
    if not hashes:
        raise UserError(f"{table}: the table has no rows")
    refuse_repeats("clip_id", hashes, lambda: ((where, row["clip_id"]) for where, row in manifest.rows(table, ())))
    absent = [name for name in SPLITS if name not in splits]
    if absent:
        raise UserError(f"{table}: no row has split {', '.join(absent)}; each of {', '.join(SPLITS)} needs one")
    if not found:
        looked = min(len(hashes), LOOKED_FOR)
        raise UserError(f"{table}: none of the first {looked} files is there; is {folder} the right folder?")


def _table_clip(where: str, row: Mapping[str, str], classes: frozenset[str], name: str) -> Clip:
    for column in ("clip_id", "path", "label"):
        if not row[column]:
            raise UserError(f"{where}: {column} is empty")
    start, end = manifest.span(where, row.get("start", ""), row.get("end", ""))
    return Clip(
        clip_id=row["clip_id"],
        video_id=os.path.splitext(row["path"])[0],  # noqa: PTH122 (a million rows: no objects)
        start=start,
        end=end,
        labels=manifest.labels(where, row["label"], classes, CURE),
        split=manifest.split(where, row["split"]),
        source="local",
        list=name,
        path=manifest.inner_path(where, row["path"]),
    )


def with_local_files(clips: Iterable[Clip], folder: str | Path, required: bool = False) -> Iterator[Clip]:
    """Yield the clips with the `path`, relative to `folder`, of those that have a file there.

    A file is `<class>/<id>.mp4`, where a class folder may write spaces for underscores, or `<id>.mp4`, or else
    `<id>_<start>_<end>.mp4`, in any folder, also .mkv and .webm; of several the first by name. Such a file holds the
    cut clip and nothing else, so that all of it counts, although `start` and `end` still say where it is in its video.
    Links to folders are followed. The folder is walked once; memory grows with the media files in it alone.

    Raises UserError if the folder is missing although local files are `required`; otherwise there are none.
    """
    folder = Path(folder)
    if not folder.is_dir() and (required or folder.exists()):
        raise UserError(f"{folder}: the media folder is missing or no folder")
    files = _MediaFiles(folder)
    if not files:
        yield from clips
        return
    for clip in clips:
        path = files.path(clip)
        yield replace(clip, path=path) if path else clip


class _MediaFiles:
    """The media files below a folder. Two million are possible, so a file costs its name and not its path."""

    def __init__(self, folder: Path) -> None:
        # stem -> (folder, suffix), shared by all files of one folder.
        self._places: dict[str, tuple[str, str]] = {}
        # (class, stem) -> (folder, suffix) of the further files of one stem.
        self._doubles: dict[tuple[str, str], tuple[str, str]] = {}
        # id -> stem of `<id>_<start>_<end>`.
        self._cut: dict[str, str] = {}
        for parent, folders, names in os.walk(folder, followlinks=True):
            here = Path(parent).resolve()
            # A link to a folder above this one would lead in a circle.
            folders[:] = sorted(name for name in folders if not here.is_relative_to((here / name).resolve()))
            inner = os.path.relpath(parent, folder)
            shared = {suffix: ("" if inner == "." else inner, suffix) for suffix in self._suffixes(names)}
            for name in sorted(names):
                stem, suffix = os.path.splitext(name)  # noqa: PTH122 (a million names: no objects)
                if suffix in shared:
                    self._add(stem, shared[suffix])

    def __len__(self) -> int:
        return len(self._places)

    @staticmethod
    def _suffixes(names: Iterable[str]) -> set[str]:
        found = {os.path.splitext(name)[1] for name in names}  # noqa: PTH122
        return {suffix for suffix in found if suffix.lower() in MEDIA_SUFFIXES}

    def _add(self, stem: str, place: tuple[str, str]) -> None:
        first = self._places.setdefault(stem, place)
        if _class_of(first) != _class_of(place):
            self._doubles.setdefault((_class_of(place), stem), place)
        if span := re.fullmatch(r"(.+)_\d+_\d+", stem):
            self._cut.setdefault(span[1], stem)

    def path(self, clip: Clip) -> str:
        """Return the file of a clip, relative to the folder; empty if there is none."""
        stem = clip.video_id if clip.video_id in self._places else self._cut.get(clip.video_id)
        if stem is None:
            return ""
        first = self._places[stem]
        of_class = (first if label == _class_of(first) else self._doubles.get((label, stem)) for label in clip.labels)
        inner, suffix = next(filter(None, of_class), first)
        return os.path.join(inner, stem + suffix)  # noqa: PTH118


def _class_of(place: tuple[str, str]) -> str:
    return place[0].rpartition("/")[2].replace(" ", "_")


def chosen(allowed: Mapping[str, tuple[str, ...]], options: Mapping[str, str]) -> dict[str, str]:
    """Return a value for each option of a protocol: what is given, else the first one that is allowed.

    Raises UserError for an option or a value that the protocol does not have.
    """
    for name, value in options.items():
        if name not in allowed:
            raise UserError(f"option {name!r} is none of the protocol's: {', '.join(allowed) or 'it has none'}")
        if value not in allowed[name]:
            raise UserError(f"option {name} is {value!r}; it can be {' or '.join(allowed[name])}")
    return {name: options.get(name, values[0]) for name, values in allowed.items()}


def check_names(given: Iterable[str], needed: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Raise UserError unless the lists given are all that a protocol needs, and no more than it can use."""
    given, needed = set(given), list(needed)
    missing = [name for name in needed if name not in given]
    odd = sorted(given - {*needed, *optional})
    if not missing and not odd:
        return
    takes = ", ".join([*needed, *(f"{name} (optional)" for name in optional)])
    what = f"list {missing[0]!r} is missing" if missing else f"list {odd[0]!r} is of no use here"
    raise UserError(f"{what}; the protocol takes {takes}, as --list NAME=PATH")


def refuse_repeats(column: str, hashes: array, named: Callable[[], Iterable[tuple[str, str]]]) -> None:
    """Raise UserError if a name comes twice, given the `hash` of each name as array("q").

    `named` yields (place for messages, name) once more; only names whose hashes agree are compared.
    """
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, np.int64))
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not suspects:
        return
    first = {}
    for where, name in named():
        if hash(name) in suspects:
            if name in first:
                raise UserError(f"{where}: {column} {name!r} is taken, see {first[name]}; each must be new")
            first[name] = where


def rank(video_id: str) -> bytes:
    """Return the video's place among all others, 32 bytes to compare: it depends on nothing but the id."""
    return hashlib.sha256(f"{SEED}:{video_id}".encode()).digest()


def stratified(labels: Mapping[str, str], weights: Mapping[str, int]) -> dict[str, str]:
    """Divide videos, id -> class, into splits of these weights and return id -> split.

    Each split gets its share of all videos as the nearest whole number, halves rounded down, the last one what is left;
    and of each class its share to within one video. Within a class `rank` decides who goes where, so that the order of
    the videos changes nothing.
    """
    classes: dict[str, list[str]] = {}
    for video_id, label in labels.items():
        classes.setdefault(label, []).append(video_id)
    sizes = quotas({label: len(classes[label]) for label in sorted(classes)}, weights)
    splits = {}
    for label, videos in classes.items():
        names = (name for name, size in sizes[label].items() for _ in range(size))
        splits.update(zip(sorted(videos, key=lambda video: (rank(video), video)), names, strict=True))
    return splits


def quotas(counts: Mapping[str, int], weights: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return {class: {split: videos}} for {class: videos}, as `stratified` says."""
    whole, total = sum(weights.values()), sum(counts.values())
    sizes = {name: (2 * total * weight + whole - 1) // (2 * whole) for name, weight in weights.items()}
    last = list(weights)[-1]
    sizes[last] += total - sum(sizes.values())
    table = {
        label: {name: count * weight // whole for name, weight in weights.items()} for label, count in counts.items()
    }
    lacking = Counter(sizes)
    for row in table.values():
        lacking.subtract(row)
    # The videos left over of each class go, one each, to the splits that lack most: so the sums come out, which they
    # need not if each class went by its own remainders.
    for label, row in table.items():
        remainder = {name: counts[label] * weight % whole for name, weight in weights.items()}
        neediest = sorted(weights, key=lambda name: (lacking[name], remainder[name]), reverse=True)
        for name in neediest[: counts[label] - sum(row.values())]:
            row[name] += 1
            lacking[name] -= 1
    return table
