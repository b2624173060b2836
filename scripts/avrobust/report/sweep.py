"""Accuracy over the strength of an attack, each point with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report.given import Given
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.sweep import Layout, Series


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


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write its points; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    panels = {panel.name: [measure(one, figure.budgets, cells) for one in panel.series] for panel in figure.panels}
    # Loading the drawing library takes longer than finding a mistake in the cells.
    from avrobust.report.sweep_plot import draw

    draw(figure, panels, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], tidy(panels, given.scale))
    return f"{figure.title}: {sum(map(len, panels.values()))} curves"


def measure(series: Series, budgets: Sequence[str], cells: Cells) -> Curve:
    """Accuracy and interval at 0 and at each of `budgets`, the weakest first; `UserError` if a cell lacks one."""
    conditions = sorted(series.readings(budgets), key=cells.epsilon)
    outcomes = cells.outcomes(conditions)
    points = [outcomes.combined([100.0 * (one == point) for one in conditions]).ends for point in conditions]
    accuracy, low, high = zip(*points, strict=True)
    return Curve(
        series=series,
        epsilons=[cells.epsilon(condition) for condition in conditions],
        accuracy=list(accuracy),
        low=list(low),
        high=list(high),
        clips=outcomes.clips,
        seeds=len(outcomes.seeds),
    )


def tidy(panels: Mapping[str, Sequence[Curve]], scale: str) -> str:
    """The data of the figure as CSV, one line per point; `panels` holds the curves by panel name."""
    return csv_of(
        pd.concat(
            pd.DataFrame(
                {
                    "panel": panel,
                    "series": curve.series.name,
                    "epsilon": [f"{epsilon:g}" for epsilon in curve.epsilons],
                    **{name: getattr(curve, name) for name in ("accuracy", "low", "high")},
                    "n": curve.clips,
                    "seeds": curve.seeds,
                    "scale": scale,
                }
            )
            for panel, curves in panels.items()
            for curve in curves
        )
    )
