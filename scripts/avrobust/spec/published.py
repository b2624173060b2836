"""The values that a paper prints in a table: a CSV with the columns of the table's keys, column, value, note."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avrobust.csv_text import read_csv
from avrobust.program import UserError

Place = tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A printed value, in per cent (None: the place is empty in the paper), and a remark on it."""

    value: float | None
    note: str


def read_published(path: str | Path, keys: Sequence[str]) -> dict[tuple[str, ...], Published]:
    """The printed values of a CSV with the columns `keys`, column, value, note: found by (*keys, column).

    Raises `UserError` if the header differs, a value is no number, or a place occurs twice.
    """
    wanted = [*keys, "column", "value", "note"]
    header, lines = read_csv(path)
    if header != wanted:
        raise UserError(f"{path}: the header must be {','.join(wanted)}, got {','.join(header)}")
    published: dict[tuple[str, ...], Published] = {}
    for line in lines:
        place = (*(line[key] for key in keys), line["column"])
        if place in published:
            raise UserError(f"{path}: {' '.join(place)} occurs twice; keep one")
        try:
            value = float(line["value"]) if line["value"] else None
        except ValueError:
            raise UserError(f"{path}: {line['value']!r}, at {' '.join(place)}, is not a number") from None
        published[place] = Published(value, line["note"])
    return published


def published_at(published: Mapping[Place, Published], place: Place) -> Published:
    """What is printed at a place, (*keys, column); UserError if that is nothing."""
    if place not in published:
        raise UserError(
            f"no published value for {' '.join(place)}: spell it as in the published file, "
            "or mark the row or the column ours_only"
        )
    return published[place]
