"""Wanted clips out of archives that are far too large to keep: tar parts, read while they arrive, and zip files.

Of every part that was read to its end a journal keeps one record:
    part: its address, without user, password and query;
    kept: video_id, file (in the folder), bytes and sha256 of each clip;
    others: the clips it has that were not wanted then, so that a longer manifest leads back to the right parts;
    skipped: how many members were passed over, by reason (see `Passed`);
    bytes, sha256: of the part as it came;
    finished: when.
A part that the server does not have is recorded as `missing` and asked for again by the next run.
"""

import csv
import gzip
import hashlib
import io
import ipaddress
import logging
import re
import shutil
import stat
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import Protocol
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

import requests
import urllib3

from avrobust.data import journal, manifest
from avrobust.files import replacing
from avrobust.program import UserError, progress

log = logging.getLogger(__name__)

COLUMNS = ("video_id", "file", "bytes", "sha256", "part")

NAME = re.compile(r"(.+)\.(mp4|mkv|webm)", re.DOTALL)
SPANNED = re.compile(r"(.+)_[0-9]{6}_[0-9]{6}", re.DOTALL)

CHUNK = 2**20

# Bytes that are waited for at a time: on a slow connection, a second or so.
PIECE = 2**16
GZIP_MARK = b"\x1f\x8b"

# Bytes of a member that is no clip any more: clips of Kinetics have 1.5 MB.
LARGEST_MEMBER = 2**30

# Bytes of a header for a long name or for extended attributes; tarfile takes it into memory.
LARGEST_HEADER = 2**20
LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

TIMEOUT_SECONDS = 60
LONGEST_WAIT_SECONDS = 600.0
MOST_REDIRECTS = 10

# Seconds after which something is said although no part has ended.
SILENCE = 60.0

READ, UNNEEDED, MISSING, FAILED = "read", "unneeded", "missing", "failed"


class Damaged(Exception):
    """An archive ends too early or is not what it should be."""


class _Stopped(Exception):
    """Another thread has failed for good."""


class _NotThere(Exception):
    """The server does not have this part."""


class _Refused(Exception):
    """No archive comes; `wait`: seconds after which the server wants to be asked again, 0 if it does not say."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Readable(Protocol):
    """Anything that bytes can be read from, in order."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Member:
    """A clip that was written: its video, its file, the file's size and SHA-256 in hexadecimal."""

    video_id: str
    path: Path
    bytes: int
    sha256: str


@dataclass
class Passed:
    """What was not kept.

    `skipped` counts members: `special` (links, devices, FIFOs, sparse files), `apple_double` (`._*`), `other_name` (no
    clip by its name), `empty`, `too_large`, `repeated` (a second one of a video). `others`: names, without the suffix,
    of clips that are not wanted.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    others: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Reading:
    """How archives are read.

    `keep_free`: bytes of the disk that stay free. `tries` of one part, with `wait` seconds before the second and twice
    as long before each later one. `allow_http`: also from hosts other than this machine.
    """

    keep_free: int = 0
    tries: int = 5
    wait: float = 2.0
    allow_http: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a part, by its shown address: READ, UNNEEDED (all was found before), MISSING or FAILED."""

    part: str
    status: str


def wanted_videos(path: str | Path) -> dict[str, None]:
    """Return the videos of a manifest of which a clip has no file, in order, as the keys of a dict.

    Raises UserError if it is no manifest.
    """
    return {clip.video_id: None for clip in manifest.read(path) if clip.video_id and not clip.path}


def free_bytes(folder: Path) -> int:
    """Return how many bytes of the disk of an existing folder are free."""
    return shutil.disk_usage(folder).free


def check_room(folder: Path, keep_free: int, size: int = 0) -> None:
    """Raise UserError if after `size` more bytes fewer than `keep_free` were free."""
    free = free_bytes(folder)
    if free - size < keep_free:
        raise UserError(
            f"{folder}: {free} bytes are free and at least {keep_free + size} are needed, of which {keep_free} stay "
            f"free (--keep-free-gb {keep_free / 1e9:g}); make room or keep less free, then run the same command: it "
            "goes on where it stopped"
        )


