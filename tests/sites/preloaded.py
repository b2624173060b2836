"""The real Snakemake for many runs: imported once, in a process that forks for each of them.

That import is a third of what a plan takes. A run does what `python -m snakemake` does in a process of its own, which
is what tests start where they kill it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

TIME_LIMIT = 600


def snakemake(arguments: Iterable[str], root: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run Snakemake in the folder `root`; return its exit status and all that it wrote.

    Several threads may do so at a time. After `TIME_LIMIT` seconds it is killed, with its jobs: the status is negative.
    """
    with TemporaryDirectory(prefix="avrobust-") as folder:
        told, output, status = _files(Path(folder))
        told.write_text(json.dumps([list(arguments), dict(environment), str(root)]), encoding="utf-8")
        os.mkfifo(status)
        # Short enough that lines of several threads do not mix.
        os.write(_process().stdin.fileno(), f"{folder}\n".encode())
        return int(status.read_text(encoding="ascii")), output.read_text(encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in ("told.json", "output", "status")]


@cache
def _process() -> subprocess.Popen:
    # It ends with this one, whose end of the pipe is the only one.
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE)


def _run(main: Callable[[list[str]], object], told: Path, output: Path) -> NoReturn:
    arguments, environment, root = json.loads(told.read_bytes())
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(1, 2)
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:], sys.path[0] = arguments, root
    sys.exit(main(arguments))


def _answer(main: Callable[[list[str]], object], folder: Path) -> None:
    told, output, status = _files(folder)
    child = os.fork()
    if not child:
        _run(main, told, output)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(TIME_LIMIT)
    _, ended = os.waitpid(child, 0)
    status.write_text(str(os.waitstatus_to_exitcode(ended)), encoding="ascii")


if __name__ == "__main__":
    from snakemake.cli import main

    for line in sys.stdin:
        # Several runs go on at a time: this process waits for none.
        if not os.fork():
            _answer(main, Path(line.rstrip("\n")))
            os._exit(0)
