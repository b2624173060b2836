"""A file to which one line is added for everything that is done, so that a kill at any point loses one line at most."""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from avrobust.program import UserError

log = logging.getLogger(__name__)


def read(path: str | Path) -> Iterator[dict]:
    """Yield the records of a journal, oldest first; none if there is no file. A torn last line is left out.

    Raises UserError if another line is no record.
    """
    path = Path(path)
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise UserError(
                    f"{path}, line {number}: not a record; delete the line, or the file to start anew"
                ) from None


@contextmanager
def writing(path: str | Path) -> Iterator[Callable[[dict], None]]:
    """Yield a function that adds a record to a journal, after cutting off a torn last line.

    When it returns, the record is on the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.truncate(path.read_bytes().rfind(b"\n") + 1)

        def write(record: dict) -> None:
            file.write(json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield write


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Wait until no other process of this machine is inside of this for the same journal, then go in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.info("waiting for another process that works on %s", path)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def now() -> str:
    """Return the time for a record, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
