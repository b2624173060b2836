"""Download one file, check it, and only then give it its name."""

import argparse
import logging
from pathlib import Path

from avrobust.data.download import download
from avrobust.program import run

log = logging.getLogger("download")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--sha256", required=True, help="the sum, or as many of its first digits as are known")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    download(given.url, given.sha256, given.output)
    log.info("%s: %d bytes, sha256 %s…", given.output, given.output.stat().st_size, given.sha256[:12])


if __name__ == "__main__":
    run(main)
