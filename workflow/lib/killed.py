"""Jobs that were killed together with Snakemake, which removes a job's old files before the job begins.

It keeps a mark of each file that a job is making, and makes marked ones anew, but not those that are missing: where
what follows from them is there still, it would say that nothing is to be done.
"""

import base64
import binascii
from pathlib import Path


def put_back(root: Path) -> None:
    """Put an empty file in the place of each missing one that a killed job was making, so that Snakemake sees it.

    Nothing is done while another Snakemake is at work here, or until a killed one's lock is removed.
    """
    if any(root.glob(".snakemake/locks/*")):
        return
    for mark in root.glob(".snakemake/incomplete/**/*"):
        # Names too long for a file system are cut into folders that begin with @, which decoding passes over.
        name = "".join(mark.relative_to(root / ".snakemake/incomplete").parts)
        try:
            path = root / base64.urlsafe_b64decode(name).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if mark.is_file() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
