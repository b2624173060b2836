"""Write down what a paper leaves open, what was taken, and how to take something else."""

import argparse
import logging

from avrobust.files import write_text
from avrobust.program import json_argument, run
from avrobust.report.choices import choices, csv_of_choices, markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=json_argument, required=True, help="choices as JSON: avrobust/report/choices.py")
    parser.add_argument("--csv", required=True, help="ledger to write, one line per choice")
    parser.add_argument("--markdown", required=True, help="ledger to write for readers")
    arguments = parser.parse_args()

    given = choices(arguments.spec)
    write_text(arguments.csv, csv_of_choices(given))
    write_text(arguments.markdown, markdown(given))
    logging.info("%s: %d choices", given.paper, len(given.choices))


if __name__ == "__main__":
    run(main)
