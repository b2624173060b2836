"""A table of a paper, measured: its layout is data, every entry gets an interval and the published value.

The layout is a JSON object:

    title, caption   text above the table
    citation         the paper, for the reader
    sources          where the clips of each dataset come from: {"music": "lists"}, the papers' own; `render`, `local`
    keys             names of what identifies a row, in printed order: ["dataset", "attack"]
    rows             [{"keys": {"dataset": "MUSIC", "attack": "FGSM"},
                       "read": {"dataset": "music", "variant": "concat", "attack": "fgsm"}}, ...]
                     `printed_as` changes keys for the search of the published values only;
                     `keys` are printed and matched with the published values, `read` names the cells; `clips: unseen`
                     in it leaves out the test clips whose video stands in the training split too
                     `against` adds to what the columns are read against
    columns          [{"name": "X_A", "header": "✗A",
                       "condition": {"modality": "audio", "epsilon": 0.012}}, ...]

A column is one of: a `condition` (modality and epsilon; a variant, attack or dataset that it names takes the
place of the row's; the modality `majority` is the share of the most frequent label), or the `mean` or the
`sum` of columns above it. `against` subtracts the same quantity read elsewhere, paired by clip:
{"name": "RI", "sum": ["AV_clean", "Avg"], "against": {"variant": "concat"}}.
Rows and columns marked `ours_only` have no published value; all others must have one.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from avrobust.csv_text import read_csv
from avrobust.metrics.rows import Cells, Condition
from avrobust.program import UserError
from avrobust.report.spec import record


@dataclass(frozen=True)
class Column:
    """One column of the layout; `header` is what the wide table prints instead of `name`."""

    name: str
    header: str = ""
    condition: Mapping | None = None
    mean: Sequence[str] = ()
    sum: Sequence[str] = ()
    against: Mapping = field(default_factory=dict)
    ours_only: bool = False


@dataclass(frozen=True)
class Row:
    """One row of the layout."""

    keys: Mapping[str, str]
    read: Mapping[str, str]
    against: Mapping[str, str] = field(default_factory=dict)
    printed_as: Mapping[str, str] = field(default_factory=dict)
    ours_only: bool = False


@dataclass(frozen=True)
class Layout:
    """A table before it is measured."""

    title: str
    caption: str
    keys: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A printed value, in per cent (None: the place is empty in the paper), and a remark on it."""

    value: float | None
    note: str


