"""Parts of archives that are far too large to keep: tar files, read while they arrive, and zip files."""

import hashlib
import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

from avrobust.data import journal
from avrobust.data.archive_addresses import (
    Body,
    NotThere,
    Refused,
    address_digest,
    check_address,
    fetch_from_drive,
    is_drive,
    is_remote,
    opened,
    shown,
)
from avrobust.data.archive_members import Damaged, Sieve, file_sha256, tar_members, zip_members
from avrobust.data.archive_search import Search
from avrobust.data.disk import check_room
from avrobust.files import replacing
from avrobust.program import UserError, progress

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CHUNK = 2**20

# Bytes that are waited for at a time: on a slow connection, a second or so.
PIECE = 2**16

LONGEST_WAIT_SECONDS = 600.0

# Seconds after which something is said although no part has ended.
SILENCE = 60.0

READ, UNNEEDED, MISSING, FAILED = "read", "unneeded", "missing", "failed"


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


def part_list(address: str, reading: Reading) -> list[str]:
    """Read a list of parts, an address a line; what is relative starts from where the list is.

    Raises UserError if it cannot be read, or a relative address in it is none.
    """
    check_address(address, reading.allow_http)

    def read() -> bytes:
        with opened(address, reading.allow_http) as source:
            return b"".join(iter(lambda: source.read(CHUNK), b""))

    try:
        text = _tried(read, address, reading, time.sleep).decode("utf-8-sig")
    except (NotThere, Refused) as error:
        raise UserError(f"{shown(address)}: the list of parts cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise UserError(f"{shown(address)}: no list of parts, but something that is not UTF-8") from None
    lines = [line.strip() for line in text.splitlines()]
    return [_joined(address, line) for line in lines if line and not line.startswith("#")]


def _joined(base: str, line: str) -> str:
    if "://" in line:
        return line
    if not is_remote(base):
        return str(Path(base).parent / line)
    try:
        return urljoin(base, line)
    except ValueError:
        raise UserError(f"{shown(base)}: {shown(f'https:{line}')} is no address") from None


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
        if search.stop.is_set() or search.complete():
            return Outcome(shown(address), UNNEEDED), None
        check_room(search.folder, reading.keep_free)
        record = partial(_tar_record, address, search, reading, f"{search.mark}{number}-")
        return _ended(record, address, search, reading)

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
            raise


def read_zip(address: str, search: Search, reading: Reading) -> Outcome:
    """Read a zip file; one from the web (any address as of `read_parts`, or Google Drive's) is fetched into the folder.

    A fetched zip is removed when it was read, and when it is damaged, so that the next run fetches another.

    Raises:
        UserError: as of `read_parts`; or Google Drive refuses, or a wanted member is encrypted.
    """
    check_address(address, reading.allow_http)
    remote = is_remote(address)
    _prepare(search)
    check_room(search.folder, reading.keep_free)
    path = search.folder / f"archive-{search.mark}{address_digest(address)}.zip" if remote else Path(address)

    def record() -> dict:
        if not path.exists():
            if is_drive(address):
                fetch_from_drive(address, path)
            else:
                _fetch(address, path, search, reading)
        try:
            return _zip_record(path, shown(address), search, reading)
        except Damaged:
            if remote:
                path.unlink()
            raise

    outcome, made = _ended(record, address, search, reading)
    if made:
        with journal.writing(search.state) as write:
            write(made)
    if remote and outcome.status == READ:
        path.unlink()
    return outcome


def _prepare(search: Search) -> None:
    """Make the folder, and remove what earlier runs with this journal were writing when they were killed."""
    try:
        search.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{search.folder}: cannot be made: {error.strerror}") from error
    for path in search.folder.glob(f".part-{search.mark}*"):
        path.unlink(missing_ok=True)


def _ended(read: Callable[[], dict], address: str, search: Search, reading: Reading) -> tuple[Outcome, dict | None]:
    """Read a part, and return what came of it and its record."""
    part = shown(address)
    try:
        return Outcome(part, READ), _tried(read, address, reading, search.stop.wait)
    except NotThere:
        search.give_up(part)
        log.warning("%s: the server does not have it", part)
        return Outcome(part, MISSING), {"part": part, "missing": True, "finished": _now()}
    except (Refused, Damaged):
        search.give_up(part)
        return Outcome(part, FAILED), None


def _tried(read: Callable[[], Result], address: str, reading: Reading, sleep: Callable[[float], bool | None]) -> Result:
    """Read, several times if that may help; `sleep` waits for so many seconds and returns whether to give up."""
    # A file on the disk does not get better, and Google Drive wants no haste.
    tries = reading.tries if is_remote(address) and not is_drive(address) else 1
    attempt = 1
    while True:
        try:
            return read()
        except (Refused, Damaged) as error:
            log.warning("%s: %s (try %d of %d)", shown(address), error, attempt, tries)
            asked = error.wait if isinstance(error, Refused) else 0.0
            seconds = min(max(reading.wait * 2 ** (attempt - 1), asked), LONGEST_WAIT_SECONDS)
            if attempt == tries or sleep(seconds):
                raise
            attempt += 1


def _tar_record(address: str, search: Search, reading: Reading, mark: str) -> dict:
    part = shown(address)
    sieve = Sieve(partial(search.take, part), search.folder, reading.keep_free, mark=mark)
    with opened(address, reading.allow_http) as source:
        received = _Received(source, search)
        kept = [search.keep(part, member) for member in tar_members(io.BufferedReader(received, PIECE), sieve)]
    return _record(part, kept, sieve, received.bytes, received.sha256.hexdigest())


def _zip_record(path: Path, part: str, search: Search, reading: Reading) -> dict:
    sieve = Sieve(partial(search.take, part), search.folder, reading.keep_free, mark=search.mark)
    kept = [search.keep(part, member) for member in zip_members(path, sieve)]
    return _record(part, kept, sieve, path.stat().st_size, file_sha256(path))


def _record(part: str, kept: list[dict], sieve: Sieve, size: int, sha256: str) -> dict:
    return {
        "part": part,
        "kept": kept,
        "others": sorted(sieve.others),
        "skipped": dict(sieve.skipped),
        "bytes": size,
        "sha256": sha256,
        "finished": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _fetch(address: str, path: Path, search: Search, reading: Reading) -> None:
    try:
        with opened(address, reading.allow_http) as source, replacing(path) as temporary, temporary.open("wb") as file:
            received = _Received(source, search)
            for data in progress(iter(lambda: received.read(CHUNK), b""), label="downloading", unit="MiB"):
                check_room(search.folder, reading.keep_free, len(data))
                file.write(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


class _Received(io.RawIOBase):
    """A stream that counts and sums up what is read of it, and breaks off when the run is to stop."""

    def __init__(self, source: io.FileIO | Body, search: Search) -> None:
        self.source = source
        self.search = search
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if self.search.stop.is_set():
            raise Damaged("left off, because the run ends")
        data = self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.bytes += len(data)
        self.search.count(len(data))
        return len(data)
