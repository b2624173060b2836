"""What every program in scripts/ shares: one-line errors, a log with times, progress with time left."""

import argparse
import gc
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

# Seconds between two progress reports: a terminal is redrawn, a log file grows by a line each time.
TERMINAL_INTERVAL, LOG_INTERVAL = 0.2, 10.0


class UserError(Exception):
    """A mistake in what the user gave: the text says what is wrong, with which value, where, what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a program's `main`; a `UserError` becomes one line on standard error and exit status 1."""
    # What was imported stays: to look through it for garbage, at the end for the last time, takes half a second.
    gc.freeze()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()


def json_argument(text: str) -> object:
    """`type=` of an argparse argument that holds JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


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
