"""Lists of clips: a user's own table, and what all protocols of published lists share.

A protocol (avrobust.data.protocols) says what published lists mean; the shared rules here are that options and lists
have known names, that no clip comes twice, and that a split that nobody published is drawn by a hash of the video id.
"""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.manifest import SPLITS, Clip
from avrobust.data.users_csv import users_rows
from avrobust.notice import warn
from avrobust.program import UserError

TABLE_COLUMNS = ("clip_id", "path", "label", "split")
SPAN_COLUMNS = ("start", "end")
# Kinetics' names, and what people write for them.
OTHER_NAMES = {"time_start": "start", "time_end": "end", "start_time": "start", "end_time": "end"}

CURE = "; correct it, add it to the classes, or take the classes from the table (--classes-from-table)"

# How many of a table's files are looked for, to tell a wrong folder from some missing files.
LOOKED_FOR = 100

# A message names so many classes.
NAMED = 20

# Of the hash that decides splits: another one gives other splits, and other results.
SEED = 0


def table_classes(table: str | Path) -> tuple[str, ...]:
    """Return the sorted class names that a user's table uses."""
    found = {name for _, row in table_rows(table) for name in row["label"].split(manifest.LABEL_SEPARATOR)}
    return manifest.checked_classes(str(table), sorted(found))


