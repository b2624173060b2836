"""Panels of grouped bars: every bar with its interval, what is lost without an attack, and the published values."""

from collections.abc import Mapping
from itertools import groupby

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.points import COLUMNS, Point, as_printed, line, point, said_of
from avrobust.report.style import WIDTH, page
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.bars import Layout, Place
from avrobust.spec.published import Published, read_published

# What axes and lines are called.
SAID: Mapping[str, str] = {"success": "attack success (%)", "accuracy": "accuracy (%)"}
FLOOR_SAID: Mapping[str, str] = {"clean_error": "clean error", "clean": "clean accuracy"}

# What is measured where, by the column of the data.
Found = Mapping[tuple[Place, str], Point]
Printed = Mapping[tuple[str, ...], Published]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write its numbers; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    published = read_published(given.published[0], figure.keys) if given.published else {}
    found = measure(figure, cells)
    lines = tidy(figure, found, published, given.scale)
    write_text(to[".csv"], csv_of(lines))
    draw(figure, found, published, given.scale, svg=to[".svg"], png=to[".png"])
    return f"{figure.title}: {len(lines)} values"


def measure(figure: Layout, cells: Cells) -> dict[tuple[Place, str], Point]:
    """Every value of the figure: of each place, and there of each column.

    Raises `UserError` if a cell or a condition is missing.
    """
    found = {}
    for place in progress(list(figure.places), label="measuring", unit="places"):
        own = figure.readings(place)
        for column in figure.columns():
            overlay = figure.overlays.get(column)
            read = own if overlay is None else figure.readings(place, overlay)
            found[place, column] = point(cells, figure.measure if overlay is not None else column, read)
    return found


def tidy(figure: Layout, found: Found, published: Printed, scale: str) -> pd.DataFrame:
    """The data of the figure: a line per bar and column, and one for all bars of a net that nothing attacks."""
    lines, seen = [], set()
    for (place, column), one in found.items():
        keys = figure.printed_keys(place)
        readings = figure.readings(place, figure.overlays.get(column))
        if column == figure.floor:
            # Whoever is asked about clean clips says the same, whatever made the attacked ones.
            keys = figure.printed_keys(place, figure.apart)
            if keys in seen:
                continue
            seen.add(keys)
        place_of = dict(zip(figure.keys, keys, strict=True))
        lines.append(place_of | line(figure, column, one, readings, published.get((*keys, column)), scale))
    lines += as_printed(published, figure.printed, figure.keys, scale)
    return pd.DataFrame(lines).reindex(columns=[*figure.keys, *COLUMNS]).astype({"n": "Int64", "seeds": "Int64"})


# Drawing, in inches: a panel, what is between two of them, and below each its ticks (two lines where they have groups).
PANEL, BETWEEN, TICKS = 0.92, 0.12, 0.2
# Of the width that a bar has: what is left free between groups, and before the means.
GAP, BEFORE_MEANS = 1.3, 1.0
SHADE = "#ECECEC"
FLOOR = {"color": "#000000", "linewidth": 1.0}


def draw(figure: Layout, found: Found, published: Printed, scale: str, *, svg: str, png: str) -> None:
    """Draw the bars, found by place, into the files `svg` and `png`."""
    drawn = [place for place in figure.places if (place, figure.measure) in found]
    shown = [place for place in drawn if (*figure.printed_keys(place), figure.measure) in published]
    handles = _handles(figure, bool(shown))
    columns = min(len(handles), 6)
    notes = [figure.caption, *_notes(figure)]
    panels = list(figure.panels.values)
    heads, feet = drawing.heads(len(handles), columns), drawing.feet(notes)
    below = TICKS * (2 if figure.groups else 1)
    tall = PANEL if len(panels) > 1 else 2 * PANEL
    height = heads + len(panels) * (tall + BETWEEN + below) + feet
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        said = said_of(figure, [found[place, figure.measure] for place in drawn], scale)
        drawing.frame(canvas, figure.title, said, handles, columns, notes)
        for number, panel in enumerate(panels):
            top = height - heads - number * (tall + BETWEEN + below) - BETWEEN
            where = (drawing.LEFT, top - tall, WIDTH - drawing.LEFT - drawing.RIGHT, tall)
            axis = canvas.add_axes([part / whole for part, whole in zip(where, (WIDTH, height) * 2, strict=True)])
            _panel(axis, figure, found, published, panel, number)


