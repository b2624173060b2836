"""A table of how well nets rank clips: a row for each net under each condition, a column for each measure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from avrobust.program import UserError
from avrobust.spec.achieved import NORMS
from avrobust.spec.conditions import Reading, reading
from avrobust.spec.kind import CELLS, METRICS, Kind, Need
from avrobust.spec.measures import PERCENTAGES, RANKINGS, RIGHT
from avrobust.spec.published import published_at, read_published
from avrobust.spec.record import record

# What a column can be: what is read of a net and a condition by itself.
MEASURED = (*RANKINGS, *PERCENTAGES, *NORMS)


@dataclass(frozen=True)
class Column:
    """A measure of each row; `header` is what the wide table prints."""

    name: str
    measure: str
    header: str = ""
    ours_only: bool = False


@dataclass(frozen=True)
class Row:
    """`keys` are printed and, but for those that the paper does not print, matched with the published values.

    `read`: dataset, nets, attack, modality, budget and steps.
    """

    keys: Mapping[str, str]
    read: Mapping[str, object]
    ours_only: bool = False

    @property
    def reading(self) -> Reading:
        """What it is read of."""
        return reading(self.read)


@dataclass(frozen=True)
class Layout:
    """A table before it is measured. `unprinted`: keys that the paper has not, such as the attack that all rows share.

    `names`: what datasets are called that are the user's own.
    """

    title: str
    caption: str
    keys: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]
    unprinted: Sequence[str] = ()
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def printed_keys(self) -> list[str]:
        """The keys of the published file."""
        return [key for key in self.keys if key not in self.unprinted]

    def printed_at(self, row: Row, column: Column) -> tuple[str, ...]:
        """Where an entry's value stands in the published file; empty where the paper has none."""
        if row.ours_only or column.ours_only:
            return ()
        return *(row.keys[key] for key in self.printed_keys), column.name


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    table = record(Layout, spec, "ranking")
    columns = [record(Column, value, f"column {number}") for number, value in enumerate(table.columns, 1)]
    for column in columns:
        if column.measure not in MEASURED:
            raise UserError(f"column {column.name!r}: {column.measure!r} is none of {', '.join(MEASURED)}")
    rows = [record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1)]
    for number, row in enumerate(rows, 1):
        if row.keys in [other.keys for other in rows[: number - 1]]:
            raise UserError(f"row {number}: {' '.join(row.keys.values())} occurs twice")
        try:
            reading(row.read)
        except ValueError as error:
            raise UserError(f"row {number}: {error}") from None
    if unknown := [key for key in table.unprinted if key not in table.keys]:
        raise UserError(f"unprinted: {unknown[0]!r} is none of the keys {', '.join(table.keys)}")
    return replace(table, keys=tuple(table.keys), columns=tuple(columns), rows=tuple(rows))


def check_published(table: Layout, path: Path) -> list[str]:
    """Return where the file has a value that no entry reads; UserError if one that the paper prints has none.

    A table of which the paper has no entry needs no file.
    """
    places = {table.printed_at(row, column): None for row in table.rows for column in table.columns}
    if not any(places) and not path.exists():
        return []
    published = read_published(path, table.printed_keys)
    for printed in filter(None, places):
        published_at(published, printed)
    return [" ".join(printed) for printed in published if printed not in places]


def needs(table: Layout) -> Iterator[Need]:
    """What was measured of every row's cell; also its rows where right answers are counted, as of one label a clip."""
    for row in table.rows:
        yield Need(METRICS, row.reading)
        if any(column.measure in RIGHT for column in table.columns):
            yield Need(CELLS, row.reading)


RANKING = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("metrics", "published"),
    parse=layout,
    needs=needs,
    check_published=check_published,
    facts=("citation", "sources", "sizes", "labels", "names"),
    stacked=True,
)
