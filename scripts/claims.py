"""Test the claims of a paper: from cells and scores to a verdict, an effect and an interval for each."""

import argparse
import logging

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, read_cell
from avrobust.metrics.scores import Scores
from avrobust.program import json_argument, progress, run
from avrobust.report.claims import claims, counted, csv_of_claims, csv_of_tests, judge, markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=json_argument, required=True, help="claims as JSON: avrobust/report/claims.py")
    parser.add_argument("--cells", nargs="*", default=[], metavar="PARQUET", help="cells that the claims read")
    parser.add_argument("--scores", nargs="*", default=[], metavar="PARQUET", help="scores that the claims read")
    parser.add_argument("--scale", required=True, help="name of the scale at which cells and scores were made")
    parser.add_argument("--csv", required=True, help="table to write, one line per claim")
    parser.add_argument("--tests-csv", required=True, help="table to write, one line per test of a claim")
    parser.add_argument("--markdown", required=True, help="table to write for readers")
    arguments = parser.parse_args()

    given = claims(arguments.spec)
    cells = Cells(map(read_cell, progress(arguments.cells, label="reading", unit="cells")))
    scores = Scores(progress(arguments.scores, label="reading", unit="score files"))
    judgements = judge(given, cells, scores)
    write_text(arguments.csv, csv_of_claims(given, judgements, arguments.scale))
    write_text(arguments.tests_csv, csv_of_tests(given, judgements, arguments.scale))
    write_text(arguments.markdown, markdown(given, judgements, arguments.scale))
    logging.info("%s: %s", given.paper, counted(judgements))


if __name__ == "__main__":
    run(main)
