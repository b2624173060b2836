"""The videos that are looked for in archives: which are wanted, which part has which, and what was found.

Of every part that was read to its end a journal keeps one record:
    part: its address, without user, password and query;
    kept: video_id, file (in the folder), bytes, sha256, and start and end of each clip, if its name has them;
    others: the clips it has that were not wanted then, so that a longer manifest leads back to the right parts;
    skipped: how many members were passed over, by reason (see `archive_members.Sieve`);
    bytes, sha256: of the part as it came;
    finished: when.
A part that the server does not have is recorded as `missing` and asked for again by the next run.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event, Lock

from avrobust.data import journal, manifest
from avrobust.data.archive_addresses import shown
from avrobust.data.archive_members import Damaged, possible_videos
from avrobust.data.spans import Span, covers
from avrobust.program import UserError

COLUMNS = ("video_id", "file", "bytes", "sha256", "part", "start", "end")

# Video id -> the spans of its wanted clips, None where that is not known.
Wanted = Mapping[str, set[Span | None]]


class Search:
    """The wanted videos and what was found of them, on the disk and in the journal; the threads of a run share it.

    `found`: video id -> a row of the output. `bytes`: how many have been read in this run. `stop`: set when the run
    is to end. `mark`: what tells the temporary files of this journal's runs from others.
    """

    def __init__(self, wanted: Wanted, folder: Path, state: Path) -> None:
        """Look through the journal `state` (which need not be there) for what is in `folder` already.

        Raises UserError if it is no journal.
        """
        self.wanted = wanted
        self.folder = folder
        self.state = state
        self.bytes = 0
        self.stop = Event()
        self.mark = f"{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}-"
        self._lock = Lock()
        try:
            self._records = {record["part"]: record for record in journal.read(state) if not record.get("missing")}
            self.found = {
                kept["video_id"]: {**kept, "part": record["part"]}
                for record in self._records.values()
                for kept in record["kept"]
                if self._wants(kept["video_id"], _span(kept))
                and (folder / kept["file"]).is_file()
                and (folder / kept["file"]).stat().st_size == kept["bytes"]
            }
        except (AttributeError, KeyError, TypeError):
            raise UserError(f"{state}: not the journal of an archive; give another --state") from None
        self._takers = {video_id: row["part"] for video_id, row in self.found.items()}

    def complete(self) -> bool:
        """Whether every wanted video is found."""
        return len(self.found) == len(self.wanted)

    def unread(self, addresses: Iterable[str]) -> list[str]:
        """Return the addresses of the parts that were not read to their end, or have a wanted video that is not found.

        None if every wanted video is found.
        """
        return [] if self.complete() else [address for address in addresses if not self._is_read(shown(address))]

    def _is_read(self, part: str) -> bool:
        record = self._records.get(part)
        if record is None:
            return False
        held = [(kept["video_id"], _span(kept)) for kept in record["kept"]]
        held += [one for other in record["others"] for one in possible_videos(other)]
        return all(video_id in self.found for video_id, span in held if self._wants(video_id, span))

    def _wants(self, video_id: str, span: Span | None) -> bool:
        return any(covers(span, *(one or (None, None))) for one in self.wanted.get(video_id, ()))

    def take(self, part: str, video_id: str, span: Span | None) -> bool:
        """Whether these seconds of a video hold a wanted clip and no other part has had it; it is then this part's."""
        if not self._wants(video_id, span):
            return False
        with self._lock:
            return self._takers.setdefault(video_id, part) == part

    def add(self, record: Mapping) -> None:
        """Note what a part gave that was read to its end: nothing vouches for its clips before."""
        self.found |= {kept["video_id"]: {**kept, "part": record["part"]} for kept in record["kept"]}

    def give_up(self, part: str) -> None:
        """Let other parts give what this one took and cannot vouch for."""
        with self._lock:
            self._takers = {video: by for video, by in self._takers.items() if by != part or video in self.found}

    def heard(self, size: int) -> None:
        """Note that so many bytes were read. Raises Damaged if the run is to end."""
        with self._lock:
            self.bytes += size
        if self.stop.is_set():
            raise Damaged("left off, because the run ends")


def wanted_videos(path: str | Path) -> dict[str, set[Span | None]]:
    """Return the videos of a manifest of which a clip has no file, with the spans of these clips.

    Raises UserError if it is no manifest.
    """
    wanted: dict[str, set[Span | None]] = {}
    for clip in manifest.read(path):
        if clip.video_id and not clip.path:
            wanted.setdefault(clip.video_id, set()).add(None if clip.start is None else (clip.start, clip.end))
    return wanted


def _span(kept: Mapping) -> Span | None:
    return (kept["start"], kept["end"]) if "start" in kept else None


def write_table(path: Path, rows: Iterable[Mapping]) -> None:
    """Write a CSV of what was found, by video id, whole or not at all."""
    ordered = sorted(rows, key=lambda row: row["video_id"])
    manifest.write_rows(path, COLUMNS, ([row.get(column) for column in COLUMNS] for row in ordered))
