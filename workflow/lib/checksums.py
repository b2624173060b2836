"""Checksums of what jobs read, by which Snakemake knows a file that only looks newer."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from snakemake.io import _IOFile


@cache
def computed_once() -> None:
    """Let Snakemake read a file once for its checksum, and again when size or time say that it is another one.

    By itself it reads each input anew for each output of each job: shards, of which every training and every attack
    reads all.
    """
    _IOFile.checksum = _remembering(_IOFile.checksum)


def _remembering(of_file: Callable) -> Callable:
    known: dict[tuple, str | None] = {}

    async def checksum(self: _IOFile, threshold: int | None = None, **more: object) -> str | None:
        path = Path(self)
        if more or self.is_storage or not path.is_file():
            return await of_file(self, threshold, **more)
        stat = path.stat()
        key = path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, threshold
        if key not in known:
            known[key] = await of_file(self, threshold)
        return known[key]

    return checksum