def tar_members(
    stream: Readable,
    wanted: Container[str],
    folder: Path,
    *,
    keep_free: int = 0,
    largest: int = LARGEST_MEMBER,
    mark: str = "",
    passed: Passed | None = None,
) -> Iterator[Member]:
    """Write the wanted clips of a tar stream, gzipped or plain, as `folder/<video id>.<suffix>` and yield each.

    A clip is a regular file called `<video id>.<mp4|mkv|webm>` or `<video id>_<start>_<end>.<…>` with six digits each,
    in whatever folder: only the last part of a member's name counts. The stream is read once, in order, to its end. A
    file that is there already with the same content is left alone. `largest`: bytes of a member; `mark`: what tells the
    temporary files `.part-<mark><name>` from those of other writers in this folder; `passed` is filled.

    Raises:
        Damaged: the stream ends before the tar's end mark, or is no tar; what was yielded is whole and stays.
        UserError: fewer than `keep_free` bytes would stay free, or the folder cannot be written to.
    """
    passed = passed or Passed()
    kept: set[str] = set()
    with _damage():
        first = stream.read(1)
        first += stream.read(1)
        unpacked: Readable = _Rejoined(first, stream)
        if first == GZIP_MARK:
            # tarfile's own reader of gzip takes a stream that was cut off for one that has ended.
            unpacked = gzip.GzipFile(fileobj=unpacked)
        archive = tarfile.open(mode="r|", fileobj=unpacked, tarinfo=_Header)  # noqa: SIM115
    while True:
        with _damage():
            member = archive.next()
        if member is None:
            break
        if member.isdir():
            continue
        special = not member.isreg() or member.issparse()
        choice = _choice(member.name, member.size, special, wanted, largest, kept, passed)
        if choice:
            with _damage():
                content = archive.extractfile(member)
            yield _written(content, member.size, choice, folder, keep_free, mark)
            kept.add(choice[0])
    with _damage():
        while unpacked.read(CHUNK):
            pass


def zip_members(
    path: Path,
    wanted: Container[str],
    folder: Path,
    *,
    keep_free: int = 0,
    largest: int = LARGEST_MEMBER,
    mark: str = "",
    passed: Passed | None = None,
) -> Iterator[Member]:
    """Write the wanted clips of a zip file and yield each, as `tar_members` does.

    Raises:
        Damaged: it is no zip file, or a wanted member is damaged; what was yielded is whole and stays.
        UserError: a wanted member is encrypted, fewer than `keep_free` bytes would stay free, or the folder cannot be
            written to.
    """
    passed = passed or Passed()
    kept: set[str] = set()
    with _damage():
        archive = zipfile.ZipFile(path)
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            special = stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG)
            choice = _choice(info.filename, info.file_size, special, wanted, largest, kept, passed)
            if not choice:
                continue
            if info.flag_bits & 1:
                raise UserError(f"{path}: {choice[0]} is encrypted; unpack it with its password and make another zip")
            with _damage():
                content = archive.open(info)
            with content:
                yield _written(content, info.file_size, choice, folder, keep_free, mark)
            kept.add(choice[0])


