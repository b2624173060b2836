"""Accuracy over the strength of an attack: panels of series.

The layout is a JSON object:

    title    text above the panels
    budgets  the points on the x axis, by name: ["sweep/1", "sweep/2"]; where they lie, the rows say
    panels   [{"name": "a", "title": "(a) audio attacked", "series": [...]}, ...]
    series   {"net": "AV", "attack": "FGSM", "modality": "audio",
              "read": {"dataset": "music", "variant": "concat", "attack": "fgsm"}}

`net` and `attack` are what the legend says, `read` names the cells. A series of the modality audio, visual or
both has a point at each of `budgets`, and the clean accuracy at 0. A series of the modality clean or
majority is a reference line: its `attack` is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from avrobust.program import UserError
from avrobust.spec.conditions import FREE as REFERENCES
from avrobust.spec.conditions import Reading, place, reading
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Series:
    """One curve or reference line of the layout."""

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
    """Check a layout that came as JSON (see above); a `UserError` names the panel that is wrong."""
    whole = record(Layout, spec, "figure")
    panels = []
    for number, value in enumerate(whole.panels, 1):
        panel = record(Panel, value, f"panel {number}")
        series = [record(Series, one, f"panel {panel.name}, series {i}") for i, one in enumerate(panel.series, 1)]
        for one in series:
            if {*place(one.read)} - {"steps"} != {"dataset", "surrogate", "victim", "attack"}:
                raise UserError(f"panel {panel.name}, series {one.name}: read must name dataset, variant and attack")
            if bool(one.attack) == (one.modality in REFERENCES):
                raise UserError(
                    f"panel {panel.name}, series {one.name}: a curve names its attack, a reference line "
                    f"(modality {' or '.join(REFERENCES)}) does not"
                )
        panels.append(Panel(panel.name, panel.title, tuple(series)))
    return Layout(whole.title, tuple(whole.budgets), tuple(panels))


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every series, at each of the budgets."""
    for panel in figure.panels:
        for series in panel.series:
            yield from (Need(CELLS, one) for one in series.readings(figure.budgets))


SWEEP = Kind(shown=(".svg",), others=(".csv", ".png"), reads=("cells",), parse=layout, needs=needs)
