"""Programs for tests without their imports: a process that has imported what they do forks for each of them.

That import is a third of what a plan of Snakemake takes, and most of what a program does to train or draw little. A
fork does what `python` does with the same arguments. But all of a process of tests have one seed for the order of sets,
and what libraries and Python read of the environment as they are loaded is that of the tests. So what tests kill or
measure, jobs of SLURM, one of two runs that shall be alike, and the whole run that others begin with are programs of
their own.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Lock
from typing import BinaryIO

from asked import ask

from avrobust.processor import has_common_instructions

TIME_LIMIT = 600
HERE = Path(__file__).parent
SNAKEMAKE = ("snakemake.cli",)
PROGRAMS = (
    *("numpy", "torch", "pandas", "pyarrow.parquet", "pyarrow.compute", "scipy.special", "av", "yaml", "PIL.Image"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
)
# What programs set before they import these.
SET = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
SET |= {"OPENBLAS_CORETYPE": "Haswell"} if has_common_instructions() else {}
# Not that of the test that asks first.
ENVIRONMENT = {**os.environ, **SET}
_starting = Lock()
# Ends with this process, whose end of the pipe to it is the only one.
_forking: list[subprocess.Popen] = []


def snakemake(arguments: Iterable[str], root: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run Snakemake in the folder `root`; return its exit status and all that it wrote.

    Several threads may do so at a time. The programs of its rules are forks, too, by the `python` on its PATH. After
    `TIME_LIMIT` seconds it is killed: the status is negative.
    """
    found = {**environment, "PATH": f"{_folder()}{os.pathsep}{environment['PATH']}"}
    with TemporaryFile() as output:
        status = _ask("snakemake", ["-m", "snakemake", *arguments], root, found, output, output)
        return status, _text(output)


def program(
    arguments: Iterable[object], root: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run `python` with these arguments, of which the first is the path of a program, as `subprocess.run` does."""
    given, own = list(map(str, arguments)), os.environ if environment is None else environment
    with TemporaryFile() as output, TemporaryFile() as errors:
        status = _ask("program", given, root or Path.cwd(), own, output, errors)
        return subprocess.CompletedProcess(given, status, _text(output), _text(errors))


def _ask(
    name: str, arguments: list[str], root: Path, environment: Mapping[str, str], output: BinaryIO, errors: BinaryIO
) -> int:
    with Path(os.devnull).open("rb") as nothing:
        streams = [stream.fileno() for stream in (nothing, output, errors)]
        return ask(str(_folder() / name), arguments, str(root), environment, streams, TIME_LIMIT)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _folder() -> Path:
    with _starting:
        return _started()


@cache
def _started() -> Path:
    """The folder with the sockets of `forking.py`, which is started, and with a `python` that asks it."""
    # The path of a socket has some hundred bytes at most.
    kept = TemporaryDirectory(prefix="avrobust-", dir="/tmp")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    places = {"snakemake": SNAKEMAKE, "program": PROGRAMS}
    told = [f"{folder / name}={','.join(modules)}" for name, modules in places.items()]
    words = map(quote, (sys.executable, "-IS", str(HERE / "asked.py"), str(folder / "program")))
    (folder / "python").write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
    (folder / "python").chmod(0o755)
    command = [sys.executable, HERE / "forking.py", *told]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = subprocess.Popen(command, cwd=HERE, env=ENVIRONMENT, **pipes)
    _forking.append(started)
    assert started.stdout.readline(), "the process that forks for programs did not start"
    return folder