def _choice(
    name: str, size: int, special: bool, wanted: Container[str], largest: int, kept: Container[str], passed: Passed
) -> tuple[str, str] | None:
    """Return (video id, suffix) of a member to keep; for any other note in `passed` why it is not kept."""
    base = re.split(r"[/\\]", name)[-1]
    named = NAME.fullmatch(base)
    reasons = {
        "special": special,
        "apple_double": base.startswith("._"),
        "other_name": named is None,
        "empty": size == 0,
        "too_large": size > largest,
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if reason:
        passed.skipped[reason] += 1
        return None
    stem, suffix = named.groups()
    video_id = next((video for video in _videos(stem) if video in wanted), None)
    if video_id is None:
        passed.others.add(stem)
        return None
    if video_id in kept:
        passed.skipped["repeated"] += 1
        return None
    return video_id, suffix


def _videos(stem: str) -> list[str]:
    """Return the videos that a clip may be of by its name."""
    spanned = SPANNED.fullmatch(stem)
    return [spanned[1], stem] if spanned else [stem]


def _written(content: Readable, size: int, choice: tuple[str, str], folder: Path, keep_free: int, mark: str) -> Member:
    """Copy `size` bytes, all that there are, to the clip's file."""
    video_id, suffix = choice
    target = folder / f"{video_id}.{suffix}"
    temporary = folder / f".part-{mark}{target.name}"
    seen, left = hashlib.sha256(), size
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            while left:
                check_room(folder, keep_free, left)
                with _damage():
                    data = content.read(min(CHUNK, left))
                if not data:
                    raise Damaged(f"{target.name} is {left} bytes short")
                file.write(data)
                seen.update(data)
                left -= len(data)
        with _damage():
            if content.read(1):
                raise Damaged(f"{target.name} is longer than its {size} bytes")
        if not _is(target, size, seen.hexdigest()):
            temporary.replace(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Member(video_id, target, size, seen.hexdigest())


def _is(path: Path, size: int, sha256: str) -> bool:
    return _has_size(path, size) and _sha256(path) == sha256


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever the libraries raise on a damaged archive into Damaged; only their calls stand under it."""
    try:
        yield
    except (Damaged, UserError, _Stopped):
        raise
    except Exception as error:
        raise Damaged(_scrubbed(str(error)) or type(error).__name__) from error


class _Header(tarfile.TarInfo):
    """A tar header. tarfile takes an archive that is cut off between members for a whole one; this does not."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in LONG_HEADERS and header.size > LARGEST_HEADER:
            raise Damaged(f"a header of {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the end mark
            raise
        except tarfile.HeaderError as error:
            raise Damaged(f"neither a member nor the end of the archive: {error}") from error


class _Rejoined:
    """A stream of which the first bytes had been read."""

    def __init__(self, first: bytes, stream: Readable) -> None:
        self.first = first
        self.stream = stream

    def read(self, size: int = CHUNK) -> bytes:
        if self.first:
            first, self.first = self.first, b""
            return first
        return self.stream.read(size)


class Search:
    """The wanted videos and what was found of them, on the disk and in the journal; the threads of a run share it.

    `found`: video id -> a row of the output. `bytes`: how many have been read in this run.
    """

    def __init__(self, wanted: Iterable[str], folder: Path, state: Path) -> None:
        """Look through the journal `state` (which need not be there) for what is in `folder` already.

        Raises UserError if it is no journal.
        """
        self.wanted = frozenset(wanted)
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
                if kept["video_id"] in self.wanted and _has_size(folder / kept["file"], kept["bytes"])
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
        held = {kept["video_id"] for kept in record["kept"]}
        held.update(*map(_videos, record["others"]))
        return all(video_id in self.found for video_id in held & self.wanted)

    def of_part(self, part: str) -> Container[str]:
        """Return the wanted videos that no other part has had; to ask for one gives it to this part."""
        return _Claims(self, part)

    def take(self, video_id: str, part: str) -> bool:
        """Whether a video is wanted and this part is the first to have it."""
        if video_id not in self.wanted:
            return False
        with self._lock:
            return self._takers.setdefault(video_id, part) == part

    def keep(self, member: Member, part: str) -> dict:
        """Note a clip that was written, and return what the journal says of it."""
        kept = {"video_id": member.video_id, "file": member.path.name, "bytes": member.bytes, "sha256": member.sha256}
        self.found[member.video_id] = {**kept, "part": part}
        return kept

    def give_up(self, part: str) -> None:
        """Forget what a part gave that could not be read to its end, unless an earlier run had it."""
        earlier = {kept["video_id"] for kept in self._records.get(part, {"kept": ()})["kept"]}
        with self._lock:
            for video_id in [video for video, taker in self._takers.items() if taker == part]:
                if video_id not in earlier or video_id not in self.found:
                    del self._takers[video_id]
                    self.found.pop(video_id, None)

    def count(self, size: int) -> None:
        """Note that so many bytes were read."""
        with self._lock:
            self.bytes += size


class _Claims:
    def __init__(self, search: Search, part: str) -> None:
        self.search = search
        self.part = part

    def __contains__(self, video_id: object) -> bool:
        return self.search.take(video_id, self.part)


def read_parts(addresses: Sequence[str], search: Search, reading: Reading, connections: int) -> Iterator[Outcome]:
    """Read tar parts, `connections` at a time, until all is found, and yield what came of each when it has ended.

    Each address is that of a file or begins with https:// (or http://, see `check_address`). A part that breaks off is
    read anew from its beginning.

    Raises:
        UserError: an address is none, a file is missing, or the disk is full. Parts that were read stay in the journal.
    """
    for address in addresses:
        check_address(address, reading.allow_http)
    _prepare(search)

    def one(number: int, address: str) -> tuple[Outcome, dict | None]:
        part = shown(address)
        if search.stop.is_set() or search.complete():
            return Outcome(part, UNNEEDED), None
        check_room(search.folder, reading.keep_free)
        mark = f"{search.mark}{number}-"
        return _ended(part, lambda: _tar_record(address, search, reading, mark), search, reading, _is_remote(address))

    with journal.writing(search.state) as write, ThreadPoolExecutor(connections) as threads:
        order = {threads.submit(one, number, address): number for number, address in enumerate(addresses)}
        running, error = set(order), None
        try:
            while running:
                done, running = wait(running, timeout=SILENCE, return_when=FIRST_COMPLETED)
                if not done:
                    log.info("%.0f MB read, %d of %d found", search.bytes / 1e6, len(search.found), len(search.wanted))
                for future in sorted(done, key=order.get):
                    try:
                        outcome, record = future.result()
                    except Exception as raised:
                        if not isinstance(raised, _Stopped):
                            error = error or raised
                        search.stop.set()
                        continue
                    if record:
                        write(record)
                    yield outcome
            if error:
                raise error
        except BaseException:
            search.stop.set()
            for future in running:
                future.cancel()
            raise


def read_zip(address: str, search: Search, reading: Reading) -> Outcome:
    """Read a zip file; one from the web (any address as of `read_parts`, or Google Drive's) is fetched into the folder.

    A fetched zip is removed when it was read, and when it is damaged, so that the next run fetches another.

    Raises:
        UserError: as of `read_parts`; or Google Drive refuses, or a wanted member is encrypted.
    """
    check_address(address, reading.allow_http)
    drive_id, part = _drive_id(address), shown(address)
    _prepare(search)
    check_room(search.folder, reading.keep_free)
    fetched = drive_id or _is_remote(address)
    path = search.folder / f"archive-{search.mark}{_digest(address)}.zip" if fetched else Path(address)
    if drive_id:
        _fetch_from_drive(drive_id, path)

    def record() -> dict:
        if fetched and not path.exists():
            _fetch(address, path, search, reading)
        try:
            made = _zip_record(path, part, search, reading)
        except Damaged:
            if fetched:
                path.unlink(missing_ok=True)
            raise
        return made

    outcome, made = _ended(part, record, search, reading, bool(fetched) and not drive_id)
    if made:
        with journal.writing(search.state) as write:
            write(made)
    if fetched and outcome.status == READ:
        path.unlink()
    return outcome


def part_list(address: str, reading: Reading) -> list[str]:
    """Read a list of parts, an address a line; what is relative starts from where the list is.

    Raises UserError if it cannot be read.
    """
    check_address(address, reading.allow_http)
    for attempt in range(1, reading.tries + 1):
        try:
            with _opened(address, reading.allow_http) as stream:
                text = b"".join(iter(lambda: stream.read(CHUNK), b"")).decode("utf-8-sig")
            break
        except UnicodeDecodeError:
            raise UserError(f"{shown(address)}: no list of parts, but something that is not UTF-8") from None
        except (_NotThere, _Refused, Damaged) as error:
            if attempt == reading.tries or isinstance(error, _NotThere) or not _is_remote(address):
                raise UserError(f"{shown(address)}: the list of parts cannot be read: {error}") from None
            time.sleep(_seconds(error, attempt, reading))
    lines = [line.strip() for line in text.splitlines()]
    base = address if _is_remote(address) else str(Path(address).parent)
    return [_joined(base, line) for line in lines if line and not line.startswith("#")]


def _joined(base: str, line: str) -> str:
    if "://" in line:
        return line
    return urljoin(base, line) if _is_remote(base) else str(Path(base) / line)


def write(path: Path, rows: Iterable[Mapping]) -> None:
    """Write a CSV of what was found, by video id, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["video_id"]))


def shown(address: str) -> str:
    """Return an address as it may be seen: no user, no password; of a query only a digest, which tells two apart."""
    if not _is_remote(address):
        return address
    if drive_id := _drive_id(address):
        return f"https://drive.google.com/file/d/{drive_id}"
    whole = urlsplit(address)
    host = whole.netloc.rpartition("@")[2]
    return urlunsplit((whole.scheme, host, whole.path, "", _digest(whole.query) if whole.query else ""))


def check_address(address: str, allow_http: bool) -> None:
    """Raise UserError if an address is no file that is there and not https; http: this machine, or `allow_http`."""
    if not _is_remote(address):
        if "://" in address:
            raise UserError(f"{_scrubbed(address)}: neither a file nor an address that begins with https://")
        if not Path(address).is_file():
            raise UserError(f"{address}: no such file; give a file or an address that begins with https://")
        return
    try:
        whole = urlsplit(address)
    except ValueError as error:
        raise UserError(f"{_scrubbed(address)}: no address: {error}") from None
    if not whole.hostname:
        raise UserError(f"{_scrubbed(address)}: an address without a host")
    if whole.scheme.lower() == "http" and not allow_http and not _is_loopback(whole.hostname):
        raise UserError(f"{shown(address)}: not encrypted; use https:// or allow it with --allow-http")


def _is_remote(address: str) -> bool:
    return address.lower().startswith(("https://", "http://"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _prepare(search: Search) -> None:
    """Make the folder, and remove what earlier runs with this journal were writing when they were killed."""
    try:
        search.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{search.folder}: cannot be made: {error.strerror}") from error
    for path in search.folder.glob(f".part-{search.mark}*"):
        path.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _scrubbed(text: str) -> str:
    """Take users, passwords and queries of addresses out of a message, and line breaks."""
    text = re.sub(r"//[^/\s@]*@", "//", text)
    return " ".join(re.sub(r"\?[^\s'\")]*", "", text).split())


def _ended(
    part: str, read: Callable[[], dict], search: Search, reading: Reading, again: bool
) -> tuple[Outcome, dict | None]:
    """Read a part, several times if that may help (`again`), and return what came of it and its record."""
    tries = reading.tries if again else 1
    for attempt in range(1, tries + 1):
        try:
            return Outcome(part, READ), read()
        except _NotThere:
            search.give_up(part)
            log.warning("%s: the server does not have it", part)
            return Outcome(part, MISSING), {"part": part, "missing": True, "finished": _now()}
        except (_Refused, Damaged) as error:
            log.warning("%s: %s (try %d of %d)", part, error, attempt, tries)
            if attempt == tries:
                search.give_up(part)
                return Outcome(part, FAILED), None
            if search.stop.wait(_seconds(error, attempt, reading)):
                raise _Stopped from None
    raise AssertionError("at least one try")


def _seconds(error: Exception, attempt: int, reading: Reading) -> float:
    return min(max(reading.wait * 2 ** (attempt - 1), getattr(error, "wait", 0.0)), LONGEST_WAIT_SECONDS)


def _tar_record(address: str, search: Search, reading: Reading, mark: str) -> dict:
    part, passed = shown(address), Passed()
    with _opened(address, reading.allow_http) as source:
        received = _Received(source, search)
        members = tar_members(
            io.BufferedReader(received, PIECE),
            search.of_part(part),
            search.folder,
            keep_free=reading.keep_free,
            mark=mark,
            passed=passed,
        )
        kept = [search.keep(member, part) for member in members]
    return _record(part, kept, passed, received.bytes, received.sha256.hexdigest())


def _zip_record(path: Path, part: str, search: Search, reading: Reading) -> dict:
    passed = Passed()
    members = zip_members(
        path, search.of_part(part), search.folder, keep_free=reading.keep_free, mark=search.mark, passed=passed
    )
    kept = [search.keep(member, part) for member in members]
    return _record(part, kept, passed, path.stat().st_size, _sha256(path))


def _record(part: str, kept: list[dict], passed: Passed, size: int, sha256: str) -> dict:
    return {
        "part": part,
        "kept": kept,
        "others": sorted(passed.others),
        "skipped": dict(passed.skipped),
        "bytes": size,
        "sha256": sha256,
        "finished": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Received(io.RawIOBase):
    """A stream that counts and sums up what is read of it, and ends when the run is to stop."""

    def __init__(self, source: Readable, search: Search) -> None:
        self.source = source
        self.search = search
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if self.search.stop.is_set():
            raise _Stopped
        data = self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.bytes += len(data)
        self.search.count(len(data))
        return len(data)


class _Body:
    """The body of an answer as it came over the wire."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer

    def read(self, size: int) -> bytes:
        try:
            return self.answer.raw.read(size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Damaged(f"the connection broke: {_scrubbed(str(error))}") from error


@contextmanager
def _opened(address: str, allow_http: bool) -> Iterator[Readable]:
    """Yield what an address holds, from its beginning. Raises _NotThere, _Refused, or Damaged while it is read."""
    if not _is_remote(address):
        try:
            file = Path(address).open("rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _Refused(f"cannot be read: {error.strerror}") from error
        with file:
            yield file
        return
    with requests.Session() as session:
        answer = _answer(session, address, allow_http)
        with answer:
            if answer.status_code in (404, 410):
                raise _NotThere(f"HTTP {answer.status_code}")
            if answer.status_code != 200:
                after = answer.headers.get("Retry-After", "")
                raise _Refused(f"HTTP {answer.status_code}", float(after) if after.isdecimal() else 0.0)
            yield _Body(answer)


def _answer(session: requests.Session, address: str, allow_http: bool) -> requests.Response:
    """Ask for an address and follow redirects as long as each leads to an address that may be asked."""
    for _ in range(MOST_REDIRECTS):
        try:
            answer = session.get(
                address,
                stream=True,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                # What is counted and summed up is the archive and not a packed form of it.
                headers={"Accept-Encoding": "identity"},
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise _Refused(_scrubbed(str(error))) from error
        if not answer.is_redirect:
            return answer
        answer.close()
        try:
            address = urljoin(address, answer.headers["Location"])
            if not _is_remote(address):
                raise UserError(f"{_scrubbed(address)}: not on the web")
            check_address(address, allow_http)
        except (UserError, ValueError) as error:
            raise _Refused(f"leads elsewhere: {error}") from None
    raise _Refused(f"leads on more than {MOST_REDIRECTS} times")


def _fetch(address: str, path: Path, search: Search, reading: Reading) -> None:
    try:
        with _opened(address, reading.allow_http) as source, replacing(path) as temporary, temporary.open("wb") as file:
            received = _Received(source, search)
            chunks = iter(lambda: received.read(CHUNK), b"")
            for data in progress(chunks, label="downloading", unit="MiB"):
                check_room(search.folder, reading.keep_free, len(data))
                file.write(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _drive_id(address: str) -> str:
    """Return Google Drive's name of a file, empty if the address is another one."""
    whole = urlsplit(address)
    if whole.scheme != "https" or whole.hostname not in ("drive.google.com", "drive.usercontent.google.com"):
        return ""
    in_path = re.search(r"/d/([\w-]+)", whole.path)
    return in_path[1] if in_path else parse_qs(whole.query).get("id", [""])[0]


def _fetch_from_drive(drive_id: str, path: Path) -> None:
    import gdown

    log.info("fetching %s from Google Drive", drive_id)
    try:
        gdown.download(id=drive_id, output=str(path), quiet=not sys.stderr.isatty(), resume=True)
    except Exception as error:
        raise UserError(
            f"Google Drive does not hand out the file {drive_id} ({_scrubbed(str(error))}); run the same command "
            "later, or download it with a browser and give the path of the zip"
        ) from error
