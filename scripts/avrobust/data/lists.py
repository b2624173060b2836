"""Where manifests come from: a user's own table, and the lists that Tian & Xu (CVPR 2021) released."""

import os
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.manifest import SPLITS, Clip
from avrobust.program import UserError

TABLE_COLUMNS = ("clip_id", "path", "label", "split")
MEDIA_SUFFIXES = (".mp4", ".mkv", ".webm")

CURE = "; correct it, add it to the classes, or take the classes from the table (--classes-from-table)"

# How many of a table's files are looked for, to tell a wrong folder from some missing files.
LOOKED_FOR = 100


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
    _refuse_repeats(table, hashes)
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


def _refuse_repeats(table: str | Path, hashes: array) -> None:
    """Raise UserError if two rows share a clip_id; only rows whose hashes agree are compared."""
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, np.int64))
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not suspects:
        return
    first = {}
    for where, row in manifest.rows(table, TABLE_COLUMNS):
        clip_id = row["clip_id"]
        if hash(clip_id) in suspects:
            if clip_id in first:
                raise UserError(f"{where}: clip_id {clip_id!r} is taken, see {first[clip_id]}; each must be new")
            first[clip_id] = where


def released_clips(lists: Mapping[str, str | Path], classes: Iterable[str], folder: str | Path) -> Iterator[Clip]:
    """Yield the clips of the released lists, given as {split: file}, in the order train, val, test.

    Every row becomes a clip, because splits come from the lists, not from what is there. A row whose file is
    not found in `folder` has an empty path. The lists of AVE name some videos more than once: the first row
    keeps the video's id as clip_id, each later one gets `<id>.<split><row>`.

    Raises UserError if a list or the folder is missing, or a row has another form than
    `/<class>/<id>.wav,/<class>/<id>.mp4,<frames>`.
    """
    known = frozenset(manifest.checked_classes("classes", classes))
    entries = [entry for name in SPLITS for entry in _list_rows(lists[name], name, known)]
    files = _media_files(Path(folder), {video_id for *_, video_id in entries})
    seen = set()
    for split, file, number, label, video_id in entries:
        yield Clip(
            clip_id=f"{video_id}.{split}{number}" if video_id in seen else video_id,
            video_id=video_id,
            start=None,
            end=None,
            labels=(label,),
            split=split,
            source="youtube",
            list=file,
            path=files.get((label, video_id)) or files.get(("", video_id), ""),
        )
        seen.add(video_id)


def _list_rows(path: str | Path, split: str, classes: frozenset[str]) -> Iterator[tuple[str, str, int, str, str]]:
    """Yield (split, list name, row number, class, video id)."""
    with manifest.readable(path), Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, row {number}"
            found = re.fullmatch(r"/([^/]+)/([^/]+)\.wav,/\1/\2\.mp4,\d+", line.rstrip("\r\n"))
            if not found:
                raise UserError(f"{where}: {line.strip()!r} is not '/class/id.wav,/class/id.mp4,frames'")
            (label,) = manifest.labels(where, found[1], classes)
            yield split, Path(path).name, number, label, found[2]


def _media_files(folder: Path, wanted: set[str]) -> dict[tuple[str, str], str]:
    """Find the files of the wanted videos below `folder` in one walk, as relative paths.

    The key is (class, id) for `<class>/<id>.mp4`, where a class folder may write spaces for underscores, and
    ("", id) for `<id>.mp4`, or else `<id>_<start>_<end>.mp4`, in any folder; of several the first by name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: the media folder is missing or no folder")
    files: dict[tuple[str, str], str] = {}
    cut: dict[tuple[str, str], str] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent).resolve()
        # A link to a folder above this one would lead in a circle.
        folders[:] = sorted(name for name in folders if not here.is_relative_to((here / name).resolve()))
        label = Path(parent).name.replace(" ", "_")
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 (a million names: no objects)
            if suffix.lower() not in MEDIA_SUFFIXES:
                continue
            path = os.path.relpath(os.path.join(parent, name), folder)  # noqa: PTH118
            if stem in wanted:
                files.setdefault((label, stem), path)
                files.setdefault(("", stem), path)
            elif (span := re.fullmatch(r"(.+)_\d+_\d+", stem)) and span[1] in wanted:
                cut.setdefault(("", span[1]), path)
    return cut | files
