"""Measure how well nets with attention find what sounds: from scores to tidy CSV and a Markdown table."""

import argparse
import logging

from avrobust.files import write_text
from avrobust.metrics.scores import Scores
from avrobust.program import json_argument, progress, run
from avrobust.report.localisation import layout, markdown, measure, tidy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=json_argument, required=True, help="layout as JSON: avrobust/report/localisation.py"
    )
    parser.add_argument("--scores", nargs="+", required=True, metavar="PARQUET", help="scores of localise.py")
    parser.add_argument("--scale", required=True, help="name of the scale at which the scores were made")
    parser.add_argument("--csv", required=True, help="table to write, one line per entry")
    parser.add_argument("--markdown", required=True, help="table to write, one line per condition")
    arguments = parser.parse_args()

    table = layout(arguments.spec)
    entries = measure(table, Scores(progress(arguments.scores, label="reading", unit="files")))
    write_text(arguments.csv, tidy(table, entries, arguments.scale))
    write_text(arguments.markdown, markdown(table, entries, arguments.scale))
    logging.info("%s: %d entries", table.title, len(entries))


if __name__ == "__main__":
    run(main)
