"""A table of a paper: its rows and columns are data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import FREE, Reading, place, reading
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.measures import MEASURES, OF_ONE_CONDITION
from avrobust.spec.published import published_at, read_published
from avrobust.spec.record import record

# What rows are read under that a table makes of its `any`: the worst of several attacks, clip by clip.
ANY = "any"
ACCURACY, MEASURE_OF_RATIO = "accuracy", "success_if_recognised"


@dataclass(frozen=True)
class Column:
    """One column of the layout: a `condition`, or the `mean` or the `sum` of columns above it.

    A condition has a modality and a budget; a variant, attack or dataset that it names takes the place of the row's.
    `measure`: a name of `avrobust.spec.measures.MEASURES`, of that condition. `against`: where the same is read that is
    subtracted, paired by clip. `header`: what the wide table prints.
    """

    name: str
    header: str = ""
    condition: Mapping | None = None
    measure: str = ACCURACY
    mean: Sequence[str] = ()
    sum: Sequence[str] = ()
    against: Mapping = field(default_factory=dict)
    ours_only: bool = False

    @property
    def is_ratio(self) -> bool:
        """Whether it is of the clips alone that are recognised clean."""
        return MEASURES[self.measure].if_recognised


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
class Member:
    """One of the attacks that a table's rows of any attack are over; `name` is printed.

    `surrogate`: the net whose gradients it takes; empty for the net's own.
    """

    attack: str
    name: str
    surrogate: str = ""

    def __str__(self) -> str:
        return f"{self.surrogate}/{self.attack}" if self.surrogate else self.attack


@dataclass(frozen=True)
class Layout:
    """A table before it is measured.

    `any`: what the rows whose attack is `ANY` are over, the same for every net. `same`: "dataset/net" -> attack ->
    another attack of `any`, before it, that does the same on this net, so that it has no cell of its own. `names`: what
    datasets are called that are the user's own.
    """

    title: str
    caption: str
    keys: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]
    any: Sequence[Member] = ()
    same: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def unseen(self) -> Sequence[str]:
        """The datasets of which a row reads unseen clips, sorted."""
        return sorted({row.read["dataset"] for row in self.rows if "clips" in row.read})

    def any_row(self, row: Row) -> Row | None:
        """The row of the same net and clips under any attack; None for such a row itself, and if there is none."""
        if row.place["attack"] == ANY:
            return None
        return next((one for one in self.rows if one.place["attack"] == ANY and _clips(one) == _clips(row)), None)

    def reading(self, read: Mapping) -> Reading | AnyOf:
        """What a complete condition is read of: one cell, or the worst of all of `any`.

        Raises:
            ValueError: a part is missing, unknown or of no use.
        """
        one = reading(read)
        if one.attack != ANY:
            return one
        if not self.any:
            raise ValueError(f"attack `{ANY}` needs a list `{ANY}:`, the attacks that it is the worst of; give one")
        found = {}
        for member in self.any:
            surrogate = member.surrogate or one.surrogate
            attack = self.same.get(f"{one.dataset}/{surrogate}", {}).get(member.attack, member.attack)
            found[one._replace(surrogate=surrogate, attack=attack)] = None
        # Clips that nothing attacks are the same in each of these cells.
        return next(iter(found)) if one.condition.modality in FREE else AnyOf(tuple(found))


def _clips(row: Row) -> tuple:
    """The net that answers in a row, and to which clips."""
    return row.place["dataset"], place(row.place)["victim"], row.read.get("clips")


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
        if column.measure not in (*OF_ONE_CONDITION, "clean_error"):
            raise UserError(f"{where}: {column.measure!r} is none of {', '.join((*OF_ONE_CONDITION, 'clean_error'))}")
        parts = [one for one in columns if one.name in (*column.mean, *column.sum)]
        if any(one.is_ratio for one in parts) or (column.is_ratio and column.against):
            raise UserError(
                f"{where}: a ratio, {MEASURE_OF_RATIO}, stands by itself; leave it out of sums and differences"
            )
        columns.append(column)
    rows = [record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1)]
    for number, row in enumerate(rows, 1):
        if row.keys in [other.keys for other in rows[: number - 1]]:
            raise UserError(f"row {number}: {' '.join(row.keys.values())} occurs twice")
    members = tuple(record(Member, value, f"any {number}") for number, value in enumerate(table.any, 1))
    return replace(table, keys=tuple(table.keys), columns=tuple(columns), rows=tuple(rows), any=members)


def printed_at(table: Layout, row: Row, column: Column) -> tuple[str, ...]:
    """Where an entry's value stands in the published file, (*keys, column); empty where the paper has none."""
    if row.ours_only or column.ours_only:
        return ()
    return *({**row.keys, **row.printed_as}[key] for key in table.keys), column.name


def check_published(table: Layout, path: Path) -> list[str]:
    """Return where the file has a value that no entry reads; UserError if one that the paper prints has none.

    A table of which the paper has no entry needs no file.
    """
    places = {printed_at(table, row, column): None for row in table.rows for column in table.columns}
    if not any(places) and not path.exists():
        return []
    published = read_published(path, table.keys)
    for printed in filter(None, places):
        published_at(published, printed)
    return [" ".join(printed) for printed in published if printed not in places]


def constant(table: Layout, column: Column) -> float:
    """Return what is added to the weighted accuracies of a column."""
    if column.against:
        return 0.0
    parts = [constant(table, one) for name in (*column.mean, *column.sum) for one in table.columns if one.name == name]
    if column.mean:
        return sum(parts) / len(parts)
    return sum(parts) if column.sum else MEASURES[column.measure].constant


def combination(
    table: Layout, column: Column, read: Mapping[str, str], against: Mapping[str, str] = MappingProxyType({})
) -> dict[Reading | AnyOf, float]:
    """A column, read at `read`, as weights of conditions; `against` adds to the column's own `against`.

    Raises `UserError` if a condition is not complete or has an unknown part.
    """
    weights = _weights(table, column, read)
    if column.against:
        elsewhere = place(read) | place(column.against) | place(against)
        for condition, weight in _weights(table, column, elsewhere).items():
            weights[condition] = weights.get(condition, 0.0) - weight
    return weights


def _weights(table: Layout, column: Column, read: Mapping[str, str]) -> dict[Reading | AnyOf, float]:
    if column.condition:
        try:
            one = table.reading(place(read) | place(column.condition))
        except ValueError as error:
            raise UserError(f"column {column.name!r}: {error}") from None
        if column.measure == ACCURACY:
            return {one: 1.0}
        if isinstance(one, AnyOf):
            raise UserError(f"column {column.name!r}: {column.measure} is of one attack, and not of any; leave it out")
        return MEASURES[column.measure].over([one])[0]
    weights: dict[Reading | AnyOf, float] = {}
    names = column.mean or column.sum
    for part in (one for name in names for one in table.columns if one.name == name):
        for condition, weight in combination(table, part, read).items():
            share = weight / len(names) if column.mean else weight
            weights[condition] = weights.get(condition, 0.0) + share
    return weights


def needs(table: Layout) -> Iterator[Need]:
    """The cells of every entry; UserError if a condition is not complete."""
    for row in table.rows:
        for column in table.columns:
            for condition in combination(table, column, row.place, row.against):
                for one in condition.readings if isinstance(condition, AnyOf) else (condition,):
                    yield Need(CELLS, one, unseen="clips" in row.read)


TABLE = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("cells", "published", "manifests"),
    parse=layout,
    needs=needs,
    check_published=check_published,
    facts=("citation", "sources", "same", "names"),
    stacked=True,
)
