"""Drawing of a t-SNE figure: colour tells the class, the marker tells the modality and whether it is attacked."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from avrobust.program import UserError
from avrobust.report.style import WIDTH, drawing, save
from avrobust.report.text import PUBLISHED_SOURCE, others
from avrobust.report.tsne import DRAWN, Projection
from avrobust.spec.artefacts.tsne import Layout
from avrobust.spec.budgets import strength

# Eleven equal steps of lightness, 27 to 88, for grey; hues chosen to be apart in CIELAB, also where the red, green or
# blue cones are missing (Machado et al. 2009). In the order of the legend, neighbours differ most.
COLOURS = (
    "#1485A1",
    "#D86C03",
    "#692B41",
    "#D0EA12",
    "#722AE3",
    "#08BFA9",
    "#D02231",
    "#D0C4FC",
    "#334A91",
    "#CFB983",
    "#D372F1",
)
# A star reaches out from under a clean point that has the same place: none hides the other.
MARKERS = {
    "attacked": {"marker": "*", "markersize": 8.0, "markeredgewidth": 0.4, "markeredgecolor": "black", "zorder": 2.0},
    "audio": {"marker": "o", "markersize": 4.0, "markeredgewidth": 0.35, "markeredgecolor": "white", "zorder": 2.1},
    "visual": {"marker": "^", "markersize": 4.6, "markeredgewidth": 0.35, "markeredgecolor": "white", "zorder": 2.1},
}

# Width of a panel at most, height of its words; width of the legend of classes, height of one class; height of a line
# of the title, and of all the rest.
PANEL_INCHES, WORDS_INCHES = 3.0, 0.3
LEGEND_INCHES, CLASS_INCHES = 1.4, 0.17
LINE_INCHES, REST_INCHES = 0.16, 0.65
# Letters of the title per inch.
LETTERS = 13

# Height of a panel in widths, and the part of it around the points that stays empty.
LOWEST, HIGHEST, MARGIN = 0.6, 1.0, 0.08


def draw(
    layout: Layout, projections: Sequence[Projection], measured: Sequence[Mapping], scale: str, *, svg: str, png: str
) -> None:
    """Draw the projections, row by row, into the files `svg` and `png`, with the silhouettes of `measured` below.

    Raises `UserError` if there are more classes than can be told apart.
    """
    present = {name for projection in projections for name in projection.classes}
    classes = [name for name in _names(projections) if name in present]
    drawn = (
        f"; the first {DRAWN} classes with clips are drawn" if len(classes) == DRAWN < len(_names(projections)) else ""
    )
    if len(classes) > len(COLOURS):
        raise UserError(f"{layout.title}: {len(classes)} classes; more than {len(COLOURS)} cannot be told apart")
    colours = dict(zip(classes, COLOURS, strict=False))
    rows, columns = len(layout.rows), len(layout.panels)
    # The same for all panels, and as low as their points allow.
    aspect = min(max(*(height / width for width, height in map(_extent, projections)), LOWEST), HIGHEST)
    panel = min((WIDTH - LEGEND_INCHES) / columns, PANEL_INCHES)
    width = panel * columns + LEGEND_INCHES
    title = "\n".join(
        fill(line, int(LETTERS * width)) for line in (layout.title, _sizes(layout, measured, scale) + drawn)
    )
    height = REST_INCHES + LINE_INCHES * len(title.splitlines())
    height += max((panel * aspect + WORDS_INCHES) * rows, CLASS_INCHES * (len(classes) + 1))
    with drawing():
        canvas = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.subplots(rows, columns, squeeze=False)
        for position, (axis, projection) in enumerate(zip(axes.flat, projections, strict=True)):
            _panel(axis, projection, colours, aspect)
            if position < columns:
                axis.set_title(projection.panel.title)
            if position % columns == 0 and layout.modality != "clean":
                axis.set_ylabel(f"{layout.modality} attacked, ε = {strength(projection.budget, layout.strengths)}")
            axis.set_xlabel(_silhouettes(projection, measured), fontsize=7)
        canvas.suptitle(title, fontsize=9)
        of_class = [
            Line2D(
                [], [], linestyle="none", marker="s", markersize=6, color=colours[name], label=name.replace("_", " ")
            )
            for name in classes
        ]
        of_kind = [
            Line2D([], [], linestyle="none", color="#777777", label=kind, **_marker(kind))
            for kind in projections[0].kinds
        ]
        canvas.legend(handles=of_class, loc="outside right center", frameon=False, title="class", alignment="left")
        canvas.legend(handles=of_kind, loc="outside lower center", ncols=len(of_kind), frameon=False)
        save(canvas, svg=svg, png=png)


def _extent(projection: Projection) -> tuple[float, float]:
    """Width and height that the points take; above 0."""
    width, height = np.ptp(np.concatenate([*projection.kinds.values()]), axis=0)
    return max(float(width), 1e-3), max(float(height), 1e-3)


def _names(projections: Sequence[Projection]) -> list[str]:
    return list(dict.fromkeys(name for projection in projections for name in projection.all_classes))


def _marker(kind: str) -> dict:
    return MARKERS[kind.split()[0]]


def _panel(axis: Axes, projection: Projection, colours: Mapping[str, str], aspect: float) -> None:
    classes = np.array(projection.classes)
    for kind, of_kind in projection.kinds.items():
        for name, colour in colours.items():
            x, y = of_kind[classes == name].T
            axis.plot(x, y, linestyle="none", color=colour, **_marker(kind))
    # One scale for x and y: only then are neighbours neighbours.
    places = np.concatenate([*projection.kinds.values()])
    centre = (places.max(axis=0) + places.min(axis=0)) / 2
    width, height = _extent(projection)
    half = (0.5 + MARGIN) * max(width, height / aspect) * np.array([1, aspect])
    (left, bottom), (right, top) = centre - half, centre + half
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axis.set_box_aspect(aspect)
    axis.spines[:].set_visible(True)


def _silhouettes(projection: Projection, measured: Sequence[Mapping]) -> str:
    """Silhouettes of one panel, a line for each modality: audio 0.31 (attacked 0.12)."""
    words = []
    for embedding in ("audio", "visual"):
        found = {
            one["condition"]: one["mean"]
            for one in measured
            if (one["panel"], one["embedding"], one["measure"]) == (projection.panel.title, embedding, "silhouette")
            and one["budget"] in ("", projection.budget)
        }
        word = f"{embedding} {_two_decimals(found.pop('clean'))}"
        words.append(word + "".join(f" (attacked {_two_decimals(mean)})" for mean in found.values()))
    return "silhouettes: " + ",\n".join(words)


def _two_decimals(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def _sizes(layout: Layout, measured: Sequence[Mapping], scale: str) -> str:
    clips = ", ".join(map(str, sorted({one["n"] for one in measured if one["measure"] == "silhouette"})))
    seeds = ", ".join(map(str, sorted({one["seeds"] for one in measured})))
    elsewhere = others(layout.sources.get(panel.read["dataset"], PUBLISHED_SOURCE) for panel in layout.panels)
    line = f"scale {scale}, n = {clips}, seed drawn: {layout.seed}; silhouettes: mean over seeds: {seeds}"
    return f"{line}; clips: {elsewhere}" if elsewhere else line