def _panel(axis: Axes, figure: Layout, found: Found, published: Printed, panel: str, number: int) -> None:
    bars, ticks = list(figure.bars.values), [*figure.ticks.values, *figure.also]
    starts = [place * (len(bars) + GAP) + BEFORE_MEANS * (tick in figure.also) for place, tick in enumerate(ticks)]
    of_ticks = dict(zip(ticks, starts, strict=True))
    at = {Place(panel, bar, tick): start + n for tick, start in of_ticks.items() for n, bar in enumerate(bars)}
    for bar in bars:
        x, values = zip(
            *((at[place], found[place, figure.measure].value) for place in at if place.bar == bar), strict=True
        )
        axis.bar(x, values, 1.0, **_look(figure, bar), zorder=3)
    points = [found[place, figure.measure] for place in at]
    drawing.intervals(axis, list(at.values()), [one.low for one in points], [one.high for one in points])
    for (_, level), beside in groupby(at, key=lambda place: (place.tick, found[place, figure.floor].value)):
        ends = [at[place] for place in beside]
        axis.hlines(level, ends[0] - 0.5, ends[-1] + 0.5, **FLOOR, path_effects=drawing.OUTLINED, zorder=5)
    for marker, mark in zip(drawing.MARKERS, figure.marks, strict=False):
        axis.plot(
            [*at.values()], [found[place, mark].value for place in at], marker, **drawing.MARK, zorder=6, clip_on=False
        )
    printed = {place: published.get((*figure.printed_keys(place), figure.measure)) for place in at}
    drawing.crosses(axis, [(at[place], one.value) for place, one in printed.items() if one and one.value is not None])
    for tick, start in of_ticks.items():
        if figure.is_white_box(panel, tick):
            axis.axvspan(start - (1 + GAP) / 2, start + len(bars) + (GAP - 1) / 2, color=SHADE, linewidth=0, zorder=0)
    if figure.also:
        before = starts[len(figure.ticks.values)] - (1 + GAP + BEFORE_MEANS) / 2
        axis.axvline(before, color=drawing.EDGE, linewidth=0.6, linestyle=(0, (1, 2)))
    axis.set_xlim(-(1 + GAP) / 2, starts[-1] + len(bars) + (GAP - 1) / 2)
    _label(axis, figure, panel, number, {tick: start + (len(bars) - 1) / 2 for tick, start in of_ticks.items()})


def _label(axis: Axes, figure: Layout, panel: str, number: int, middles: Mapping[str, float]) -> None:
    """Name the axes, the ticks, the groups of ticks and the panel; `middles`: where each tick stands."""
    axis.set_xticks([*middles.values()], [figure.ticks.values.get(tick, tick) for tick in middles], fontsize=6.5)
    axis.set(ylim=(0, 103), yticks=range(0, 101, 25))
    axis.tick_params(axis="y", labelsize=6.5)
    axis.tick_params(axis="x", length=0, pad=2)
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
    said = SAID[figure.measure]
    several = len(figure.panels.values) > 1
    axis.set_ylabel(said.removeprefix("attack ") if several else said, fontsize=7, labelpad=1)
    if figure.panels.name:
        title = f"({chr(ord('a') + number)}) {figure.panels.name} {figure.panels.values[panel]}"
        axis.set_title(title, fontsize=7.5, loc="left", pad=2)
    for name, group in figure.groups.items():
        ends, down = (middles[group[0]] - 0.4, middles[group[-1]] + 0.4), axis.get_xaxis_transform()
        axis.plot(ends, [-0.13] * 2, transform=down, clip_on=False, color=drawing.EDGE, linewidth=0.6)
        axis.text(sum(ends) / 2, -0.15, name, transform=down, ha="center", va="top", fontsize=7)


def _notes(figure: Layout) -> list[str]:
    """What is said below the drawing of the scale."""
    alike = [
        f"{figure.named.get(one, one)} comes to {figure.named.get(other, other)}" for one, other in figure.alike.items()
    ]
    shares = [f"{figure.named.get(one, one)} {counted}" for one, counted in figure.shares.items()]
    return [
        drawing.sizes_line(figure.sizes, figure.labels),
        f"Shares that are no whole number of steps at this scale: {'; '.join(shares)}." if shares else "",
        f"One bar, of as many steps, features and attack steps at this scale: {'; '.join(alike)}." if alike else "",
    ]


def _look(figure: Layout, bar: str) -> dict[str, object]:
    """Colour, pattern and edge of a bar."""
    results = [name for name in figure.bars.values if name not in figure.controls]
    colour, hatch, hatched = drawing.FILLS[results.index(bar)] if bar in results else drawing.OPEN
    line = "-" if bar in results else (0, (2, 1))
    edge = {"edgecolor": drawing.EDGE, "linewidth": 0.4, "linestyle": line}
    return {"facecolor": colour, "hatch": hatch, "hatchcolor": hatched, **edge}


def _handles(figure: Layout, published: bool) -> list[Patch | Line2D]:
    several = len(figure.bars.values) > 1
    found = [Patch(**_look(figure, bar), label=text) for bar, text in figure.bars.values.items() if several]
    found.append(Line2D([], [], **FLOOR, label=FLOOR_SAID[figure.floor]))
    for marker, mark in zip(drawing.MARKERS, figure.marks, strict=False):
        found.append(Line2D([], [], marker=marker, linestyle="none", **drawing.MARK, label=mark))
    if published:
        found.append(Line2D([], [], marker="x", linestyle="none", **drawing.CROSS, label="published"))
    if any(figure.is_white_box(panel, tick) for panel in figure.panels.values for tick in figure.ticks.values):
        found.append(Patch(facecolor=SHADE, label="white-box"))
    return found
