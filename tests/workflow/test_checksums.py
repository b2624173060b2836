"""A file is read once for its checksum, until it is another one."""

import asyncio
import os
from pathlib import Path

from lib.checksums import _remembering


class File(str):
    is_storage = False


def test_a_file_is_read_again_when_it_is_another(tmp_path: Path) -> None:
    read = []

    async def of_file(file: File, threshold: int | None = None, **more: object) -> str:
        read.append((Path(file).read_text(), threshold, more))
        return read[-1][0]

    checksum, path = _remembering(of_file), tmp_path / "file"

    def asked(**more: object) -> str:
        return asyncio.run(checksum(File(path), 10, **more))

    path.write_text("one")
    assert asked() == asked() == "one" and len(read) == 1
    # As long as before, and no newer.
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text("two")
    os.utime(path, ns=times)
    assert asked() == asked() == "two" and len(read) == 2
    assert asyncio.run(checksum(File(path), 20)) == "two" and read[-1][1] == 20
    # What asks for more is passed on.
    assert asked(force=True) == "two" and read[-1][2] == {"force": True} and len(read) == 4
