"""Panels of curves: what a measure does along a factor, such as steps, a ratio or a cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path

from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import Reading
from avrobust.spec.factors import Factor, Mean, complete_or_worst, each_of, factor, filled, mean
from avrobust.spec.figure import FACTS, FLOORS, Figure, few_enough
from avrobust.spec.kind import CELLS, TRAININGS, Kind, Need
from avrobust.spec.measures import COSINE, COUNTED, MEASURES
from avrobust.spec.published import read_published
from avrobust.spec.record import record

MEASURED = (*MEASURES, COSINE)
# What the data call a curve of what training takes, under whatever attack its nets are then tested.
TRAINING = "training"
# As many curves, and lines that are the same along the whole axis, as the drawing has looks for.
MOST_CURVES, MOST_FLAT = 8, 3


@dataclass(frozen=True)
class Panel:
    """One panel: what `measure` is along x; `y` labels its axis. In its place `cost` may be one of `COUNTED`."""

    y: str
    measure: str = ""
    cost: str = ""

    @property
    def column(self) -> str:
        """What the data call it."""
        return self.measure or self.cost


@dataclass(frozen=True)
class Series:
    """One curve: `name` stands in the legend, `read` is read beside what all read.

    An attack that is a list is the worst of several, clip by clip. `flat`: the same along the whole axis, a line
    without markers.
    """

    name: str
    read: Mapping[str, object] = field(default_factory=dict)
    flat: bool = False


@dataclass(frozen=True)
class Layout(Figure):
    """A figure of curves before it is measured.

    `x`: the factor along the axis, whose values are numbers, or else names that stand at equal distances; `label` says
    what they are. `at`: a value of x -> what is read otherwise there. `over`, `mean`: a factor of which each point is a
    mean, and of what of it. `beside`: series of the data alone, by name, and what each reads. `printed`: columns of the
    published file that nothing is measured for.
    """

    read: Mapping[str, object]
    x: Factor
    label: str
    panels: Sequence[Panel]
    series: Sequence[Series]
    at: Mapping[str, Mapping] = field(default_factory=dict)
    over: Factor | None = None
    mean: Mean | None = None
    beside: Mapping[str, Mapping] = field(default_factory=dict)
    printed: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """What heads the columns of the data that say where a point is."""
        return ["series", self.x.name]

    @property
    def along(self) -> Sequence[float]:
        """Where each value of x stands."""
        try:
            return [float(value) for value in self.x.values]
        except ValueError:
            return [float(place) for place in range(len(self.x.values))]

    def values(self, series: Series) -> Sequence[str]:
        """The values of x that a series has points at; one without a name where it is flat."""
        return [""] if series.flat else list(self.x.values)

    def series_of(self, panel: Panel) -> Sequence[Series]:
        """The curves of a panel. What training takes is one curve where all series are of the same nets."""
        if panel.cost and len(self.series) > 1 and len({self._nets(one) for one in self.series}) == 1:
            return [replace(self.series[0], name=TRAINING)]
        return self.series

    def measured(self, panel: Panel) -> Sequence[Series]:
        """The series of the data: the curves of a panel and, where no cost is counted, what stands beside them."""
        return self.series_of(panel) if panel.cost else [*self.series, *starmap(Series, self.beside.items())]

    def _nets(self, series: Series) -> tuple[tuple[str, str], ...]:
        read = (each_of(one)[0] for value in self.values(series) for one in self.readings(series, value))
        return tuple((one.dataset, one.victim) for one in read)

    def readings(self, series: Series, value: str) -> list[Reading | AnyOf]:
        """What a point is read of: one reading, or those of which it is the mean."""
        found = []
        for one in self.over.values if self.over else [""]:
            chosen = {} if series.flat else {self.x.name: value}
            chosen |= {self.over.name: one} if self.over else {}
            where = f"{series.name} at {self.x.name} {value}"
            read = {**self.read, **series.read, **({} if series.flat else self.at.get(value, {}))}
            own = filled(read, chosen, where)
            if self.mean is None or self.mean.keeps(one, own):
                found.append(complete_or_worst(own, where))
        if not found:
            raise UserError(f"{series.name}: none of {', '.join(self.over.values)} is left for the mean")
        return found


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    panels = [record(Panel, value, f"panel {number}") for number, value in enumerate(whole.panels, 1)]
    for number, panel in enumerate(panels, 1):
        if bool(panel.measure) == bool(panel.cost):
            raise UserError(f"panel {number}: either measure or cost must be given")
        if panel.cost and panel.cost not in COUNTED:
            raise UserError(f"panel {number}: cost: {panel.cost!r} is none of {', '.join(COUNTED)}")
        if panel.measure and panel.measure not in MEASURED:
            raise UserError(f"panel {number}: measure: {panel.measure!r} is none of {', '.join(MEASURED)}")
    series = [record(Series, value, f"series {number}") for number, value in enumerate(whole.series, 1)]
    names = [*(one.name for one in series), *whole.beside]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"series: {twice[0]} occurs twice")
    few_enough("series", [one.name for one in series if not one.flat], MOST_CURVES)
    few_enough("series that are flat", [one.name for one in series if one.flat], MOST_FLAT)
    reads = {one.name: {**whole.read, **one.read} for one in [*series, *starmap(Series, whole.beside.items())]}
    worst = [name for name, read in reads.items() if not isinstance(read.get("attack", ""), str)]
    if worst and (other := [one.measure for one in panels if one.measure and one.measure not in FLOORS]):
        raise UserError(f"series: {worst[0]}: the worst of several attacks has no {other[0]}; give one attack")
    x = factor(whole.x, "x")
    if unknown := [value for value in whole.at if value not in x.values]:
        raise UserError(f"at: {unknown[0]} is none of {x.name}: {', '.join(x.values)}")
    if bool(whole.over) != bool(whole.mean):
        raise UserError("over and mean go together: of what factor a point is a mean, and of what of it")
    over = factor(whole.over, "over") if whole.over else None
    of = mean(whole.mean, "mean") if whole.mean else None
    if of and of.over != over.name:
        raise UserError(f"mean: is over {over.name}, not over {of.over}")
    return replace(whole, panels=tuple(panels), series=tuple(series), x=x, over=over, mean=of)


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every point."""
    for panel in figure.panels:
        for series in figure.measured(panel):
            for value in figure.values(series):
                for one in figure.readings(series, value):
                    yield from (Need(CELLS, each) for each in each_of(one))
                    if panel.cost:
                        yield Need(TRAININGS, each_of(one)[0])


def check_published(figure: Layout, path: Path) -> list[str]:
    """Return where the file has a value that no point reads; a paper that prints no number has no file."""
    if not path.exists():
        return []
    values, columns = figure.x.values.values(), [panel.column for panel in figure.panels]
    places = {(one.name, text, column) for one in figure.series for text in values for column in columns}
    published = read_published(path, figure.keys)
    return [" ".join(filter(None, at)) for at in published if at not in places and at[-1] not in figure.printed]


CURVES = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("cells", "published", "trainings"),
    parse=layout,
    needs=needs,
    check_published=check_published,
    facts=FACTS,
)
