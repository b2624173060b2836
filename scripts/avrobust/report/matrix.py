"""Maps with a number in every cell, each with a row of what is lost without an attack."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.points import COLUMNS, Point, line, point, said_of
from avrobust.report.style import WIDTH, page
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.matrix import Layout, Map
from avrobust.spec.conditions import Reading

FLOOR_SAID: Mapping[str, str] = {"clean_error": "clean error", "clean": "clean"}
LEADS = ("map", "row", "column_of_map")


@dataclass(frozen=True)
class Measured:
    """One map: its cells by row and column, and a row of clean clips by column, each with what it is read of."""

    title: str
    of: Map
    cells: Mapping[tuple[str, str], tuple[Reading, Point]]
    floor: Mapping[str, tuple[Reading, Point]]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the maps and write their numbers; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    maps = measure(figure, cells)
    lines = tidy(figure, maps, given.scale)
    write_text(to[".csv"], csv_of(lines))
    draw(figure, maps, given.scale, svg=to[".svg"], png=to[".png"])
    return f"{figure.title}: {len(maps)} maps, {len(lines)} values"


def measure(figure: Layout, cells: Cells) -> list[Measured]:
    """All maps, in their order. Raises `UserError` if a cell or a condition is missing."""
    found = []
    for one in figure.maps:
        for value in one.each.values:
            read = {(row, net): one.reading(value, row, net) for row in one.rows.values for net in one.columns.values}
            measured = {at: (reading, point(cells, figure.measure, [reading])) for at, reading in read.items()}
            first = next(iter(one.rows.values))
            clean = {
                net: (read[first, net], point(cells, figure.floor, [read[first, net]])) for net in one.columns.values
            }
            found.append(Measured(one.title_of(value), one, measured, clean))
    return found


def tidy(figure: Layout, maps: list[Measured], scale: str) -> pd.DataFrame:
    """The data of the maps, a line per cell."""
    lines = []
    for one in maps:
        for (row, net), (reading, found) in one.cells.items():
            place = dict(zip(LEADS, (one.title, one.of.rows.values[row], one.of.columns.values[net]), strict=True))
            lines.append(place | line(figure, figure.measure, found, [reading], None, scale))
        for net, (reading, found) in one.floor.items():
            place = dict(zip(LEADS, (one.title, "", one.of.columns.values[net]), strict=True))
            lines.append(place | line(figure, figure.floor, found, [reading], None, scale))
    return pd.DataFrame(lines).reindex(columns=[*LEADS, *COLUMNS])


# In inches: a cell, what is above a map for its title, below for its columns' names, between two maps.
CELL, ABOVE, BELOW, BESIDE = 0.165, 0.2, 0.32, 0.08
SMALL = 5  # The names' and numbers' size in points.


def draw(figure: Layout, maps: list[Measured], scale: str, *, svg: str, png: str) -> None:
    """Draw the maps, as many beside each other as fit, into the files `svg` and `png`."""
    rows = _rows(maps, figure.floor)
    # A row of clean clips stands apart from the others by half a cell.
    heights = [max(len(one.of.rows.values) + 1.5 for one, _ in row) * CELL + ABOVE + BELOW for row in rows]
    notes = [figure.caption, drawing.sizes_line(figure.sizes, figure.labels)]
    heads, feet = drawing.heads(0, 1) + 0.06, drawing.feet(notes)
    height = heads + sum(heights) + feet
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        points = [found for one in maps for _, found in one.cells.values()]
        drawing.frame(canvas, figure.title, said_of(figure, points, scale).partition(";")[0], [], 1, notes)
        top = height - heads
        for row, tall in zip(rows, heights, strict=True):
            left = (WIDTH - sum(wide for _, wide in row)) / 2
            for one, wide in row:
                size = len(one.of.columns.values) * CELL, (len(one.of.rows.values) + 1.5) * CELL
                left += wide
                where = (left - size[0], top - ABOVE - size[1], *size)
                axis = canvas.add_axes([part / whole for part, whole in zip(where, (WIDTH, height) * 2, strict=True)])
                _map(axis, one, figure.floor)
            top -= tall


def _rows(maps: list[Measured], floor: str) -> list[list[tuple[Measured, float]]]:
    """The maps in their order, each with its inches, as many in a row as the page is wide."""
    rows: list[list[tuple[Measured, float]]] = [[]]
    for one in maps:
        wide = _wide(one, floor)
        if rows[-1] and sum(other for _, other in rows[-1]) + wide > WIDTH:
            rows.append([])
        rows[-1].append((one, wide))
    return rows


def _wide(one: Measured, floor: str) -> float:
    """The inches that a map takes from left to right: a gap, the longest of its rows' names, its cells."""
    names = (TextPath((0, 0), name, size=SMALL).get_extents().width for name in _names(one, floor))
    return BESIDE + max(names) / 72 + len(one.of.columns.values) * CELL


def _names(one: Measured, floor: str) -> list[str]:
    return [*one.of.rows.values.values(), FLOOR_SAID[floor]]


def _map(axis: Axes, one: Measured, floor: str) -> None:
    rows, columns = list(one.of.rows.values), list(one.of.columns.values)
    down = [*range(len(rows)), len(rows) + 0.5]
    colours = mpl.colormaps["Blues"]
    for y, row in zip(down, [*rows, None], strict=True):
        for x, net in enumerate(columns):
            reading, found = one.floor[net] if row is None else one.cells[row, net]
            shade = found.value / 100 * 0.85
            own = row is not None and reading.surrogate == reading.victim
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor=colours(shade), edgecolor="white", linewidth=0.5))
            axis.text(x + 0.5, y + 0.53, f"{found.value:.0f}", ha="center", va="center", fontsize=SMALL,
                      color="white" if shade > 0.58 else "black", fontweight="bold" if own else "normal")  # fmt: skip
    axis.set(xlim=(0, len(columns)), ylim=(len(rows) + 1.5, 0))
    axis.set_xticks(np.arange(len(columns)) + 0.5, list(one.of.columns.values.values()), fontsize=SMALL, rotation=90)
    axis.set_yticks([y + 0.5 for y in down], _names(one, floor), fontsize=SMALL)
    axis.tick_params(length=0, pad=1.5)
    axis.spines[:].set_visible(False)
    axis.set_title(one.title, fontsize=6.5, pad=2)
