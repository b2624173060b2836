"""Compare finished cells with each other, and write down every sign that an attack was too weak."""

import argparse
import json
import logging
from pathlib import Path

import pandas as pd

from avrobust.evaluation.checks import COLUMNS, Made, clean_answers, findings, shares_of_terms, without_gradient
from avrobust.files import write_text
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import read_cells, read_several
from avrobust.metrics.tasks import MULTIPLE, task_of
from avrobust.program import json_argument, progress, run
from avrobust.report.text import csv_of

log = logging.getLogger("checks")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="parquet files of attack.py")
    parser.add_argument("--provenances", type=Path, nargs="+", required=True, help="their JSON, in the same order")
    parser.add_argument(
        "--rankings",
        type=Path,
        nargs="*",
        default=[],
        help="parquet files of rank.py, of cells of several labels a clip",
    )
    parser.add_argument("--names", type=json_argument, default={}, help="what datasets of the user's own are called")
    parser.add_argument("--scale", required=True, help="name of the scale at which the cells were made")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    given = parser.parse_args()

    said = [json.loads(path.read_text(encoding="utf-8")) for path in given.provenances]
    ranked, made = Ranked(given.rankings), []
    for path, of_file in progress(list(zip(given.cells, said, strict=True)), label="reading", unit="files"):
        facts = {(cell["surrogate"], cell["attack"]): cell for cell in of_file["cells"]}
        several = task_of(path) == MULTIPLE
        made += [
            Made(cell, facts[cell.surrogate, cell.attack], ranked if several else None)
            for cell in (read_several if several else read_cells)(path)
        ]
    found = pd.concat([without_gradient(said), shares_of_terms(said), clean_answers(made), findings(made)])
    found = found.assign(scale=given.scale, dataset=found["dataset"].replace(given.names))[[*COLUMNS]]
    # A count, though a line of shares has none.
    write_text(given.output, csv_of(found.astype({"n": "Int64"})))
    log.info("%d cells, %d comparisons, %d with a sign", len(made), len(found), (found["signs"] > 0).sum())


if __name__ == "__main__":
    run(main)
