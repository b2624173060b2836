"""Room on a disk that others use, too."""

import shutil
from pathlib import Path

from avrobust.program import UserError


def check_room(folder: Path, keep_free: int, size: int = 0, more: str = "") -> None:
    """Raise UserError, with `more`, if after `size` more bytes fewer than `keep_free` were free on a folder's disk."""
    free = shutil.disk_usage(folder).free
    if free - size < keep_free:
        raise UserError(
            f"{folder}: {free} bytes are free and at least {keep_free + size} are needed, of which {keep_free} stay "
            f"free (--keep-free-gb {keep_free / 1e9:g}, download.keep_free_gb of the configuration); make room or keep "
            f"less free, then run the same command: it goes on where it stopped{more}"
        )