def table_rows(table: str | Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place for messages, row) of a user's table.

    Raises UserError as `avrobust.data.users_csv.users_rows` does, and for a column of starts without one of ends.
    """
    for where, row in users_rows(table, TABLE_COLUMNS, SPAN_COLUMNS, OTHER_NAMES):
        if len(alone := row.keys() & {*SPAN_COLUMNS}) == 1:
            (there,), (absent,) = alone, {*SPAN_COLUMNS} - alone
            raise UserError(f"{table}, row 1: column {there} without {absent}; give both or none")
        yield where, row


def table_clips(table: str | Path, classes: Iterable[str], folder: str | Path) -> Iterator[Clip]:
    """Yield the clips of a user's table (`clip_id,path,label,split[,start,end]`) in order.

    Warns of clips that are trained with and tested on, too: the same seconds of the same file under two names.

    Raises UserError for the first mistake: a bad row, a repeated clip_id, a split without a row, or a folder in which
    none of the first files is. Memory grows by sixteen bytes a row.
    """
    classes = frozenset(manifest.checked_classes(str(table), classes))
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: the media folder is missing or no folder")
    hashes, found = array("q"), False
    # Of each split, numbers that two clips share that are the same seconds of the same file.
    places = {name: array("q") for name in SPLITS}

    def place(clip: Clip) -> int:
        return hash((os.path.normpath(os.path.join(folder, clip.path)), clip.start, clip.end))  # noqa: PTH118

    for where, row in table_rows(table):
        clip = _table_clip(where, row, classes, Path(table).name)
        if len(hashes) < LOOKED_FOR:
            found = found or os.path.isfile(folder / clip.path)  # noqa: PTH113 (a name that is too long is no error)
        hashes.append(hash(clip.clip_id))
        places[clip.split].append(place(clip))
        yield clip
    if not hashes:
        raise UserError(f"{table}: the table has no rows")
    refuse_repeats("clip_id", hashes, lambda: ((where, row["clip_id"]) for where, row in table_rows(table)))
    absent = [name for name in SPLITS if not places[name]]
    if absent:
        raise UserError(f"{table}: no row has split {', '.join(absent)}; each of {', '.join(SPLITS)} needs one")
    if not found:
        looked = min(len(hashes), LOOKED_FOR)
        raise UserError(f"{table}: none of the first {looked} files is there; is {folder} the right folder?")
    if shared := _in_both(places["train"], places["val"] + places["test"]):
        again = ((where, _table_clip(where, row, classes, "")) for where, row in table_rows(table))
        leaked = [
            f"{clip.clip_id!r} of {clip.split} ({where.rpartition(', ')[2]})"
            for where, clip in again
            if clip.split != "train" and place(clip) in shared
        ]
        some = f"{', '.join(leaked[:NAMED])}{', ...' * (len(leaked) > NAMED)}"
        warn(f"{table}: trained with under another name, the same seconds of the same file, and so no test: {some}")


def _in_both(one: array, other: array) -> set[int]:
    """Return the numbers that stand in both; as sets they would take ten times the memory."""
    import numpy as np

    return set(np.intersect1d(np.frombuffer(one, np.int64), np.frombuffer(other, np.int64)).tolist())


def with_classes_checked(clips: Iterable[Clip], classes: Iterable[str], where: str) -> Iterator[Clip]:
    """Yield the clips, and compare in the end which classes each split has; `where`: what the clips were read from.

    Raises UserError for a class that is in validation or test and not in training: no net can learn it, so that each
    of its clips counts as wrong. Warns of classes that are trained and never tested, of those without a clip, and of
    those whose names differ only in case, spaces or underscores.
    """
    classes = tuple(classes)
    found: dict[str, set[str]] = {name: set() for name in SPLITS}
    for clip in clips:
        found[clip.split].update(clip.labels)
        yield clip
    # Without any clip to train with there is more to say, and it is said elsewhere.
    if not found["train"]:
        return
    for split in SPLITS[1:]:
        if unseen := sorted(found[split] - found["train"]):
            raise UserError(
                f"{where}: no clip in train of {_classes(unseen)}, which {split} has: a net cannot learn what it never "
                "sees; give clips to train, or take these out"
            )
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault("".join(name.replace("_", " ").lower().split()), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            warn(f"{where}: {' and '.join(map(repr, names))} are {len(names)} classes; are they meant to be one?")
    if untested := sorted(found["train"] - found["test"]):
        warn(f"{where}: no clip in test of {_classes(untested)}, which train has")
    if empty := [name for name in classes if name not in found["train"]]:
        warn(f"{where}: no clip at all of {_classes(empty)}; nets have an output for each of them all the same")


def _classes(names: Sequence[str]) -> str:
    """Return class names for a message, not all of hundreds."""
    shown = ", ".join(names[:NAMED])
    return f"class {shown}" if len(names) == 1 else f"{len(names)} classes: {shown}{', ...' * (len(names) > NAMED)}"


def _table_clip(where: str, row: Mapping[str, str], classes: frozenset[str], name: str) -> Clip:
    for column in ("clip_id", "path", "label"):
        if not row[column]:
            raise UserError(f"{where}: {column} is empty")
    video_id, path = os.path.splitext(row["path"])[0], manifest.inner_path(where, row["path"])  # noqa: PTH122
    span = manifest.span(where, row.get("start", ""), row.get("end", ""))
    labels, split = manifest.labels(where, row["label"], classes, CURE), manifest.split(where, row["split"])
    return Clip(row["clip_id"], video_id, *span, labels, split, "local", name, path)


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


def divided(clips: Sequence[Clip], places: Sequence[str], weights: Mapping[str, int]) -> Iterator[Clip]:
    """Yield clips of one label in splits as `stratified` makes them, one split after the other.

    Raises UserError if a video comes twice; `places` says where each clip stands.
    """
    videos = [clip.video_id for clip in clips]
    refuse_repeats("video", array("q", map(hash, videos)), lambda: zip(places, videos, strict=True))
    split_of = stratified({clip.video_id: clip.labels[0] for clip in clips}, weights)
    for split in SPLITS:
        yield from (replace(clip, split=split) for clip in clips if split_of[clip.video_id] == split)


def rank(video_id: str) -> bytes:
    """Return the video's place among all others, 32 bytes to compare: it depends on nothing but the id."""
    return hashlib.sha256(f"{SEED}:{video_id}".encode()).digest()


def stratified(labels: Mapping[str, str], weights: Mapping[str, int]) -> dict[str, str]:
    """Divide videos, id -> class, into splits of these weights and return id -> split.

    Each split gets its share of all videos as the nearest whole number, halves rounded down, the last one what is left;
    and of each class its share to within one video. Within a class `rank` decides who goes where, so that the order of
    the videos changes nothing. Only where that would leave the first split, which is for training, without a video of a
    class, it gets one more.
    """
    train = next(iter(weights))
    classes: dict[str, list[str]] = {}
    for video_id, label in labels.items():
        classes.setdefault(label, []).append(video_id)
    sizes = quotas({label: len(classes[label]) for label in sorted(classes)}, weights)
    splits = {}
    for label, videos in classes.items():
        names = [name for name, size in sizes[label].items() for _ in range(size)]
        if train not in names:
            names[0] = train
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
