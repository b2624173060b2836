"""Measure how well nets rank the clips of each class, clean and attacked, of what a file of cells holds."""

import argparse
import logging
import platform
import time
from pathlib import Path

import numpy as np

from avrobust.files import write_json
from avrobust.metrics.ranked_rows import REPLICATES, write_ranked_rows
from avrobust.program import positive, run

log = logging.getLogger("rank")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, required=True, help="parquet of attack.py, of nets that are ranked")
    parser.add_argument("--replicates", type=positive, default=REPLICATES, help="how often weights of clips are drawn")
    parser.add_argument("--code", default="", help="digest of the code, written down")
    parser.add_argument("--rows", type=Path, required=True, help="parquet: a row per condition, measure and class")
    parser.add_argument("--provenance", type=Path, required=True, help="JSON")
    given = parser.parse_args()

    start = time.perf_counter()
    said = write_ranked_rows(given.cells, given.rows, given.replicates)
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    made = {"cells": str(given.cells), "code": given.code, "versions": versions}
    write_json(given.provenance, {**said, **made, "seconds": round(time.perf_counter() - start, 3)})
    log.info("%d conditions", said["conditions"])


if __name__ == "__main__":
    run(main)
