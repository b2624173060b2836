"""Accuracy over the strength of an attack: panels of series, each with its interval, as the layout asks.

The layout is a JSON object:

    title    text above the panels
    epsilons the strengths on the x axis, as the paper counts them, above 0: [0.006, 0.012]
    panels   [{"name": "a", "title": "(a) audio attacked", "series": [...]}, ...]
    series   {"net": "AV", "attack": "FGSM", "modality": "audio",
              "read": {"dataset": "music", "variant": "concat", "attack": "fgsm"}}

`net` and `attack` are what the legend says, `read` names the cells. A series of the modality audio, visual or
both has a point at each of `epsilons`, and the clean accuracy at 0. A series of the modality clean or
majority is a reference line: its `attack` is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avrobust.csv_text import write_csv_text
from avrobust.metrics.rows import MAJORITY, Cells, Condition
from avrobust.program import UserError
from avrobust.report.spec import record

REFERENCES = ("clean", MAJORITY)


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


@dataclass(frozen=True)
class Panel:
    """One panel of the layout."""

    name: str
    title: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Figure:
    """A sweep figure before it is measured."""

    title: str
    epsilons: Sequence[float]
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Curve:
    """One measured series: budgets as the paper counts them; accuracy, low and high in per cent at each."""

    series: Series
    epsilons: Sequence[float]
    accuracy: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    clips: int
    seeds: int


def figure(spec: object) -> Figure:
    """Check a layout that came as JSON (see above); a `UserError` names the panel that is wrong."""
    whole = record(Figure, spec, "figure")
    panels = []
    for number, value in enumerate(whole.panels, 1):
        panel = record(Panel, value, f"panel {number}")
        series = [record(Series, one, f"panel {panel.name}, series {i}") for i, one in enumerate(panel.series, 1)]
        for one in series:
            if {*one.read} != {"dataset", "variant", "attack"}:
                raise UserError(f"panel {panel.name}, series {one.name}: read must name dataset, variant and attack")
            if bool(one.attack) == (one.modality in REFERENCES):
                raise UserError(
                    f"panel {panel.name}, series {one.name}: a curve names its attack, a reference line "
                    f"(modality {' or '.join(REFERENCES)}) does not"
                )
        panels.append(Panel(panel.name, panel.title, tuple(series)))
    return Figure(whole.title, tuple(sorted(whole.epsilons)), tuple(panels))


def measure(series: Series, epsilons: Sequence[float], cells: Cells) -> Curve:
    """Accuracy and interval at 0 and at each of `epsilons`; `UserError` if a cell does not hold one of them."""
    reference = series.modality in REFERENCES
    conditions = [Condition(**series.read, modality=series.modality if reference else "clean")]
    if not reference:
        conditions += [Condition(**series.read, modality=series.modality, epsilon=epsilon) for epsilon in epsilons]
    outcomes = cells.outcomes(conditions)
    points = [outcomes.combined([100.0 * (one == point) for one in conditions]) for point in conditions]
    return Curve(
        series=series,
        epsilons=[condition.epsilon for condition in conditions],
        accuracy=[point.value for point in points],
        low=[point.low() for point in points],
        high=[point.high() for point in points],
        clips=outcomes.clips,
        seeds=len(outcomes.seeds),
    )


def tidy(panels: Mapping[str, Sequence[Curve]], scale: str) -> str:
    """The data of the figure as CSV, one line per point; `panels` holds the curves by panel name."""
    header = ["panel", "series", "epsilon", "accuracy", "low", "high", "n", "seeds", "scale"]
    return write_csv_text(
        header,
        (
            [
                panel,
                curve.series.name,
                f"{epsilon:g}",
                f"{accuracy:.2f}",
                f"{low:.2f}",
                f"{high:.2f}",
                curve.clips,
                curve.seeds,
                scale,
            ]
            for panel, curves in panels.items()
            for curve in curves
            for epsilon, accuracy, low, high in zip(curve.epsilons, curve.accuracy, curve.low, curve.high, strict=True)
        ),
    )
