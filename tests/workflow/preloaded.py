"""Snakemake for many runs of the tests: imported once, in a process that forks for each of them.

Each line of standard input is the folder of a run: what it is told stands in `told.json` there (its arguments, working
folder and environment), its output goes to `output` and its exit status to `status`, a named pipe. What a run does is
what `python -m snakemake` does.
"""

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from snakemake.cli import main


def run(told: Path, output: Path) -> NoReturn:
    """Be the Snakemake that is told of."""
    arguments, root, environment = json.loads(told.read_bytes())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(1, 2)
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:], sys.path[0] = arguments, root
    sys.exit(main(arguments))


def answer(folder: Path) -> None:
    """Run Snakemake in a process of its own and say how it ended."""
    child = os.fork()
    if not child:
        run(folder / "told.json", folder / "output")
    _, ended = os.waitpid(child, 0)
    (folder / "status").write_text(str(os.waitstatus_to_exitcode(ended)), encoding="ascii")


if __name__ == "__main__":
    for line in sys.stdin:
        # Several runs go on at a time: this process waits for none.
        if not os.fork():
            answer(Path(line.rstrip("\n")))
            os._exit(0)
