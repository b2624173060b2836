"""Files that are either whole or absent: everything is written beside its place and then renamed."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avrobust.program import FULL


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    The temporary name keeps the suffix, because some writers choose their format by it. A block that
    raises leaves `path` as it was; what a kill leaves behind, the next run overwrites: a file has one writer.

    Raises:
        OSError: whatever the block raises; of a full disk it names `path`, which few writers do.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


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
