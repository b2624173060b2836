"""The real Snakemake for many runs: imported once, in a process that forks for each of them.

That import is a third of what a plan takes. A run does what `python -m snakemake` does, but that all runs of a process
of tests have one seed for the order of sets. What tests kill, and the whole run that others begin with, are started as
programs of their own.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import NoReturn

TIME_LIMIT = 600
# The status of a run that did not come to start Snakemake.
NOT_STARTED = 70
_starting = Lock()


def snakemake(arguments: Iterable[str], root: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run Snakemake in the folder `root`; return its exit status and all that it wrote.

    Several threads may do so at a time. After `TIME_LIMIT` seconds it is killed, with its jobs: the status is negative.
    """
    with _starting:
        process = _process()
    with TemporaryDirectory(prefix="avrobust-") as folder:
        told, output, status = _files(Path(folder))
        told.write_text(json.dumps([list(arguments), dict(environment), str(root)]), encoding="utf-8")
        # Short enough that lines of several threads do not mix.
        os.write(process.stdin.fileno(), f"{folder}\n".encode())
        end = time.monotonic() + TIME_LIMIT + 60
        while not status.exists():
            assert process.poll() is None and time.monotonic() < end, "the process that forks for Snakemake is gone"
            time.sleep(0.01)
        ended, said = int(status.read_text(encoding="ascii")), output.read_text(encoding="utf-8")
    assert ended != NOT_STARTED, said
    return ended, said


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in ("told.json", "output", "status")]


@cache
def _process() -> subprocess.Popen:
    # It ends with this one, whose end of the pipe is the only one.
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE)


def _run(main: Callable[[list[str]], object], told: Path, output: Path) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        arguments, environment, root = json.loads(told.read_bytes())
        os.chdir(root)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:], sys.path[0] = arguments, root
    except BaseException:
        traceback.print_exc()
        os._exit(NOT_STARTED)
    sys.exit(main(arguments))


def _answer(main: Callable[[list[str]], object], folder: Path) -> None:
    told, output, status = _files(folder)
    child = os.fork()
    if not child:
        _run(main, told, output)

    def end_it(*_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)

    # It is in a session of its own, so that whoever ends the tests ends it by this process.
    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end_it)
    signal.alarm(TIME_LIMIT)
    _, ended = os.waitpid(child, 0)
    signal.alarm(0)
    written = status.with_suffix(".new")
    written.write_text(str(os.waitstatus_to_exitcode(ended)), encoding="ascii")
    written.rename(status)


if __name__ == "__main__":
    from snakemake.cli import main

    with suppress(KeyboardInterrupt):
        for line in sys.stdin:
            # Several runs go on at a time; those that have ended are let go of.
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not os.fork():
                _answer(main, Path(line.rstrip("\n")))
                os._exit(0)
