"""Stack one item, such as table1, of several papers into one CSV whose first column names the paper."""

import argparse
import logging

from avrobust.files import write_text
from avrobust.program import run
from avrobust.report.stacking import stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", required=True, help="name of the item, for the log")
    parser.add_argument("--papers", nargs="+", required=True, help="keys of the papers, in the order of the tables")
    parser.add_argument("--tables", nargs="+", required=True, metavar="CSV", help="that item of each paper")
    parser.add_argument("--output", required=True, metavar="CSV", help="stacked table to write")
    arguments = parser.parse_args()

    write_text(arguments.output, stack(arguments.papers, arguments.tables))
    logging.info("%s of %s in %s", arguments.item, ", ".join(arguments.papers), arguments.output)


if __name__ == "__main__":
    run(main)
