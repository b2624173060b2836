"""Show what has been made: where each table and figure is, and the tables, fitted to the terminal."""

import argparse
import shutil
from pathlib import Path

from avrobust.program import run
from avrobust.report.terminal import compact, inventory, listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="paper_tables", metavar="FOLDER", help="where tables and figures are")
    arguments = parser.parse_args()

    rows = listed(arguments.tables)
    width = shutil.get_terminal_size().columns
    pages = [Path(arguments.tables, path) for row in rows for path in row["files"].split() if path.endswith(".md")]
    tables = [compact(path.read_text(encoding="utf-8"), width=width) for path in pages if path.exists()]
    reading = "Below: tables as ours (published), in %, and ledgers; the files hold the intervals and the rest."
    print("\n\n".join([inventory(arguments.tables, rows), *([reading] if tables else []), *tables]))


if __name__ == "__main__":
    run(main)
