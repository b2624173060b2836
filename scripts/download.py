"""Download one file, check it, and only then give it its name."""

import argparse
import logging
from datetime import UTC, datetime
from pathlib import Path

from avrobust.data.download import download
from avrobust.files import write_json
from avrobust.program import run

log = logging.getLogger("download")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument(
        "--sha256", nargs="?", const="", default="", help="the sum, or as many of its first digits as are known"
    )
    parser.add_argument(
        "--git-blob", nargs="?", const="", default="", help="git's name of the content, where only that is known"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--provenance", type=Path, help="JSON to write: address, size and sum of what came")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    made = download(given.url, given.output, given.sha256, given.git_blob)
    if given.provenance:
        write_json(given.provenance, {**made, "downloaded": datetime.now(UTC).isoformat(timespec="seconds")})
    log.info("%s: %d bytes, sha256 %s", given.output, made["bytes"], made["sha256"])


if __name__ == "__main__":
    run(main)
