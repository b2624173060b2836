"""Write down how many clips of each class and split of every dataset are there, and what became of the others."""

import argparse
import logging
from pathlib import Path

from avrobust.csv_text import write_csv_text
from avrobust.data import availability, manifest
from avrobust.files import write_text
from avrobust.program import run
from avrobust.report.attrition import ALL_CLASSES, COLUMNS, attrition

log = logging.getLogger("attrition")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", required=True)
    parser.add_argument("--datasets", nargs="+", required=True)
    parser.add_argument("--class-lists", nargs="+", required=True, help="of each dataset, in the same order")
    parser.add_argument("--availability", nargs="+", required=True, help="of each dataset, in the same order")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()

    rows = []
    for name, classes, path in zip(given.datasets, given.class_lists, given.availability, strict=True):
        rows += attrition(given.scale, name, manifest.read_classes(classes), availability.read(path))
    write_text(given.output, write_csv_text(COLUMNS, rows))
    for row in rows:
        if row[2] == ALL_CLASSES:
            log.info("%s, %s: %d of %d clips", row[1], row[3], row[5], row[4])


if __name__ == "__main__":
    run(main)
