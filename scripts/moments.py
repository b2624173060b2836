"""Merge the moments of all parts of a dataset into mean and deviation of its features, by which a net scales them."""

import argparse
from pathlib import Path

from avrobust.data.moments import merged, read_part, write_moments
from avrobust.program import UserError, run


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="`--moments` of scripts/extract.py")
    parser.add_argument("--moments", type=Path, required=True, help="output, JSON")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    if twice := [path for path in given.parts if given.parts.count(path) > 1]:
        raise UserError(f"--parts: {twice[0]} is given twice; its clips would count twice")
    parts = {path: read_part(path) for path in given.parts}
    sizes = {path: {name: len(of.mean) for name, of in part.items()} for path, part in parts.items()}
    first, *others = given.parts
    if differing := next((path for path in others if sizes[path] != sizes[first]), None):
        raise UserError(f"{first} and {differing} are moments of different features; extract them again")
    whole = {name: merged(part[name] for part in parts.values()) for name in sizes[first]}
    if not all(of.count for of in whole.values()):
        raise UserError(f"no clip of split train in {first} and the others; see the dataset's availability.csv")
    write_moments(given.moments, whole)


if __name__ == "__main__":
    run(main)
