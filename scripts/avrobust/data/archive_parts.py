"""Parts of archives that are far too large to keep: tar files, read while they arrive, and zip files."""

import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin

from avrobust.data import archive_addresses as addresses
from avrobust.data import journal
from avrobust.data.archive_addresses import NotThere, Refused, check_address, is_remote, opened, shown
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


class Reading(NamedTuple):
    """How archives are read.

    `keep_free`: bytes of the disk that stay free. `tries` of one part, with `wait` seconds before the second and twice
    as long before each later one.
    """

    keep_free: int = 0
    tries: int = 5
    wait: float = 2.0


class Outcome(NamedTuple):
    """What came of a part, by its shown address: READ, UNNEEDED (all was found before), MISSING or FAILED."""

    part: str
    status: str


def part_list(address: str, reading: Reading) -> list[str]:
    """Read a list of parts, an address a line; what is relative starts from where the list is.

    Raises UserError if it cannot be read, or a relative address in it is none.
    """
    check_address(address)

    def read() -> bytes:
        with opened(address) as source:
            return source.readall()

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


def read_parts(
    parts: Sequence[str],
    search: Search,
    reading: Reading,
    connections: int,
    record_of: Callable[[str, Search, Reading, str], dict] | None = None,
) -> Iterator[Outcome]:
    """Read parts, `connections` at a time, until all is found, and yield what came of each when it has ended.

    Each address is that of a file or begins with https:// (or http://, see `check_address`). A part that breaks off is
    read anew from its beginning. `record_of`: reads a part and returns its record; by default it is taken for a tar.

    Raises UserError: an address is none, a file is missing, or the disk is full. Parts that were read stay in the
    journal.
    """
    for address in parts:
        check_address(address)
    try:
        search.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{search.folder}: cannot be made: {error.strerror}") from error
    # What earlier runs with this journal were writing when they were killed.
    for path in search.folder.glob(f".part-{search.mark}*"):
        path.unlink(missing_ok=True)

    def one(number: int, address: str) -> tuple[Outcome, dict | None]:
        part = shown(address)
        if search.stop.is_set() or search.complete():
            return Outcome(part, UNNEEDED), None
        check_room(search.folder, reading.keep_free)
        read = partial(record_of or _tar_record, address, search, reading, f"{search.mark}{number}-")
        try:
            record = _tried(read, address, reading, search.stop.wait)
            search.add(record)
            return Outcome(part, READ), record
        except NotThere:
            log.warning("%s: the server does not have it", part)
            return Outcome(part, MISSING), {"part": part, "missing": True, "finished": journal.now()}
        except (Refused, Damaged):
            search.give_up(part)
            return Outcome(part, FAILED), None

    with journal.writing(search.state) as write, ThreadPoolExecutor(connections) as threads:
        order = {threads.submit(one, number, address): number for number, address in enumerate(parts)}
        running, unwritten = set(order), set(order)
        try:
            while running:
                done, running = wait(running, timeout=SILENCE, return_when=FIRST_COMPLETED)
                if not done:
                    log.info("%.0f MB read, %d of %d found", search.bytes / 1e6, len(search.found), len(search.wanted))
                # What has failed comes last, so that the records of the others are kept.
                for future in sorted(done, key=lambda future: (future.exception() is not None, order[future])):
                    outcome, record = future.result()
                    if record:
                        write(record)
                    unwritten.discard(future)
                    yield outcome
        except BaseException:
            search.stop.set()
            for future in wait(unwritten).done:
                if not future.exception() and (record := future.result()[1]):
                    write(record)
            raise


def read_zip(address: str, search: Search, reading: Reading) -> Outcome:
    """Read a zip file; one from the web (any address as of `read_parts`, or Google Drive's) is fetched into the folder.

    A fetched zip is removed when it was read, and when it is damaged, so that the next run fetches another.

    Raises UserError: as of `read_parts`; or Google Drive refuses, or a wanted member is encrypted.
    """
    remote = is_remote(address)
    path = search.folder / f"archive-{search.mark}{addresses.address_digest(address)}.zip" if remote else Path(address)

    def record(address: str, search: Search, reading: Reading, mark: str) -> dict:
        if not path.exists():
            if addresses.is_drive(address):
                addresses.fetch_from_drive(address, path)
            else:
                _fetch(address, path, search, reading)
        sieve = Sieve(partial(search.take, shown(address)), search.folder, reading.keep_free, mark=mark)
        try:
            kept = list(zip_members(path, sieve))
        except Damaged:
            if remote:
                path.unlink()
            raise
        return _record(address, kept, sieve, path.stat().st_size, file_sha256(path))

    (outcome,) = read_parts([address], search, reading, 1, record)
    if remote and outcome.status == READ:
        path.unlink()
    return outcome


def _tried(read: Callable[[], Result], address: str, reading: Reading, sleep: Callable[[float], bool | None]) -> Result:
    """Read, several times if that may help; `sleep` waits for so many seconds and returns whether to give up."""
    # A file on the disk does not get better, and Google Drive wants no haste.
    tries = reading.tries if is_remote(address) and not addresses.is_drive(address) else 1
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
    sieve = Sieve(partial(search.take, shown(address)), search.folder, reading.keep_free, mark=mark)
    with opened(address, search.heard) as body:
        kept = list(tar_members(io.BufferedReader(body, PIECE), sieve))
    return _record(address, kept, sieve, body.bytes, body.sha256.hexdigest())


def _record(address: str, kept: list[dict], sieve: Sieve, size: int, sha256: str) -> dict:
    read = {"part": shown(address), "bytes": size, "sha256": sha256, "finished": journal.now()}
    return read | {"kept": kept, "others": sorted(sieve.others), "skipped": dict(sieve.skipped)}


def _fetch(address: str, path: Path, search: Search, reading: Reading) -> None:
    try:
        with (
            opened(address, search.heard) as body,
            replacing(path) as temporary,
            temporary.open("wb") as file,
        ):
            for data in progress(iter(lambda: body.read(CHUNK), b""), label="downloading", unit="MiB"):
                check_room(search.folder, reading.keep_free, len(data))
                file.write(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
