"""Media of published lists in a folder of the user's: which file holds which clip, by its name alone.

Names are `<id>` or `<id>_<start>_<end>` in seconds, in any folder, or the clip's own id, with .mp4, .mkv or .webm.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from avrobust.data import spans
from avrobust.data.manifest import Clip
from avrobust.notice import warn
from avrobust.program import UserError, escaped, is_text

log = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".mkv", ".webm")
# Not looked for, but worth a word if they are there.
OTHER_SUFFIXES = (".3gp", ".avi", ".flv", ".m4v", ".mov", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".wmv")
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")

# So many names stand in a message.
NAMED = 3


def with_local_files(
    clips: Iterable[Clip], folder: str | Path, required: bool = False, parts: bool = False
) -> Iterator[Clip]:
    """Yield the clips with the `path`, relative to `folder`, of those that have a file there.

    A clip gets, in this order, the file that is called as itself (`clip_id`); of the files `<id>_<start>_<end>` the one
    of its own span, or else the shortest whose span covers it (see `part`); the file `<id>`, which is taken for the cut
    clip as a whole. A clip without a span is all of its video; or, if clips are `parts`, one whose place nobody knows,
    which gets a cut file, too, if its video has only that. Of several files of one name, that in a folder with the name
    of the clip's class (spaces for underscores, if need be) comes first, then the first by name. Links to folders are
    followed. The folder is walked once; memory grows with the files in it alone. What is there and not taken is said as
    a warning.

    Raises UserError if several clips of one video claim one file `<id>`. If files are `required`, because they come
    from nowhere else, also if the folder is missing or no clip has a file there.
    """
    folder = Path(folder)
    if not folder.is_dir() and (required or folder.exists()):
        raise UserError(f"{folder}: the media folder is missing or no folder")
    files = _MediaFiles(folder)
    search = _Search(files, parts)
    for clip in clips:
        path = search.path(clip)
        yield replace(clip, path=path) if path else clip
    search.report(folder, required)


def part(clip: Clip) -> tuple[float | None, float | None]:
    """Return which seconds of its local file are the clip, (None, None): all of it."""
    stem = os.path.splitext(os.path.basename(clip.path))[0]  # noqa: PTH119, PTH122 (a million rows: no objects)
    named = spans.of_name(stem)
    if stem == clip.clip_id or named is None or named[0] != clip.video_id:
        return None, None
    return spans.part(named[1], clip.start, clip.end)


class _MediaFiles:
    """The media files below a folder. Two million are possible, so a file costs its name and not its path."""

    def __init__(self, folder: Path) -> None:
        # stem -> ((folder, suffix), ...): what has one place shares it with all files of its folder.
        self.places: dict[str, tuple[tuple[str, str], ...]] = {}
        # id -> stems of its files `<id>_<start>_<end>`.
        self._cuts: dict[str, tuple[str, ...]] = {}
        self.count = 0
        self.first: list[str] = []
        # Files of other kinds, by suffix; folders with pictures and no media file, by name.
        self.others: Counter[str] = Counter()
        self.frames: dict[str, str] = {}
        self.odd: list[str] = []
        self.closed: list[str] = []
        for parent, folders, names in os.walk(folder, followlinks=True, onerror=self._refused):
            here = Path(parent).resolve()
            folders[:], names = (sorted(name for name in of if self._is_text(parent, name)) for of in (folders, names))
            # A link to a folder above this one would lead in a circle.
            folders[:] = [name for name in folders if not here.is_relative_to((here / name).resolve())]
            inner = os.path.relpath(parent, folder)
            self._look("" if inner == "." else inner, names)

    def _refused(self, error: OSError) -> None:
        self.closed.append(f"{escaped(str(error.filename))} ({error.strerror})")

    def _is_text(self, parent: str, name: str) -> bool:
        """Whether a name is UTF-8; a manifest, which is, could not say where else the file is."""
        if not is_text(name):
            self.odd.append(escaped(os.path.join(parent, name)))  # noqa: PTH118
            return False
        return True

    def _look(self, inner: str, names: list[str]) -> None:
        shared: dict[str, tuple[tuple[str, str]]] = {}
        kinds: Counter[str] = Counter()
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() not in SUFFIXES:
                kinds[suffix.lower()] += 1
                continue
            self.count += 1
            place = shared.setdefault(suffix, ((inner, suffix),))
            known = self.places.setdefault(stem, place)
            if known is not place:
                self.places[stem] = known + place
            elif named := spans.of_name(stem):
                self._cuts[named[0]] = (*self._cuts.get(named[0], ()), stem)
            if len(self.first) < NAMED:
                self.first.append(_joined(place[0], stem))
        self.others += kinds
        if not shared and not kinds.keys().isdisjoint(PICTURES):
            self.frames.setdefault(os.path.basename(inner), inner)  # noqa: PTH119

    def cuts(self, video_id: str) -> list[tuple[tuple[float, float], str]]:
        """Return (seconds, name without suffix) of the files `<id>_<start>_<end>` of a video."""
        return [(spans.of_name(stem)[1], stem) for stem in self._cuts.get(video_id, ())]

    def path(self, stem: str, labels: Iterable[str]) -> str:
        """Return the file of this name, relative to the folder, best in a folder of one of these classes."""
        places = self.places[stem]
        of_class = (place for label in labels for place in places if _class_of(place) == label)
        return _joined(next(of_class, places[0]), stem)


class _Search:
    """The files of clips, one by one, and what is to be said in the end."""

    def __init__(self, files: _MediaFiles, parts: bool) -> None:
        self.files = files
        self.parts = parts
        self.found = 0
        self.wanted: list[str] = []
        # File `<id>` -> the clip that has it.
        self.takers: dict[str, Clip] = {}
        self.claims: list[str] = []
        self.other_spans: list[str] = []
        self.framed: list[str] = []
        self.unplaced = 0

    def path(self, clip: Clip) -> str:
        """Return the file of a clip, relative to the folder; empty if there is none."""
        if len(self.wanted) < NAMED:
            self.wanted.append(f"{clip.labels[0]}/{clip.video_id}.mp4")
        stem = self._stem(clip)
        if stem is None:
            frames = self.files.frames
            if (folder := frames.get(clip.clip_id, frames.get(clip.video_id))) is not None:
                self.framed.append(folder)
            return ""
        self.found += 1
        path = self.files.path(stem, clip.labels)
        if stem == clip.video_id and clip.start is not None:
            taker = self.takers.setdefault(path, clip)
            if not spans.is_same((taker.start, taker.end), clip.start, clip.end):
                self.claims.append(f"{path}: {_told(taker)} and {_told(clip)}")
        return path

    def _stem(self, clip: Clip) -> str | None:
        if clip.clip_id in self.files.places:
            return clip.clip_id
        cuts = self.files.cuts(clip.video_id)
        if clip.start is not None:
            fit = [(_distance(span, clip), stem) for span, stem in cuts if spans.covers(span, clip.start, clip.end)]
            if fit:
                return min(fit)[1]
        if clip.video_id in self.files.places:
            return clip.video_id
        if clip.start is None and self.parts and len(cuts) == 1:
            self.unplaced += 1
            return cuts[0][1]
        if cuts:
            self.other_spans.append(f"{_told(clip)} ({', '.join(stem for _, stem in cuts[:NAMED])})")
        return None

    def report(self, folder: Path, required: bool) -> None:
        """Say what was found and what was not; raises UserError as `with_local_files` does."""
        files = self.files
        if self.claims:
            raise UserError(
                f"{folder}: {_some(self.claims, 'file')} would be two clips at once, but a file <id> is one cut clip; "
                "call it <id>_<start>_<end>, in seconds of the video, and each clip gets what is its own"
            )
        if files.odd:
            warn(f"left out, because their names are not UTF-8: {_some(files.odd, 'name')}; rename them")
        if files.closed:
            warn(f"left out, because they cannot be read: {_some(files.closed, 'folder')}")
        if self.other_spans:
            warn(
                f"{folder} has only other parts of the video for {_some(self.other_spans, 'clip')}; these clips get no "
                "file, because no span covers their own"
            )
        if self.framed:
            warn(
                f"{folder} has pictures in place of a video for {_some(self.framed, 'clip')}; frames have no sound and "
                f"are not read: put the videos there ({', '.join(SUFFIXES)})"
            )
        if videos := ", ".join(f"{files.others[kind]} {kind}" for kind in OTHER_SUFFIXES if files.others[kind]):
            warn(f"{folder}: {videos} files are not looked at, only {', '.join(SUFFIXES)} are; convert or remux them")
        if folder.is_dir() and not self.found and self.wanted:
            text = self._nothing(folder)
            if required:
                raise UserError(text)
            # A folder that is empty, or has what has nothing to do with clips, is as good as none.
            if files.count or files.frames:
                warn(text)
        if self.unplaced:
            log.info("%d clips of unknown time have the only cut file of their video", self.unplaced)
        log.info("%d clips have a file in %s, which has %d media files", self.found, folder, files.count)

    def _nothing(self, folder: Path) -> str:
        files = self.files
        looked_for = f"looked for: {', '.join(self.wanted)}, ... or <id>_<start>_<end>.mp4 in any folder"
        if files.count:
            there = f"there: {', '.join(files.first)}{', ...' * (files.count > len(files.first))}"
            return (
                f"{folder} has {files.count} media files, and none is called as a clip of the lists; {there}; "
                f"{looked_for}; rename them, or write a table of your own (source: local)"
            )
        text = f"{folder} has no media file ({', '.join(SUFFIXES)})"
        if kinds := files.others.most_common(NAMED):
            text += ", but " + ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in kinds)
        if files.frames:
            example = next(iter(files.frames.values())) or "."
            text += f"; pictures, for example in {example}, have no sound: give videos"
        if files.odd:
            text += f"; names that are not UTF-8 are left out: {_some(files.odd, 'name')}"
        return f"{text}; {looked_for}"


def _distance(span: tuple[float, float], clip: Clip) -> float:
    return abs(span[0] - clip.start) + abs(span[1] - clip.end)


def _told(clip: Clip) -> str:
    return clip.clip_id if clip.start is None else f"{clip.clip_id} [{clip.start:g}, {clip.end:g})"


def _some(names: list[str], what: str) -> str:
    """Return for a message how many there are, and the first ones."""
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)} {what}{'s' * (len(names) != 1)}: {'; '.join(names[:NAMED])}{more}"


def _joined(place: tuple[str, str], stem: str) -> str:
    return os.path.join(place[0], stem + place[1])  # noqa: PTH118


def _class_of(place: tuple[str, str]) -> str:
    return place[0].rpartition("/")[2].replace(" ", "_")
