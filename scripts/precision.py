"""Say how far an attack that takes its gradients in a lower precision differs from the same attack in float32."""

import argparse
import logging
from pathlib import Path

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.metrics.rows import read_cell
from avrobust.program import run
from avrobust.report.precision import COLUMNS, compared

log = logging.getLogger("precision")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", required=True)
    parser.add_argument("--precision", required=True, help="of --cell")
    parser.add_argument("--cell", type=Path, required=True)
    parser.add_argument("--float32", type=Path, required=True, help="the same cell, made in float32")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    given = parser.parse_args()
    rows = list(compared(read_cell(given.cell), read_cell(given.float32)))
    write_text(given.output, write_csv_text(COLUMNS, ([given.scale, given.precision, *row] for row in rows)))
    outside = [row for row in rows if row[-1] == "no"]
    log.info("%d of %d conditions inside float32's interval", len(rows) - len(outside), len(rows))
    for row in outside:
        log.warning("outside: %s at epsilon %s", row[4], row[5])


if __name__ == "__main__":
    run(main)
