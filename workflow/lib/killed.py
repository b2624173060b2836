"""Jobs that were killed together with Snakemake, which removes a job's old files before the job begins.

It keeps a mark of each file that a job is making, and makes marked ones anew, but not those that are missing: where
what follows from them is there still, it would say that nothing is to be done.
"""

import base64
import binascii
import sys
from pathlib import Path


def missing(root: Path) -> list[str]:
    """Return the files below `root` that a killed job was making and that are not there.

    None while another Snakemake is at work here, or until a killed one's lock is removed.
    """
    found: list[str] = []
    if any(root.glob(".snakemake/locks/*")):
        return found
    for mark in root.glob(".snakemake/incomplete/**/*"):
        # Names too long for a file system are cut into folders that begin with @, which decoding passes over.
        name = "".join(mark.relative_to(root / ".snakemake/incomplete").parts)
        try:
            path = base64.urlsafe_b64decode(name).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if mark.is_file() and not (root / path).exists():
            found.append(path)
    return sorted(found)


def put_back(root: Path) -> None:
    """Put an empty file in the place of each missing one, so that Snakemake sees it."""
    for name in missing(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def report(root: Path) -> None:
    """Say on standard error which files are missing: a dry run, which changes nothing, does not plan them."""
    for name in missing(root):
        print(f"{name}: a job was killed that made it; not in this plan, but a run makes it anew", file=sys.stderr)
