"""Classes of Kinetics-400: from its annotations, or from the lists of 31 classes that later work made of them.

Li et al. (ICASSP 2022) train on 22,107 and validate on 1,504 clips of "34 classes" of Kinetics-Sounds. Kinetics-400 has
31 of the original 34 under a name that is surely the same, and these numbers fit its own train and val lists. They name
no test clips and publish no list: what they report is of the clips that are called val there.

`kinetics` takes the annotations train, val and optionally test, `label,youtube_id,time_start,time_end,split[,is_cc]`,
as CVDF and as DeepMind publish them, and of them the clips of the given classes, where underscores stand for spaces.
`crmt` takes the lists train and test of Certifiable-Robust-Multi-modal-Training (GeWu-Lab), without header, each row
`<id>_<start>_<end> <label>` or `<id> <label>`, the label a number in the alphabetical order of the classes.

Option of both:

validation   `held_out`: a twentieth of each class of train, by a hash of the video id, is for validation; Kinetics' val
             (crmt: test) is the test. `none_held_out`: all of train is for training. Then val is for validation and,
             unless there is the list test, once more for the test, as without a test split it must have been.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from avrobust.data import manifest
from avrobust.data.lists import check_names, chosen, stratified
from avrobust.data.manifest import Clip
from avrobust.data.users_csv import users_rows
from avrobust.program import UserError

OPTIONS = {"validation": ("held_out", "none_held_out")}

# What the column split of the annotations says in each list, if there is one: CVDF writes val, DeepMind validate.
SAID = {"train": ("", "train"), "val": ("", "val", "validate"), "test": ("", "test")}

# The paper says nothing of how nets were selected; one clip in twenty is held out for it.
WEIGHTS = {"train": 19, "val": 1}


class Row(NamedTuple):
    """One row of a list: its number from 1, and its clip, which has no split yet."""

    number: int
    clip: Clip


def clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips of annotations in the order train, val, test; clip_id is the official file name without suffix.

    Raises UserError if a list is missing or none, or train has no clip of one of the classes.
    """
    held_out = chosen(OPTIONS, options)["validation"] == "held_out"
    check_names(lists, ["train", "val"], [] if held_out else ["test"])
    rows = {name: list(_annotated(name, path, frozenset(classes))) for name, path in lists.items()}
    yield from _split(rows["train"], rows["val"], rows.get("test"), classes, held_out, lists["train"])


def crmt_clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips of the lists of CRMT in the order train, val, test. Raises UserError as `clips` does."""
    held_out = chosen(OPTIONS, options)["validation"] == "held_out"
    check_names(lists, ["train", "test"])
    names = sorted(classes)
    train, test = (list(_numbered(lists[name], names)) for name in ("train", "test"))
    yield from _split(train, test, None, classes, held_out, lists["train"])


def _split(
    train: list[Row], val: list[Row], test: list[Row] | None, classes: Iterable[str], held_out: bool, path: str | Path
) -> Iterator[Clip]:
    absent = sorted(set(classes) - {row.clip.labels[0] for row in train})
    if absent:
        raise UserError(f"{path}: no clip of class {', '.join(absent)}; is the name that of the list?")
    parts = {"train": train, "val": val, "test": val if test is None else test}
    if held_out:
        # A video that comes twice stays in one split, that of its first row.
        split_of = stratified({row.clip.video_id: row.clip.labels[0] for row in reversed(train)}, WEIGHTS)
        parts = {name: [row for row in train if split_of[row.clip.video_id] == name] for name in WEIGHTS}
        parts["test"] = val
    seen = set()
    for split, rows in parts.items():
        for number, clip in rows:
            clip_id = f"{clip.clip_id}.{split}{number}" if clip.clip_id in seen else clip.clip_id
            seen.add(clip_id)
            yield replace(clip, clip_id=clip_id, split=split)


def _row(path: str | Path, number: int, video_id: str, begin: str, end: str, label: str) -> Row:
    span = manifest.span(f"{path}, row {number}", begin, end)
    clip_id = video_id if span[0] is None else f"{video_id}_{span[0]:06.0f}_{span[1]:06.0f}"
    return Row(number, Clip(clip_id, video_id, *span, (label,), "", "youtube", Path(path).name, ""))


def _annotated(name: str, path: str | Path, classes: frozenset[str]) -> Iterator[Row]:
    """Yield the annotations of these classes; raises UserError if a row says that it is of another list than `name`."""
    columns = ("label", "youtube_id", "time_start", "time_end")
    for number, (where, row) in enumerate(users_rows(path, columns, ("split", "is_cc")), start=2):
        if (said := row.get("split", "")) not in SAID[name]:
            raise UserError(f"{where}: split {said!r} in the list that is given as {name}; give each list as its own")
        label = row["label"].replace(" ", "_")
        if label in classes:
            if not row["youtube_id"]:
                raise UserError(f"{where}: youtube_id is empty")
            yield _row(path, number, row["youtube_id"], row["time_start"], row["time_end"], label)


def _numbered(path: str | Path, names: list[str]) -> Iterator[Row]:
    """Yield the rows of a list of CRMT, of which a blank line is none."""
    with manifest.readable(path), Path(path).open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, row {number}"
            found = re.fullmatch(r"(\S+?)(?:_(\d{6})_(\d{6}))? (\d+)", line.strip())
            if not found:
                raise UserError(f"{where}: {line.strip()!r} is not 'id_start_end label' or 'id label'")
            if int(found[4]) >= len(names):
                raise UserError(f"{where}: label {found[4]} is none of 0 to {len(names) - 1}, the given classes")
            yield _row(path, number, found[1], found[2] or "", found[3] or "", names[int(found[4])])
