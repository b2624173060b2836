"""A file system of a few kilobytes, which is soon full and can be made larger: a tmpfs, which root can mount."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Yield `folder` as a file system of `size`, such as 64k; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full file system needs root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_room(folder: Path, size: str) -> None:
    """Make the file system larger; what is on it stays."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
