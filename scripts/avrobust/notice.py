"""Warnings that reach a user who looks at Snakemake's output, as well as the one who looks into the log."""

import logging
import sys

log = logging.getLogger("warning")


def warn(text: str) -> None:
    """Say in one line what a user should know although the program goes on.

    Standard error is what a rule keeps as its log. Where it goes into a file, the line goes to standard output, too,
    which Snakemake lets through.
    """
    line = f"warning: {' '.join(text.splitlines())}"
    log.warning("%s", line)
    if not sys.stderr.isatty():
        print(line.encode(errors="backslashreplace").decode(), flush=True)
