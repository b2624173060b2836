"""A table of a paper: its rows and columns are data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from avrobust.program import UserError
from avrobust.spec.conditions import Reading, place, reading
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.published import published_at, read_published
from avrobust.spec.record import record


@dataclass(frozen=True)
class Column:
    """One column of the layout: a `condition`, or the `mean` or the `sum` of columns above it.

    A condition has a modality and a budget; a variant, attack or dataset that it names takes the place of the row's.
    `against`: where the same is read that is subtracted, paired by clip. `header`: what the wide table prints.
    """

    name: str
    header: str = ""
    condition: Mapping | None = None
    mean: Sequence[str] = ()
    sum: Sequence[str] = ()
    against: Mapping = field(default_factory=dict)
    ours_only: bool = False


@dataclass(frozen=True)
class Row:
    """One row of the layout: `keys` are printed and matched with the published values, `read` names the cells.

    `printed_as` changes keys for that search only; `clips: unseen` in `read` leaves out the test clips whose video
    stands in the training split too; `against` adds to what the columns are read against.
    """

    keys: Mapping[str, str]
    read: Mapping[str, str]
    against: Mapping[str, str] = field(default_factory=dict)
    printed_as: Mapping[str, str] = field(default_factory=dict)
    ours_only: bool = False

    @property
    def place(self) -> Mapping[str, str]:
        """The dataset, nets and attack that it reads."""
        return {part: value for part, value in self.read.items() if part != "clips"}


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

    @property
    def unseen(self) -> Sequence[str]:
        """The datasets of which a row reads unseen clips, sorted."""
        return sorted({row.read["dataset"] for row in self.rows if "clips" in row.read})


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    table = record(Layout, spec, "table")
    columns: list[Column] = []
    for number, value in enumerate(table.columns, 1):
        column = record(Column, value, f"column {number}")
        where, above = f"column {column.name!r}", [column.name for column in columns]
        if unknown := [name for name in (*column.mean, *column.sum) if name not in above]:
            raise UserError(f"{where}: {', '.join(unknown)} is no column above it ({', '.join(above)})")
        if column.name in above:
            raise UserError(f"{where}: occurs twice")
        columns.append(column)
    rows = [record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1)]
    for number, row in enumerate(rows, 1):
        if row.keys in [other.keys for other in rows[: number - 1]]:
            raise UserError(f"row {number}: {' '.join(row.keys.values())} occurs twice")
    return replace(table, keys=tuple(table.keys), columns=tuple(columns), rows=tuple(rows))


def printed_at(table: Layout, row: Row, column: Column) -> tuple[str, ...]:
    """Where an entry's value stands in the published file, (*keys, column); empty where the paper has none."""
    if row.ours_only or column.ours_only:
        return ()
    return *({**row.keys, **row.printed_as}[key] for key in table.keys), column.name


def check_published(table: Layout, path: Path) -> list[str]:
    """Return where the file has a value that no entry reads; UserError if one that the paper prints has none."""
    published = read_published(path, table.keys)
    places = {printed_at(table, row, column): None for row in table.rows for column in table.columns}
    for printed in filter(None, places):
        published_at(published, printed)
    return [" ".join(printed) for printed in published if printed not in places]


def combination(
    name: str, columns: Mapping[str, Column], read: Mapping[str, str], against: Mapping[str, str] = MappingProxyType({})
) -> dict[Reading, float]:
    """The column `name`, read at `read`, as weights of conditions; `against` adds to the column's own `against`.

    Raises `UserError` if a condition is not complete or has an unknown part.
    """
    column = columns[name]
    weights = _weights(column, columns, read)
    if column.against:
        elsewhere = place(read) | place(column.against) | place(against)
        for condition, weight in _weights(column, columns, elsewhere).items():
            weights[condition] = weights.get(condition, 0.0) - weight
    return weights


def _weights(column: Column, columns: Mapping[str, Column], read: Mapping[str, str]) -> dict[Reading, float]:
    if column.condition:
        try:
            return {reading(place(read) | place(column.condition)): 1.0}
        except ValueError as error:
            raise UserError(f"column {column.name!r}: {error}") from None
    weights: dict[Reading, float] = {}
    names = column.mean or column.sum
    for name in names:
        for condition, weight in combination(name, columns, read).items():
            share = weight / len(names) if column.mean else weight
            weights[condition] = weights.get(condition, 0.0) + share
    return weights


def needs(table: Layout) -> Iterator[Need]:
    """The cells of every entry; UserError if a condition is not complete."""
    columns = {column.name: column for column in table.columns}
    for row in table.rows:
        for name in columns:
            for condition in combination(name, columns, row.place, row.against):
                yield Need(CELLS, condition, unseen="clips" in row.read)


TABLE = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("cells", "published", "manifests"),
    parse=layout,
    needs=needs,
    check_published=check_published,
    facts=("citation", "sources"),
    stacked=True,
)
