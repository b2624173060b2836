"""Whether what a killed job left is of the same settings, code and files."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path


def resume_key(shaping: Sequence[object], files: Iterable[Path]) -> str:
    """Return a digest of all that shapes a result: plain values, and the files that are read, by size and time."""
    read = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return hashlib.sha256(json.dumps([*shaping, read], sort_keys=True).encode()).hexdigest()
