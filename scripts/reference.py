"""Keep what the demo makes as the reference, or say what this machine makes otherwise than the reference.

python scripts/reference.py clean    # the commit; an error where tracked files are changed or new ones lie about
python scripts/reference.py make     # results/demo becomes paper_tables/reference/demo
python scripts/reference.py check    # exit status 1 where anything differs; each field in results/demo/otherwise.csv
"""

import argparse
import subprocess
import sys
from pathlib import Path

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.program import UserError, run
from avrobust.report.reference import (
    DIFFERENCE_COLUMNS,
    compare,
    digests,
    made_with,
    read_made,
    read_record,
    report,
    write,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("clean", "make", "check"))
    parser.add_argument("--results", type=Path, default="results/demo", metavar="FOLDER", help="of a finished run")
    parser.add_argument("--reference", type=Path, default="paper_tables/reference/demo", metavar="FOLDER")
    parser.add_argument(
        "--made", type=Path, metavar="FILE", help="of `snakemake --summary`: what counts, if not all that lies there"
    )
    given = parser.parse_args()

    tables = given.results / "tables"
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".", ":(exclude)paper_tables")
    if given.what != "check" and changed:
        raise UserError(
            f"a reference is of a commit, but {changed.splitlines()[0].split(maxsplit=1)[1]} is changed or new; commit "
            "or remove it, then give the same command again"
        )
    if given.what == "clean":
        print(f"commit {commit}")
        return
    models, made = given.results / "models", given.made and read_made(given.made)
    weights = digests(models, made)
    here = made_with(f"{commit} and changes" if changed else commit, models, made)
    if given.what == "make":
        # Another device makes nothing anew, so that results may be older than the command that asks for a CPU.
        if others := [device for device in here["devices"] if not device.endswith(" CPU")]:
            raise UserError(
                f"{models} has nets that were trained on {', '.join(others)}, and a reference is made on a CPU; "
                f"`rm -r {given.results}` and the same command again make it there"
            )
        count = write(tables, given.reference, {**here, "weights": weights}, made)
        print(f"{given.reference}: {count} files and the digests of {len(weights)} models, of commit {commit}")
        return
    recorded = read_record(given.reference)
    comparison = compare(tables, given.reference, weights, recorded["weights"], made)
    write_text(given.results / "otherwise.csv", write_csv_text(DIFFERENCE_COLUMNS, comparison.fields))
    print("\n".join(report(comparison, recorded, here)))
    if comparison.fields:
        print(f"each field: {given.results / 'otherwise.csv'}")
    if comparison.count:
        sys.exit(1)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise UserError(f"git does not tell the commit: {said.strip().splitlines()[0]}") from None


if __name__ == "__main__":
    run(main)
