"""Curves over a factor: every point with its interval, and the published values."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from avrobust.files import write_text
from avrobust.metrics.interval import mean
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.points import COLUMNS, Point, as_printed, line, point, said_of
from avrobust.report.style import WIDTH, page
from avrobust.report.text import csv_of
from avrobust.report.trainings import Spent, mean_spent, spent
from avrobust.spec.artefacts.curves import Layout, Panel, Series
from avrobust.spec.factors import each_of
from avrobust.spec.measures import COSINE
from avrobust.spec.published import Published, read_published
from avrobust.spec.units import COUNT, SCORE

# Column of the data, series, value of x.
Place = tuple[str, str, str]
Found = Mapping[Place, Point]
Printed = Mapping[tuple[str, ...], Published]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write its points; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    published = read_published(given.published[0], figure.keys) if given.published else {}
    found = measure(figure, cells, spent(given.trainings))
    lines = tidy(figure, found, published, given.scale)
    write_text(to[".csv"], csv_of(lines))
    draw(figure, found, published, given.scale, svg=to[".svg"], png=to[".png"])
    return f"{figure.title}: {len(lines)} points"


def measure(figure: Layout, cells: Cells, trainings: Spent = MappingProxyType({})) -> dict[Place, Point]:
    """Every point: of each panel, series and value of x. Raises `UserError` if a cell or a condition is missing."""
    return {
        (panel.column, series.name, value): _point(figure, panel, series, value, cells, trainings)
        for panel in figure.panels
        for series in figure.measured(panel)
        for value in figure.values(series)
    }


def _point(figure: Layout, panel: Panel, series: Series, value: str, cells: Cells, trainings: Spent) -> Point:
    readings = figure.readings(series, value)
    if panel.cost:
        # Counted, not measured: of no clip, and without an interval.
        nets = [(one.dataset, one.victim) for one, *_ in map(each_of, readings)]
        found = [mean_spent(trainings, *net, panel.cost) for net in nets]
        cost = sum(one for one, _ in found) / len(found)
        return Point(cost, cost, cost, 0, min(seeds for _, seeds in found), COUNT)
    if panel.measure == COSINE:
        found = mean(cells.cosines(readings).mean(axis=0), -1.0, 1.0)
        return Point(*found.ends, found.clips, found.seeds, SCORE)
    return point(cells, panel.measure, readings)


def tidy(figure: Layout, found: Found, published: Printed, scale: str) -> pd.DataFrame:
    """The data of the figure, a line per point; what is printed and nothing is measured for stands below."""
    lines = []
    by_name = {series.name: series for panel in figure.panels for series in figure.measured(panel)}
    for (column, series, value), one in found.items():
        readings, keys = figure.readings(by_name[series], value), (series, figure.x.values.get(value, ""))
        place = dict(zip(figure.keys, keys, strict=True))
        lines.append(place | line(figure, column, one, readings, published.get((*keys, column)), scale))
    lines += as_printed(published, figure.printed, figure.keys, scale)
    return pd.DataFrame(lines).reindex(columns=[*figure.keys, *COLUMNS]).astype({"n": "Int64", "seeds": "Int64"})


# Okabe and Ito's palette in an order that stays apart in grey; markers and lines tell more.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#D55E00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), "-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
# Lines of what is the same along the whole axis: thin, and without markers.
FLAT = (
    {"color": "#777777", "linestyle": (0, (4, 2))},
    {"color": "#000000", "linestyle": "-"},
    {"color": "#777777", "linestyle": ":"},
)
# Of a curve that stands for all series.
SHARED = {"color": "#555555", "linestyle": "-", "marker": ".", "markerfacecolor": "#555555"}
# In inches: a panel.
TALL = 2.3
# Series stand beside each other by this much of the axis, so that their intervals do not hide each other.
DODGE = 0.006


def draw(figure: Layout, found: Found, published: Printed, scale: str, *, svg: str, png: str) -> None:
    """Draw the curves, found by column, series and value, into the files `svg` and `png`."""
    shown = any((series, text, panel.column) in published
                for panel in figure.panels for series in (one.name for one in figure.series)
                for text in figure.x.values.values())  # fmt: skip
    handles = [Line2D([], [], **_style(figure, one), label=one.name) for one in figure.series]
    handles += [Line2D([], [], marker="x", linestyle="none", **drawing.CROSS, label="published")] * shown
    columns = min(len(handles), 5)
    notes = [figure.caption, drawing.sizes_line(figure.sizes, figure.labels)]
    heads, feet = drawing.heads(len(handles), columns), drawing.feet(notes)
    height = heads + TALL + 0.62 + feet
    wide = (WIDTH - drawing.RIGHT) / len(figure.panels)
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        said = said_of(figure, [*found.values()], scale)
        drawing.frame(canvas, figure.title, said, handles, columns, notes)
        for number, panel in enumerate(figure.panels):
            where = (number * wide + drawing.LEFT + 0.14, feet + 0.5, wide - drawing.LEFT - 0.27, TALL)
            axis = canvas.add_axes([part / whole for part, whole in zip(where, (WIDTH, height) * 2, strict=True)])
            _panel(axis, figure, panel, found, published)


def _style(figure: Layout, series: Series) -> dict[str, object]:
    """How a series is drawn, by its place among those of its kind; as none of them what stands for all."""
    if series not in figure.series:
        return SHARED
    number = [one for one in figure.series if one.flat == series.flat].index(series)
    if series.flat:
        return {**FLAT[number], "linewidth": 0.9}
    face = COLOURS[number] if number % 2 == 0 else "white"
    return {"color": COLOURS[number], "linestyle": LINES[number], "marker": MARKERS[number], "markerfacecolor": face}


def _panel(axis: Axes, figure: Layout, panel: Panel, found: Found, published: Printed) -> None:
    span = max(figure.along) - min(figure.along) or 1.0
    curves = [one for one in figure.series_of(panel) if not one.flat]
    for series in figure.series_of(panel):
        points = [found[panel.column, series.name, value] for value in figure.values(series)]
        if series.flat:
            axis.axhline(points[0].value, **_style(figure, series), zorder=1.5)
            continue
        style = _style(figure, series)
        x = [at + DODGE * span * (curves.index(series) - (len(curves) - 1) / 2) for at in figure.along]
        axis.vlines(x, [one.low for one in points], [one.high for one in points], color=style["color"], linewidth=0.8)
        axis.plot(x, [one.value for one in points], **style, zorder=3)
        printed = zip(
            x, (published.get((series.name, text, panel.column)) for text in figure.x.values.values()), strict=True
        )
        drawing.crosses(axis, [(at, one.value) for at, one in printed if one and one.value is not None])
    axis.set_xticks(figure.along, list(figure.x.values.values()), fontsize=7.5)
    axis.set(
        xlabel=figure.label, ylabel=panel.y, xlim=(min(figure.along) - 0.08 * span, max(figure.along) + 0.08 * span)
    )
    values = [one for (column, *_), one in found.items() if column == panel.column]
    if panel.measure and panel.measure != COSINE:
        axis.set_ylim(-2, 102)
        axis.set_yticks(range(0, 101, 20))
    elif panel.measure == COSINE:
        axis.set_ylim(min(-0.02, *(one.low for one in values)) - 0.02, max(one.high for one in values) + 0.05)
    else:
        axis.set_ylim(0, 1.08 * max(one.value for one in values))
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
