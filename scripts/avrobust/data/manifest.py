"""The manifest: one CSV row per wanted clip, and beside it the class list, one name a line in label order."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from avrobust.files import replacing, write_text
from avrobust.program import UserError

COLUMNS = ("clip_id", "video_id", "start", "end", "labels", "split", "source", "list", "path", "box")
SPLITS = ("train", "val", "test")
LABEL_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled span of one video.

    `start` and `end` are seconds of the source video (both None: the whole video, or not known). `labels` are class
    names, at least one. `path` is absolute or relative to the media folder, empty if no file is known. A file found for
    a published list is the cut clip; in a user's own table the file is the video. `box`
    is the sounding region (x0, y0, x1, y1) as fractions of width and height.
    """

    clip_id: str
    video_id: str
    start: float | None
    end: float | None
    labels: tuple[str, ...]
    split: str
    source: str
    list: str
    path: str
    box: tuple[float, float, float, float] | None = None


def write_rows(path: str | Path, columns: Iterable[str], rows: Iterable[Iterable]) -> int:
    """Write a CSV of ours, whole or not at all, and return how many rows it has; None is an empty cell."""
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for count, row in enumerate(rows, start=1):  # noqa: B007
            writer.writerow(row)
    return count


def write(path: str | Path, clips: Iterable[Clip]) -> int:
    """Write a manifest, whole or not at all, and return the number of its rows; `clips` may be any length."""
    return write_rows(path, COLUMNS, map(_row, clips))


def _row(clip: Clip) -> tuple:
    names = (clip.clip_id, clip.video_id, LABEL_SEPARATOR.join(clip.labels), clip.list, clip.path)
    if any("\n" in name or "\r" in name for name in names):
        raise UserError(f"clip {clip.clip_id!r} ({clip.list}): a line break in a name; take it out")
    clip_id, video_id, labels, of_list, path = names
    box = " ".join(map(repr, clip.box)) if clip.box else ""
    return clip_id, video_id, clip.start, clip.end, labels, clip.split, clip.source, of_list, path, box


def read(path: str | Path, classes: Iterable[str] | None = None) -> Iterator[Clip]:
    """Yield the clips of a manifest in order, in constant memory.

    Raises UserError, with the row and the value, for what is no manifest of these classes (None: of any).
    """
    classes = None if classes is None else frozenset(classes)
    for where, row in rows(path, COLUMNS):
        yield _clip(where, row, classes)


def shard(path: str | Path, classes: Iterable[str] | None, index: int, shards: int) -> list[Clip]:
    """Return the clips of shard `index` (from 0) of `shards`, which differ by at most one clip in size.

    The lines before it are skipped unread: in a manifest a row is a line. Raises UserError as `read` does.
    """
    classes = None if classes is None else frozenset(classes)
    with readable(path), Path(path).open("rb") as file:
        count = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
    first, last = index * count // shards, (index + 1) * count // shards
    return [_clip(where, row, classes) for where, row in rows(path, COLUMNS, first, last)]


def _clip(where: str, row: dict[str, str], classes: frozenset[str] | None) -> Clip:
    if not row["clip_id"]:
        raise UserError(f"{where}: clip_id is empty")
    return Clip(
        row["clip_id"],
        row["video_id"],
        *span(where, row["start"], row["end"]),
        labels(where, row["labels"], classes),
        split(where, row["split"]),
        row["source"],
        row["list"],
        inner_path(where, row["path"]),
        _box(where, row["box"]),
    )


def clips_seen_in_training(path: str | Path) -> set[str]:
    """Return the test clips whose video is in the training split too, as in the released lists of AVE."""
    training = {row["video_id"] for _, row in rows(path, COLUMNS) if row["split"] == "train"}
    test = (row for _, row in rows(path, COLUMNS) if row["split"] == "test")
    return {row["clip_id"] for row in test if row["video_id"] in training}


