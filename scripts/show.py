"""Show what has been made: where each table and figure is, and the tables, fitted to the terminal."""

import argparse
import shutil

from avrobust.program import run
from avrobust.report.terminal import artefacts, compact, inventory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="paper_tables", metavar="FOLDER", help="where tables and figures are")
    arguments = parser.parse_args()

    found = artefacts(arguments.tables)
    width = shutil.get_terminal_size().columns
    tables = [
        compact(path.read_text(encoding="utf-8"), width=width)
        for paths in found.values()
        for path in paths
        if path.suffix == ".md"
    ]
    reading = "Below: tables as ours (published), in %, and ledgers; the files hold the intervals and the rest."
    print("\n\n".join([inventory(found), *([reading] if tables else []), *tables]))


if __name__ == "__main__":
    run(main)
