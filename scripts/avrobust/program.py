"""What every program in scripts/ shares: one-line errors, an orderly end, a log with times, progress with time left."""

import argparse
import errno
import gc
import json
import logging
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

Item = TypeVar("Item")

# Seconds between two progress reports: a terminal is redrawn, a log file grows by a line each time.
TERMINAL_INTERVAL, LOG_INTERVAL = 0.2, 10.0

# SLURM sends SIGTERM to every process of a job, not at once: so many seconds after a worker process the program has it.
SIGTERM_SPREAD = 1.0

# The file system, or the user's share of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)

# What a user's folders and rights are the reason for, and no mistake of ours.
REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP),
)


class UserError(Exception):
    """A mistake in what the user gave: the text says what is wrong, with which value, where, what to do."""


class Terminated(BaseException):
    """SIGTERM has come, as SLURM sends it some seconds before it kills: at a time limit, for another job, on request.

    Or SIGHUP, as a terminal sends it that is closed. Whoever has saved something sets `kept` to what that is.
    """

    kept = "nothing is half-written, and the same command makes what is missing"


def run(main: Callable[[], None]) -> None:
    """Run a program's `main`, and say in one line on standard error why it failed.

    Exit status 1: a `UserError`, or a full disk. 143, 129: SIGTERM, SIGHUP (which nohup lets be ignored); temporary
    files are removed and worker processes ended.
    """
    # What was imported stays: to look through it for garbage, at the end for the last time, takes half a second.
    gc.freeze()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)
    try:
        _reported(main)
        return
    except Terminated as ended:
        (number,), kept = ended.args, ended.kept
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()
    # Only now is all let go that `main` held, and closed while the interpreter is whole.
    print(f"terminated by {signal.Signals(number).name}: {kept}", file=sys.stderr)
    sys.exit(128 + number)


def _reported(main: Callable[[], None]) -> None:
    try:
        main()
    except UserError as error:
        # From a process that loads data it comes with that process's traceback before it.
        sys.exit(f"error: {str(error).rpartition(f'{UserError.__name__}: ')[2].rstrip()}")
    except OSError as error:
        if error.errno in FULL:
            sys.exit(f"error: {_full(error)}")
        if error.errno in REFUSED and error.filename:
            sys.exit(
                f"error: {escaped(str(error.filename))} cannot be read or written: {error.strerror}; see what is there "
                "and who may use it, then give the same command again"
            )
        raise
    except UnicodeEncodeError as error:
        odd = re.search(r'[^,"\n]*[\udc80-\udcff][^,"\n]*', error.object)
        if not odd:
            raise
        sys.exit(f"error: {escaped(odd[0])}: a name that is not UTF-8, which no file of ours can hold; rename it")
    except Exception:
        # That SIGTERM ended a worker process may be seen before it comes here.
        time.sleep(SIGTERM_SPREAD)
        raise


def _terminate(number: int, *_: object) -> NoReturn:
    """End in order: what was started is ended, and whatever is under way cleans up behind itself."""
    # Nothing may interrupt that: no second signal, and not torch, which raises an error when a worker process ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    raise Terminated(number)


def _full(error: OSError) -> str:
    if not error.filename:
        return f"{error}; make room where it writes, then give the same command again"
    folder = next(parent for parent in Path(error.filename).absolute().parents if parent.is_dir())
    what = "the quota there is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return (
        f"{error.filename} cannot be written: {what}, {shutil.disk_usage(folder).free / 1e6:.1f} MB are free "
        f"in {folder}; make room there, then give the same command again"
    )


def is_text(name: str) -> bool:
    """Whether the name of a file is UTF-8; Python keeps the bytes that are not as characters that no file can hold."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(name: str) -> str:
    """Return a name for a message: in quotes, and each byte that is not UTF-8 as \\x and two hexadecimal digits."""
    return f"'{name.encode(errors='surrogateescape').decode(errors='backslashreplace')}'"


def json_argument(text: str) -> object:
    """`type=` of an argparse argument that holds JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


def named_path(text: str) -> tuple[str, Path]:
    """`type=` of an argparse argument of the form NAME=PATH."""
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def positive(text: str) -> int:
    """`type=` of an argparse argument that is an integer above 0."""
    return _at_least(1, text)


def natural(text: str) -> int:
    """`type=` of an argparse argument that is an integer and not negative."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"{value} is below {least}")
    return value


class _Lines:
    """A stream for tqdm that ends each report with a line feed, so that a log file can be read; none comes twice."""

    def __init__(self) -> None:
        self.last = ""

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text and text != self.last:
            self.last = text
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(
    items: Iterable[Item], *, label: str, unit: str, total: int | None = None, note: Callable[[], str] = str
) -> Iterator[Item]:
    """Iterate over `items` and report count, rate and time left: a bar on a terminal, lines in a log file.

    `note` is asked for a few words at the end of each report.
    """
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    bar = tqdm(
        items,
        desc=label,
        unit=f" {unit}",
        total=total,
        file=sys.stderr if terminal else _Lines(),
        mininterval=TERMINAL_INTERVAL if terminal else LOG_INTERVAL,
        bar_format=None if terminal else "{desc}: {n_fmt}/{total_fmt} ({rate_fmt}, {remaining} left{postfix})",
        dynamic_ncols=terminal,
    )
    for item in bar:
        yield item
        bar.set_postfix_str(note(), refresh=False)
