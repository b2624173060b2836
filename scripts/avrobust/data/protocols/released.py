"""The lists that Tian & Xu (CVPR 2021) released with their code: MIT-MUSIC, Kinetics-Sounds and AVE.

Lists: train, val, test, each row `/<class>/<id>.wav,/<class>/<id>.mp4,<frames>`. Options:

val_test   `released`: the lists are what they are called. `printed`: val and test are exchanged, because the paper
           prints 3,104 clips of Kinetics-Sounds for validation and 3,103 for the test, the lists have it the other way.
labels     `released`: of the lists. `annotations`: 46 rows of AVE have the label of the folder that another row's copy
           of the video was put in; they get back their own from the list `annotations` (split,row,id,label).
leaked     `keep`: as released, 18 training videos of AVE are validation or test videos too. `drop`: their training
           rows are left out.

The list `times` (id,start) is optional: a clip that it has is the ten seconds from `start` of its video.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from avrobust.data import manifest
from avrobust.data.lists import check_names, chosen
from avrobust.data.manifest import SPLITS, Clip
from avrobust.data.users_csv import users_rows
from avrobust.program import UserError

OPTIONS = {
    "val_test": ("released", "printed"),
    "labels": ("released", "annotations"),
    "leaked": ("keep", "drop"),
}

# Of the clips of Kinetics-400, of which these are.
SECONDS = 10.0


class Row(NamedTuple):
    """One row of a released list; `number` counts from 1."""

    list: str
    number: int
    label: str
    video_id: str


def clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips in the order train, val, test.

    AVE names some videos more than once: the first row keeps the video's id as clip_id, each later one gets
    `<id>.<split><row>`. Options change no clip_id but for the exchange of val and test.

    Raises UserError if a list is missing or a row has another form, and for options or lists that do not exist.
    """
    option = chosen(OPTIONS, options)
    annotated = option["labels"] == "annotations"
    check_names(lists, [*SPLITS, *["annotations"] * annotated], ["times", *["annotations"] * (not annotated)])
    own_labels = _annotations(lists, classes) if annotated else {}
    printed = option["val_test"] == "printed"
    list_of = dict(zip(SPLITS, ("train", "test", "val") if printed else SPLITS, strict=True))
    rows = {split: list(read(lists[list_of[split]], classes)) for split in SPLITS}
    starts = start_times(lists, (row.video_id for split in SPLITS for row in rows[split]))
    evaluated = {row.video_id for split in SPLITS[1:] for row in rows[split]}
    seen = set()
    for split in SPLITS:
        for row in rows[split]:
            clip = clip_of(row, split, starts)
            if row.video_id in seen:
                clip = replace(clip, clip_id=f"{row.video_id}.{split}{row.number}")
            seen.add(row.video_id)
            if (list_of[split], row.number) in own_labels:
                clip = replace(clip, labels=(own_labels[list_of[split], row.number],))
            if split == "train" and option["leaked"] == "drop" and row.video_id in evaluated:
                continue
            yield clip


def clip_of(row: Row, split: str, starts: Mapping[str, float]) -> Clip:
    """Return the clip of a row, with its time if there is one in `starts`."""
    start = starts.get(row.video_id)
    span = (None, None) if start is None else (start, start + SECONDS)
    return Clip(row.video_id, row.video_id, *span, (row.label,), split, "youtube", row.list, "")


def read(path: str | Path, classes: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of a released list; raises UserError, with the row, for what is none of these classes."""
    known = frozenset(classes)
    with manifest.readable(path), Path(path).open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, row {number}"
            found = re.fullmatch(r"/([^/]+)/([^/]+)\.wav,/\1/\2\.mp4,\d+", line.rstrip("\r\n"))
            if not found:
                raise UserError(f"{where}: {line.strip()!r} is not '/class/id.wav,/class/id.mp4,frames'")
            (label,) = manifest.labels(where, found[1], known)
            yield Row(Path(path).name, number, label, found[2])


def start_times(lists: Mapping[str, Path], video_ids: Iterable[str]) -> dict[str, float]:
    """Return id -> start in seconds from the list `times`, a CSV `id,start`; nothing if there is no such list.

    Raises UserError if it is none, names an id twice, or has no time of any of the videos: it is that of other ones.
    """
    if "times" not in lists:
        return {}
    starts = {}
    for where, row in users_rows(lists["times"], ("id", "start")):
        start = manifest.number(where, "start", row["start"])
        if start < 0:
            raise UserError(f"{where}: start {row['start']} is before the video begins")
        if row["id"] in starts:
            raise UserError(f"{where}: id {row['id']!r} was there before; each must be new")
        starts[row["id"]] = start
    if starts.keys().isdisjoint(video_ids):
        raise UserError(
            f"{lists['times']}: none of its {len(starts)} ids is a video of the lists; give the times of these videos"
        )
    return starts


def _annotations(lists: Mapping[str, Path], classes: tuple[str, ...]) -> dict[tuple[str, int], str]:
    """Return (list, row number) -> label from a CSV `split,row,id,label`; raises UserError if it is of other lists."""
    videos = {split: {row.number: row.video_id for row in read(lists[split], classes)} for split in SPLITS}
    labels = {}
    for where, row in users_rows(lists["annotations"], ("split", "row", "id", "label")):
        split, number = manifest.split(where, row["split"]), manifest.number(where, "row", row["row"])
        if videos[split].get(number) != row["id"]:
            raise UserError(f"{where}: row {row['row']} of {lists[split]} is not video {row['id']!r}")
        (label,) = manifest.labels(where, row["label"], frozenset(classes))
        labels[split, int(number)] = label
    return labels
