"""Maps with a number in every cell: a measure by what stands in the rows and who answers in the columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from avrobust.program import UserError
from avrobust.spec.conditions import Reading
from avrobust.spec.factors import FIXED, Factor, complete, factor, filled, unattacked
from avrobust.spec.figure import FACTS, OneMeasure
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Map:
    """One map, or one for each value of `each`: `read` with the values of its factors is what a cell is read of."""

    title: str
    read: Mapping[str, object]
    rows: Factor
    columns: Factor
    each: Factor = FIXED

    def title_of(self, value: str) -> str:
        """What stands above the map of a value of `each`."""
        return " ".join(filter(None, (self.title, self.each.values[value])))

    def reading(self, value: str, row: str, column: str) -> Reading:
        """What a cell is read of; a `UserError` names what is missing or unknown."""
        chosen = {self.each.name: value, self.rows.name: row, self.columns.name: column}
        where = f"map {self.title_of(value)}: {row} {column}"
        return complete(filled(self.read, chosen, where), where)


@dataclass(frozen=True)
class Layout(OneMeasure):
    """Maps before they are measured, each with a row of what is lost without an attack."""

    maps: Sequence[Map]


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    maps = []
    for number, value in enumerate(whole.maps, 1):
        one, where = record(Map, value, f"map {number}"), f"map {number}"
        factors = {
            name: factor(getattr(one, name), f"{where}: {name}")
            for name in ("rows", "columns", "each")
            if name in value
        }
        maps.append(replace(one, **factors))
    made = replace(whole, maps=tuple(maps))
    titles = [one.title_of(value) for one in made.maps for value in one.each.values]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise UserError(f"two maps are called {twice[0]!r}")
    return made


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every map, clean and attacked."""
    for one in figure.maps:
        for value in one.each.values:
            for row in one.rows.values:
                for column in one.columns.values:
                    read = one.reading(value, row, column)
                    yield from (Need(CELLS, read), Need(CELLS, unattacked(read)))


MATRIX = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("cells",),
    parse=layout,
    needs=needs,
    facts=FACTS,
)
