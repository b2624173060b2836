"""AudioSet (Gemmeke et al., ICASSP 2017) from its segment lists: several labels per clip, ten seconds or less.

Lists, any of `unbalanced`, `balanced` and `eval`: three lines that begin with #, then rows `YTID, start, end,
"mid,mid"`; and `class_index`, CSV `index,mid,display_name`, which names the classes. Segments of `eval` are the test,
the others are for training. There is no published validation split: Li et al. (ICASSP 2022) had one of a size that
they do not say. Options:

validation   `held_out`: one training segment in twenty or so, by a hash of the video id, is for validation.
short        `keep`: 345 balanced and 361 evaluation segments are shorter than ten seconds. `drop`: they are left out.

Two million rows pass in constant memory but for eight bytes a row, with which repeated ids are found.
"""

import csv
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.lists import check_names, chosen, rank, refuse_repeats
from avrobust.data.manifest import Clip
from avrobust.data.users_csv import users_rows
from avrobust.program import UserError

OPTIONS = {"validation": ("held_out",), "short": ("keep", "drop")}
SEGMENTS = ("unbalanced", "balanced", "eval")

HEADER_LINES = 3
SECONDS = 10.0

# Ranks below it are held out: one in twenty.
HELD_OUT = (2**64 // 20).to_bytes(8)


def clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips in the order of the lists, unbalanced, balanced, eval; clip_id is `<id>_<start ms>_<end ms>`.

    Raises UserError for a row of another form, a label that `class_index` does not have, classes that are not those of
    `class_index`, or a video that comes twice.
    """
    keep_short = chosen(OPTIONS, options)["short"] == "keep"
    if "class_index" not in lists:
        raise UserError("AudioSet's classes come from its class_labels_indices.csv; give it as --class-index")
    check_names(lists, ["class_index"], SEGMENTS)
    given = {name: lists[name] for name in SEGMENTS if name in lists}
    if not given:
        raise UserError(f"no segments; give at least one of the lists {', '.join(SEGMENTS)}, as --list NAME=PATH")
    names = _names_by_mid(lists["class_index"])
    if tuple(names.values()) != tuple(classes):
        raise UserError(f"{lists['class_index']}: the classes are other ones than those given")
    hashes = array("q")
    for name, path in given.items():
        file = Path(path).name
        for number, video_id, start, end, mids in _segments(path):
            hashes.append(hash(video_id))
            try:
                labels = tuple([names[mid] for mid in mids.split(",")])
            except KeyError as unknown:
                raise UserError(f"{path}, row {number}: label {unknown} is not in {lists['class_index']}") from None
            if len(labels) > 1 and len(set(labels)) < len(labels):
                raise UserError(f"{path}, row {number}: labels {mids!r} name a class more than once")
            split = "test" if name == "eval" else "val" if rank(video_id) < HELD_OUT else "train"
            if keep_short or end - start >= SECONDS:
                clip_id = f"{video_id}_{round(1000 * start)}_{round(1000 * end)}"
                yield Clip(clip_id, video_id, start, end, labels, split, "youtube", file, "")
    refuse_repeats("video", hashes, lambda: _videos(given.values()))


def class_names(path: str | Path) -> tuple[str, ...]:
    """Return the class names of a `class_labels_indices.csv` in its order.

    They are the display names with underscores for spaces; commas stay, so that the display names can be had back.
    Raises UserError if the file is none or its indices are not 0, 1, 2 and so on.
    """
    return tuple(_names_by_mid(path).values())


def _names_by_mid(path: str | Path) -> dict[str, str]:
    names = {}
    for where, row in users_rows(path, ("index", "mid", "display_name")):
        if row["index"] != str(len(names)):
            raise UserError(f"{where}: index {row['index']!r} should be {len(names)}, each mid once and in order")
        names[row["mid"]] = "_".join(row["display_name"].split())
    manifest.checked_classes(str(path), names.values())
    return names


def _videos(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        for number, video_id, *_ in _segments(path):
            yield f"{path}, row {number}", video_id


def _segments(path: str | Path) -> Iterator[tuple[int, str, float, float, str]]:
    """Yield (row number, video id, start, end, mids joined by commas)."""
    with manifest.readable(path), Path(path).open(encoding="utf-8-sig", newline="") as file:
        if not all(next(file, "").startswith("#") for _ in range(HEADER_LINES)):
            raise UserError(f"{path}: not a segment list of AudioSet; the first {HEADER_LINES} lines begin with #")
        for number, cells in enumerate(csv.reader(file, skipinitialspace=True), start=HEADER_LINES + 1):
            if len(cells) != 4:
                where = f"{path}, row {number}"
                raise UserError(f"{where}: {len(cells)} cells, but a segment is 'YTID, start, end, \"mid,mid\"'")
            video_id, start, end, mids = cells
            if not (video_id and start):
                raise UserError(f"{path}, row {number}: the {'start' if video_id else 'video id'} is empty")
            yield number, video_id, *manifest.span(f"{path}, row {number}", start, end), mids
