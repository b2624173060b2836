"""Where the media of each clip are: a CSV row per clip of a shard, written by scripts/fetch.py, read when packing."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from avrobust.data import manifest
from avrobust.data.availability import STATUSES
from avrobust.data.manifest import Clip
from avrobust.program import UserError


class Location(NamedTuple):
    """What came of looking for one clip.

    `status`: `ok` if there is a file, else why there is none (`avrobust.data.availability.STATUSES`), and `reason` says
    it in a word or a line. `source`: which of the sources has it, empty if none. `path` is absolute or relative to the
    folder that the programs run in; [`start`, `end`) are the clip's seconds in that file, None for all of it.
    """

    clip_id: str
    status: str
    reason: str = ""
    source: str = ""
    path: str = ""
    start: float | None = None
    end: float | None = None


def in_manifest(clip: Clip) -> Location:
    """Return where the manifest itself says that a clip is."""
    if not clip.path:
        return Location(clip.clip_id, "pending", "no_file")
    return Location(clip.clip_id, "ok", source=clip.source, path=clip.path, start=clip.start, end=clip.end)


def write(path: str | Path, locations: Iterable[Location]) -> None:
    """Write a CSV of locations, whole or not at all."""
    manifest.write_rows(path, Location._fields, locations)


def read(path: str | Path) -> Iterator[Location]:
    """Yield the rows of a CSV of locations; raises UserError if it is none."""
    for where, row in manifest.rows(path, Location._fields):
        manifest.one_of(where, "status", row["status"], STATUSES)
        start, end = manifest.span(where, row["start"], row["end"])
        yield Location(row["clip_id"], row["status"], row["reason"], row["source"], row["path"], start, end)


def of_clips(path: str | Path, clips: Iterable[Clip]) -> list[Location]:
    """Return the locations of these clips, in their order; raises UserError if the CSV is of other clips."""
    found = list(read(path))
    wanted = [clip.clip_id for clip in clips]
    if [location.clip_id for location in found] != wanted:
        raise UserError(f"{path}: not the clips of this shard; the manifest has changed: fetch the shard again")
    return found