@dataclass(frozen=True)
class Entry:
    """One measured place of a table.

    `ours`, `low`, `high` and `published` are percentages or differences of them, rounded to two decimals as
    they are printed, so that `difference` and `inside` can be checked by eye. None where no clip is left.
    """

    keys: tuple[str, ...]
    dataset: str
    column: str
    published: float | None
    ours: float | None
    low: float | None
    high: float | None
    clips: int
    seeds: int
    note: str

    @property
    def difference(self) -> float | None:
        """Ours minus published, in percentage points."""
        return None if self.published is None or self.ours is None else rounded(self.ours - self.published)

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our interval."""
        return None if self.published is None or self.ours is None else self.low <= self.published <= self.high


def rounded(value: float) -> float:
    """`value` with the two decimals that papers print, and no negative zero."""
    return round(float(value), 2) + 0.0


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    table = record(Layout, spec, "table")
    columns: list[Column] = []
    for number, value in enumerate(table.columns, 1):
        column = record(Column, value, f"column {number}")
        where, above = f"column {column.name!r}", {column.name for column in columns}
        if sum(map(bool, (column.condition, column.mean, column.sum))) != 1:
            raise UserError(f"{where}: must have exactly one of condition, mean, sum")
        if unknown := [name for name in (*column.mean, *column.sum) if name not in above]:
            raise UserError(f"{where}: {', '.join(unknown)} is no column above it")
        if column.name in above:
            raise UserError(f"{where}: occurs twice")
        columns.append(column)
    rows = [record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1)]
    for number, row in enumerate(rows, 1):
        if row.keys in [other.keys for other in rows[: number - 1]]:
            raise UserError(f"row {number}: {' '.join(row.keys.values())} occurs twice")
        if missing := [name for name in ("dataset", "variant", "attack") if name not in row.read]:
            raise UserError(f"row {number}: read must name the {', '.join(missing)}")
        if {*row.keys} != {*table.keys}:
            raise UserError(f"row {number}: keys must be {', '.join(table.keys)}, got {', '.join(row.keys)}")
    return replace(table, keys=tuple(table.keys), columns=tuple(columns), rows=tuple(rows))


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


def combination(
    name: str, columns: Mapping[str, Column], read: Mapping[str, str], against: Mapping[str, str] = MappingProxyType({})
) -> dict[Condition, float]:
    """The column `name`, read at `read`, as weights of conditions; `against` adds to the column's own `against`.

    Raises `UserError` if a condition is not complete or has an unknown part.
    """
    column = columns[name]
    weights = _weights(column, columns, read)
    if column.against:
        for condition, weight in _weights(column, columns, {**read, **column.against, **against}).items():
            weights[condition] = weights.get(condition, 0.0) - weight
    return weights


def _weights(column: Column, columns: Mapping[str, Column], read: Mapping[str, str]) -> dict[Condition, float]:
    if column.condition:
        parts = {**read, **column.condition}
        try:
            return {Condition(**parts): 1.0}
        except TypeError:
            needed = ", ".join(Condition._fields)
            raise UserError(f"column {column.name!r}: needs {needed}; got {', '.join(parts)}") from None
    weights: dict[Condition, float] = {}
    names = column.mean or column.sum
    for name in names:
        for condition, weight in combination(name, columns, read).items():
            share = weight / len(names) if column.mean else weight
            weights[condition] = weights.get(condition, 0.0) + share
    return weights


def measure(
    table: Layout,
    cells: Cells,
    published: Mapping[tuple[str, ...], Published],
    seen: Mapping[str, AbstractSet[str]] = MappingProxyType({}),
) -> list[Entry]:
    """All entries in the paper's order, row by row, each with its interval (`avrobust.metrics.bootstrap`).

    `seen`: dataset -> the test clips whose video stands in the training split too.

    Raises `UserError` if a cell, a condition or a published value is missing.
    """
    columns = {column.name: column for column in table.columns}
    entries = []
    for row in table.rows:
        read = {part: value for part, value in row.read.items() if part != "clips"}
        weights = [combination(name, columns, read, row.against) for name in columns]
        conditions = list(dict.fromkeys(condition for combined in weights for condition in combined))
        outcomes = cells.outcomes(conditions)
        if "clips" in row.read:
            outcomes = outcomes.without(seen[read["dataset"]])
        if not outcomes.clips:
            entries += [_without_clips(table, row, column.name, len(outcomes.seeds)) for column in table.columns]
            continue
        keys = tuple(row.keys[key] for key in table.keys)
        for column, combined in zip(table.columns, weights, strict=True):
            place = *({**row.keys, **row.printed_as}[key] for key in table.keys), column.name
            printed = _printed(row, column, place, published)
            ours = outcomes.combined([100 * combined.get(condition, 0.0) for condition in conditions])
            entries.append(
                Entry(
                    keys=keys,
                    dataset=row.read["dataset"],
                    column=column.name,
                    published=printed.value,
                    ours=rounded(ours.value),
                    low=rounded(ours.low()),
                    high=rounded(ours.high()),
                    clips=outcomes.clips,
                    seeds=len(outcomes.seeds),
                    note=printed.note,
                )
            )
    return entries


def _without_clips(table: Layout, row: Row, column: str, seeds: int) -> Entry:
    """An entry for which no clip is left: every test clip's video stands in the training split too."""
    keys = tuple(row.keys[key] for key in table.keys)
    nothing = dict.fromkeys(("published", "ours", "low", "high"))
    return Entry(keys, row.read["dataset"], column, **nothing, clips=0, seeds=seeds, note="no clip is left")


def _printed(row: Row, column: Column, place: tuple[str, ...], published: Mapping) -> Published:
    if row.ours_only or column.ours_only:
        return Published(None, "")
    if place not in published:
        raise UserError(
            f"no published value for {' '.join(place)}: spell it as in the published file, "
            "or mark the row or the column ours_only"
        )
    return published[place]
