"""Compare finished cells with each other, and write down every sign that an attack was too weak."""

import argparse
import json
import logging
from pathlib import Path

from avrobust.csv_text import write_csv_text
from avrobust.evaluation.checks import COLUMNS, Made, findings, rows, without_gradient
from avrobust.files import write_text
from avrobust.metrics.rows import read_cells
from avrobust.program import progress, run

log = logging.getLogger("checks")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="parquet files of attack.py")
    parser.add_argument("--provenances", type=Path, nargs="+", required=True, help="their JSON, in the same order")
    parser.add_argument("--scale", required=True, help="name of the scale at which the cells were made")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    given = parser.parse_args()

    said = [json.loads(path.read_text(encoding="utf-8")) for path in given.provenances]
    made = []
    for path, of_file in progress(list(zip(given.cells, said, strict=True)), label="reading", unit="files"):
        facts = {(cell["surrogate"], cell["attack"]): cell for cell in of_file["cells"]}
        made += [Made(cell, facts[cell.surrogate, cell.attack]) for cell in read_cells(path)]
    lines = [*without_gradient(said, given.scale), *rows(findings(made), given.scale)]
    write_text(given.output, write_csv_text(COLUMNS, lines))
    signs = [line for line in lines if line[COLUMNS.index("signs")]]
    log.info("%d cells, %d comparisons, %d with a sign", len(made), len(lines), len(signs))


if __name__ == "__main__":
    run(main)
