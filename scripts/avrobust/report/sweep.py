"""Accuracy over the strength of an attack, each point with its interval."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.style import WIDTH, page
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.sweep import REFERENCES, Layout, Series
from avrobust.spec.units import PERCENT


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
                    "unit": PERCENT,
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


# Drawing: colour and marker tell the attack, line style and filling the net.
# Okabe and Ito's palette, in an order that stays apart in grey.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
REFERENCE_COLOUR = "#555555"

# Epsilons are printed in these units.
UNIT = 1e-3

# Attacks stand beside each other by this much of a unit, so that their bars do not hide each other.
DODGE = 0.07


def draw(layout: Layout, panels: Mapping[str, Sequence[Curve]], scale: str, *, svg: str, png: str) -> None:
    """Draw the curves, found by panel name, into the files `svg` and `png`.

    Raises `UserError` if there are more attacks or nets than can be told apart.
    """
    curves = [curve for panel in layout.panels for curve in panels[panel.name]]
    attacks = _names(curve.series.attack for curve in curves if curve.series.attack)
    nets = _names(curve.series.net for curve in curves)
    for names, styles, kind in ((attacks, COLOURS, "attacks"), (nets, LINES, "nets")):
        if len(names) > len(styles):
            raise UserError(f"{layout.title}: {len(names)} {kind}; more than {len(styles)} cannot be told apart")
    references = {
        (curve.series.net, curve.series.modality): {
            "color": REFERENCE_COLOUR,
            "linestyle": LINES[nets.index(curve.series.net)],
            "linewidth": 0.8,
        }
        for curve in curves
        if curve.series.modality in REFERENCES
    }
    with page(WIDTH, WIDTH / 2, svg=svg, png=png, layout="constrained") as canvas:
        axes = canvas.subplots(1, len(layout.panels), sharey=True, squeeze=False)[0]
        for axis, panel in zip(axes, layout.panels, strict=True):
            for curve in panels[panel.name]:
                if curve.series.modality in REFERENCES:
                    axis.axhline(curve.accuracy[0], **references[curve.series.net, curve.series.modality], zorder=1.5)
                else:
                    attack, net = attacks.index(curve.series.attack), nets.index(curve.series.net)
                    _curve(axis, curve, attack, net, offset=DODGE * (attack - (len(attacks) - 1) / 2))
            axis.set(title=panel.title, xlabel="attack strength ε (×10⁻³)", ylim=(-2, 102))
            axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
            axis.set_yticks(range(0, 101, 20))
            axis.grid(axis="y", color="#DDDDDD", linewidth=0.5)
            axis.set_axisbelow(True)
        axes[0].set_ylabel("accuracy (%)")
        canvas.suptitle(f"{layout.title}\n{_sizes(curves, scale)}", fontsize=9)
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle="none", label=name)
            for name, colour, marker in zip(attacks, COLOURS, MARKERS, strict=False)
        ]
        attacked = _names(curve.series.net for curve in curves if curve.series.attack)
        handles += [Line2D([], [], color="black", linestyle=LINES[nets.index(net)], label=net) for net in attacked]
        handles += [Line2D([], [], **style, label=", ".join(names)) for names, style in references.items()]
        columns = (len(handles) + 1) // 2
        canvas.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6)


def _names(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _curve(axis: Axes, curve: Curve, attack: int, net: int, *, offset: float) -> None:
    x = [epsilon / UNIT + offset for epsilon in curve.epsilons]
    axis.vlines(x, curve.low, curve.high, color=COLOURS[attack], linewidth=0.7)
    axis.plot(
        x,
        curve.accuracy,
        color=COLOURS[attack],
        marker=MARKERS[attack],
        linestyle=LINES[net],
        markerfacecolor=COLOURS[attack] if net == 0 else "white",
    )


def _sizes(curves: Sequence[Curve], scale: str) -> str:
    clips = ", ".join(map(str, sorted({curve.clips for curve in curves})))
    seeds = ", ".join(map(str, sorted({curve.seeds for curve in curves})))
    return f"scale {scale}, n = {clips}, seeds: {seeds}; bars: 95 % interval"