def write_classes(path: str | Path, classes: Iterable[str]) -> None:
    """Write a class list. Raises UserError as `checked_classes` does."""
    write_text(path, "".join(f"{name}\n" for name in checked_classes(str(path), classes)))


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Read a class list. Raises UserError if it is missing or as `checked_classes` does."""
    with readable(path):
        return checked_classes(str(path), Path(path).read_text(encoding="utf-8").splitlines())


def checked_classes(where: str, classes: Iterable[str]) -> tuple[str, ...]:
    """Return the class names; raises UserError if there are none or one is empty, repeated or odd."""
    classes = tuple(classes)
    if not classes:
        raise UserError(f"{where}: no class is given, at least one is needed")
    for number, name in enumerate(classes, start=1):
        if not name.strip() or name != name.strip() or LABEL_SEPARATOR in name or len(name.splitlines()) > 1:
            raise UserError(
                f"{where}: class {number} is {name!r}; a name is not empty, begins and ends with no space, "
                f"and holds no {LABEL_SEPARATOR!r} and no line break"
            )
    if len(set(classes)) < len(classes):
        repeated = sorted({name for name in classes if classes.count(name) > 1})
        raise UserError(f"{where}: classes given more than once: {', '.join(repeated)}")
    return classes


def rows(
    path: str | Path, columns: Iterable[str], first: int = 0, last: int | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place for messages, row) of a CSV file; rows count as in a spreadsheet, the header is 1.

    `first` and `last` take lines [first, last) after the header, for a file of which each row is a line.

    Raises UserError if the file is missing, not UTF-8, not CSV, lacks a column, or a row has another length.
    """
    with readable(path), Path(path).open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), None) or []
        check_columns(path, header, columns)
        yield from numbered(path, header, csv.reader(islice(file, first, last)), first + 2)


def check_columns(path: str | Path, header: list[str], columns: Iterable[str]) -> None:
    """Raise UserError if the header lacks a column."""
    missing = [column for column in columns if column not in header]
    if missing:
        found = ", ".join(header) or "nothing"
        raise UserError(f"{path}, row 1: no column {', '.join(missing)}; the header is: {found}")


def numbered(
    path: str | Path, header: list[str], reader: Iterator[list[str]], first: int
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place for messages, row) of what a CSV reader gives; `first`: number of the first row.

    Raises UserError for a row of another length than the header.
    """
    for number, cells in enumerate(reader, start=first):
        if not cells:
            continue
        where = f"{path}, row {number}"
        if len(cells) != len(header):
            raise UserError(f"{where}: {len(cells)} cells, but the header has {len(header)}")
        yield where, dict(zip(header, cells, strict=True))


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a text file is read into a UserError that names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path}: not CSV: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def labels(where: str, text: str, classes: frozenset[str] | None, cure: str = "") -> tuple[str, ...]:
    """Split `a|b` into class names; raises UserError if one is repeated or unknown (then + `cure`)."""
    names = tuple(text.split(LABEL_SEPARATOR))
    for name in names:
        if classes is not None and name not in classes:
            allowed = ", ".join(sorted(classes))
            raise UserError(f"{where}: label {name!r} is none of the classes: {allowed}{cure}")
    if len(set(names)) < len(names):
        raise UserError(f"{where}: labels {text!r} name a class more than once")
    return names


def split(where: str, text: str) -> str:
    """Return the split's name; raises UserError if it is none of SPLITS."""
    return one_of(where, "split", text, SPLITS)


def one_of(where: str, column: str, text: str, allowed: Sequence[str]) -> str:
    """Return what stands in a column; raises UserError if it is none of `allowed`."""
    if text not in allowed:
        raise UserError(f"{where}: {column} {text!r} is none of {', '.join(allowed)}")
    return text


def span(where: str, start: str, end: str) -> tuple[float | None, float | None]:
    """Return (start, end) in seconds, (None, None) if both are empty; raises UserError if that is no span."""
    if not start and not end:
        return None, None
    begin, stop = number(where, "start", start), number(where, "end", end)
    if not 0 <= begin < stop:
        raise UserError(f"{where}: start {start} and end {end} are no span; 0 <= start < end is needed")
    return begin, stop


def number(where: str, column: str, text: str) -> float:
    """Return a finite number; raises UserError if `text` is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {column} {text!r} is not a number")
    return value


def inner_path(where: str, text: str) -> str:
    """Return the path; raises UserError if a relative one leaves the media folder."""
    if os.path.normpath(text).split("/")[0] == "..":
        raise UserError(f"{where}: path {text!r} leads out of the media folder; write it as absolute")
    if "\0" in text:
        raise UserError(f"{where}: path {text!r} holds a null character")
    return text


def _box(where: str, text: str) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    values = tuple(number(where, "box", part) for part in text.split())
    if len(values) != 4 or not (0 <= values[0] < values[2] <= 1 and 0 <= values[1] < values[3] <= 1):
        raise UserError(f"{where}: box {text!r} is not 'x0 y0 x1 y1' with 0 <= x0 < x1 <= 1 and the same for y")
    return values
