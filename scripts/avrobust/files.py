"""Files that are either whole or absent: everything is written beside its place and then renamed."""

import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from avrobust.program import FULL

# `.part-<process>-<eight random digits>-<name>`: a name for each writer, as two may be at the same file at a time, such
# as one that outlived its killed Snakemake and one of the next run.
PART = re.compile(r"\.part-(?:\d+-[0-9a-f]{8}-)?(.+)", re.DOTALL)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    The temporary name is this writer's own, and keeps the suffix, because some writers choose their format by it. A
    block that raises leaves `path` as it was; what a kill left behind, the next writer of `path` removes.

    Raises:
        OSError: whatever the block raises; of a full disk it names `path`, which few writers do.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    try:
        with _part(path, lambda part: part.touch(exist_ok=False)) as temporary:
            try:
                yield temporary
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def part_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, this writer's own, and remove it at the end with all that is in it.

    What a kill left behind stays for `remove_leftovers`: to look for it takes long where millions of files lie.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(path, Path.mkdir) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers of the file `name`, None for any, left in `folder`; never what is being written."""
    for part in list(folder.glob(".part-*")):
        if name is None or PART.fullmatch(part.name)[1] == name:
            with suppress(OSError), _opened(part) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(part) if part.is_dir() else part.unlink()


@contextmanager
def _part(path: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Yield a new part of `path`, locked: the system takes the lock away when this process ends, in whatever way."""
    with ExitStack() as stack:
        is_locked = False
        while not is_locked:
            part = path.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
            make(part)
            # Somebody may take it for a leftover before it is locked.
            with suppress(FileNotFoundError):
                lock = stack.enter_context(_opened(part))
                # Where a file system has no locks nothing can be seen to be a leftover, and nothing is removed.
                with suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_EX)
                is_locked = os.fstat(lock).st_nlink > 0
        yield part


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # A file for writing, or NFS gives no lock; a folder is opened for reading only.
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        yield number
    finally:
        os.close(number)


def remaking(path: str | Path) -> str:
    """Return what a user does about a damaged file that a command can make again, as the end of an error's line."""
    return f"`rm {shlex.quote(str(path))}` and the same command again make it anew"


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")
