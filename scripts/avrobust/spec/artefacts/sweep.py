"""Accuracy over the strength of an attack: panels of series."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from avrobust.program import UserError
from avrobust.spec.conditions import FREE as REFERENCES
from avrobust.spec.conditions import Reading, place, reading
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Series:
    """One curve, or, where `modality` is clean or majority, a reference line, whose `attack` is left out.

    `net` and `attack` are what the legend says, `read` names the cells.
    """

    net: str
    modality: str
    read: Mapping[str, str]
    attack: str = ""

    @property
    def name(self) -> str:
        """What the data file calls it, after the paper's legend: FGSM-AV."""
        return f"{self.attack or self.modality}-{self.net}"

    def readings(self, budgets: Sequence[str]) -> list[Reading]:
        """What it has a point for: the clean clip and each of `budgets`; of a reference line the line alone."""
        if self.modality in REFERENCES:
            return [reading({**self.read, "modality": self.modality})]
        attacked = [reading({**self.read, "modality": self.modality, "budget": budget}) for budget in budgets]
        return [reading({**self.read, "modality": "clean"}), *attacked]


@dataclass(frozen=True)
class Panel:
    """One panel of the layout."""

    name: str
    title: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Layout:
    """A sweep figure before it is measured."""

    title: str
    budgets: Sequence[str]
    panels: Sequence[Panel]


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names the panel that is wrong."""
    whole = record(Layout, spec, "figure")
    panels = []
    for number, value in enumerate(whole.panels, 1):
        panel = record(Panel, value, f"panel {number}")
        series = [record(Series, one, f"panel {panel.name}, series {i}") for i, one in enumerate(panel.series, 1)]
        for one in series:
            if {*place(one.read)} - {"steps"} != {"dataset", "surrogate", "victim", "attack"}:
                raise UserError(f"panel {panel.name}, series {one.name}: read must name dataset, variant and attack")
        panels.append(Panel(panel.name, panel.title, tuple(series)))
    return Layout(whole.title, tuple(whole.budgets), tuple(panels))


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every series, at each of the budgets."""
    for panel in figure.panels:
        for series in panel.series:
            yield from (Need(CELLS, one) for one in series.readings(figure.budgets))


SWEEP = Kind(shown=(".svg",), others=(".csv", ".png"), reads=("cells",), parse=layout, needs=needs)
