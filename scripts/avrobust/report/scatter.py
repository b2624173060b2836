"""Classes as points: what an attack takes of each over the shape of the class, with a trend and coefficients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avrobust.files import write_text
from avrobust.metrics.drops import LEAST_DIFFERENT, Drops, differ, drops
from avrobust.metrics.estimate import Estimate
from avrobust.metrics.geometry import CLASS_ROWS, OfNets
from avrobust.metrics.interval import TAIL
from avrobust.metrics.ranked import Ranked
from avrobust.program import UserError, progress
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.placing import Box, nearest, placed
from avrobust.report.style import WIDTH, page
from avrobust.report.text import about, csv_of, fixed
from avrobust.spec.artefacts.scatter import FEW, Layout
from avrobust.spec.geometry import KAPPAS
from avrobust.spec.measures import GEOMETRIES
from avrobust.spec.units import SCORE

DECIMALS = 3
HOW = {"pearson": "Pearson", "spearman": "Spearman"}
GIVEN = "log train_clips, clean"
SHOWN = {"kappa": "convexity κ", "rho60": "density ρ60", "rho80": "density ρ80"}
POINT_COLUMNS = (
    "class", "highlighted", "drop", "low", "high", "clean", "attacked", "train_clips", "test_clips",
    "unit", "n", "seeds", "sizes", "scale", "source",
)  # fmt: skip
COEFFICIENT_COLUMNS = (
    "coefficient", "with", "given", "value", "low", "high", "unit", "classes", "n", "seeds", "sizes", "scale", "source",
    "note",
)  # fmt: skip
# In inches: the height of both panels, the width of the coefficients' and of what stands at its left, and at the left.
TALL, COEFFICIENTS, NAMES, LEFT = 3.3, 1.25, 1.02, 0.62
# Up to so many classes each has its interval.
MOST_INTERVALS = 60
POINT = {"color": "#7FB2D8", "markeredgecolor": "#1F4E79", "markeredgewidth": 0.5, "markersize": 3.6}
NAMED = {**POINT, "color": "#1F4E79", "markeredgecolor": "white", "markersize": 4.4}
STANDS_OUT = {"color": "black", "markeredgecolor": "white", "markeredgewidth": 0.7, "markersize": 7.0}
# Below a name; an outline would make it a drawing, which no reader can search.
UNDER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
TREND, BAND = "#B0451A", "#F2D3C4"
# Coefficients: of all classes filled, given others open.
MARKS = {"pearson": "o", "spearman": "s"}


@dataclass(frozen=True)
class Point:
    """A class: where it is drawn, and what is known of it."""

    name: str
    x: float
    drop: Estimate
    clean: float
    attacked: float
    columns: Mapping[str, float]
    train_clips: float
    test_clips: int


@dataclass(frozen=True)
class Coefficient:
    """How drops go with a column of the geometry."""

    how: str
    column: str
    partial: bool
    estimate: Estimate
    classes: int


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write its points and coefficients; return a line for the log."""
    ranked = Ranked(progress(given.metrics, label="reading", unit="files"))
    of_classes = drops(ranked, OfNets(CLASS_ROWS, given.geometry), figure.reading)
    column = of_classes.kappa if figure.over == "kappa" else figure.over
    points = measured(of_classes, column, ranked.positives(figure.reading))
    coefficients = correlated(of_classes)
    write_text(to[".csv"], csv_of(tidy_points(figure, points, given.scale)))
    write_text(to["_coefficients.csv"], csv_of(tidy_coefficients(figure, of_classes, coefficients, given.scale)))
    draw(figure, of_classes, points, coefficients, given.scale, svg=to[".svg"], png=to[".png"])
    return f"{figure.title}: {len(points)} classes"


def measured(of_classes: Drops, column: str, positives: np.ndarray) -> list[Point]:
    """Return the classes that have a drop and a value of `column`, as the means of all trainings.

    Raises `UserError` if none has.
    """
    if not len(of_classes.labels) or not of_classes.defined(column).any():
        why = ", ".join(f"{count} with {reason}" for reason, count in of_classes.without.items() if count)
        raise UserError(f"no class has both a drop and {column} ({why or 'it is not defined'}); train the net longer")
    points = []
    for place in np.flatnonzero(of_classes.defined(column)):
        columns = {name: float(values[:, place].mean()) for name, values in of_classes.columns.items()}
        clean = of_classes.clean[:, place, 0]
        points.append(
            Point(
                of_classes.names[place],
                columns[column],
                of_classes.of_class(place),
                clean.mean(),
                (clean * (1 - of_classes.drop[:, place, 0])).mean(),
                columns,
                of_classes.train_clips[:, place].mean(),
                int(positives[of_classes.labels[place]]),
            )
        )
    return points


def correlated(of_classes: Drops) -> list[Coefficient]:
    """Return every coefficient: of each column of the geometry, by itself and given size and clean precision."""
    return [
        Coefficient(
            how, column, partial, of_classes.correlation(how, column, partial), of_classes.defined(column).sum()
        )
        for column in of_classes.columns
        for partial in (False, True)
        for how in HOW
    ]


def tidy_points(figure: Layout, points: Sequence[Point], scale: str) -> pd.DataFrame:
    """A line per class (`POINT_COLUMNS` and those of the geometry), with numbers as text."""
    lines = []
    for point in points:
        value, low, high = point.drop.ends
        line = {"class": point.name, "highlighted": "yes" if point.name == figure.highlighted else "no"}
        numbers = {"drop": value, "low": low, "high": high, "clean": point.clean, "attacked": point.attacked}
        line |= {name: fixed(number, DECIMALS) for name, number in numbers.items()}
        line |= {"train_clips": fixed(point.train_clips, 0), "test_clips": point.test_clips}
        line |= {name: f"{number:.4g}" if number == number else "" for name, number in point.columns.items()}
        lines.append(line | _common(figure, point.drop, scale))
    place = POINT_COLUMNS.index("train_clips")
    columns = [*POINT_COLUMNS[:place], *points[0].columns, *POINT_COLUMNS[place:]]
    return pd.DataFrame(lines)[columns]


def tidy_coefficients(
    figure: Layout, of_classes: Drops, coefficients: Sequence[Coefficient], scale: str
) -> pd.DataFrame:
    """A line per coefficient (`COEFFICIENT_COLUMNS`), with numbers as text; empty where there is none."""
    left_out = "; ".join(f"without {count} classes with {why}" for why, count in of_classes.without.items() if count)
    lines = []
    for one in coefficients:
        ends = (fixed(end, DECIMALS) for end in one.estimate.ends)
        line = {"coefficient": one.how, "with": one.column, "given": GIVEN if one.partial else ""}
        line |= dict(zip(("value", "low", "high"), ends, strict=True))
        lines.append(line | {"classes": one.classes, "note": left_out} | _common(figure, one.estimate, scale))
    return pd.DataFrame(lines).reindex(columns=COEFFICIENT_COLUMNS)


def _common(figure: Layout, one: Estimate, scale: str) -> dict[str, object]:
    return {
        "unit": SCORE,
        "n": one.clips,
        "seeds": one.seeds,
        "sizes": drawing.sizes_note(figure.sizes, figure.labels),
        "scale": scale,
        "source": figure.sources.get(figure.reading.dataset, ""),
    }


def named(figure: Layout, points: Sequence[Point]) -> list[Point]:
    """Return the classes whose names are written: those that the layout names, or some all along."""
    if figure.named:
        return [point for point in points if point.name in (*figure.named, figure.highlighted)]
    along = sorted(points, key=lambda point: (point.x, point.name))
    some = {along[place].name for place in np.linspace(0, len(along) - 1, min(FEW, len(along))).round().astype(int)}
    return [point for point in points if point.name in some or point.name == figure.highlighted]


def trend(points: Sequence[Point], x: np.ndarray) -> np.ndarray:
    """Return the least squares' line through the points at each x: its value before its replicates, (X, 1 + R)."""
    at = np.array([point.x for point in points])
    drops = np.array([[point.drop.value, *point.drop.replicates] for point in points])
    centred = at - at.mean()
    with np.errstate(invalid="ignore"):
        slopes = centred @ drops / (centred**2).sum()
    return drops.mean(axis=0) + np.multiply.outer(x - at.mean(), slopes)


def draw(
    figure: Layout,
    of_classes: Drops,
    points: Sequence[Point],
    coefficients: Sequence[Coefficient],
    scale: str,
    *,
    svg: str,
    png: str,
) -> None:
    """Draw the classes at the left, the coefficients at the right."""
    reading = figure.reading
    left_out = ", ".join(f"{count} with {why}" for why, count in of_classes.without.items() if count)
    kappa = figure.over if figure.over in KAPPAS else of_classes.kappa
    undefined = any(
        one.estimate.value != one.estimate.value and one.column in (kappa, *GEOMETRIES) for one in coefficients
    )
    notes = [
        figure.caption,
        f"Beside a name: [ρ60, ρ80]. Left out: {left_out}." if left_out else "Beside a name: [ρ60, ρ80].",
        "Lines, the band and the right panel: 95 % intervals of other test clips (of other trainings too, from three "
        "seeds on); classes are taken as they are. Open marks: given the logarithm of the number of training clips and "
        "the clean average precision.",
        f"Too few differ: fewer than {LEAST_DIFFERENT} classes from what most have." if undefined else "",
        drawing.sizes_line(figure.sizes, figure.labels),
    ]
    handles = [
        Line2D([], [], marker="o", linestyle="none", **POINT, label="class"),
        *(
            [Line2D([], [], marker="D", linestyle="none", **STANDS_OUT, label=figure.highlighted)]
            if any(point.name == figure.highlighted for point in points)
            else []
        ),
    ]
    if trends := differ(np.array([point.x for point in points])):
        handles += [Line2D([], [], color=TREND, label="trend"), Patch(facecolor=BAND, label="its 95 % interval")]
    heads, feet = drawing.heads(len(handles), len(handles)), drawing.feet(notes)
    height = heads + TALL + 0.62 + feet
    spoken = about(figure.sources.values(), scale)
    attack = figure.labels.get("attack", {}).get(reading.attack, reading.attack)
    first = points[0].drop
    said = f"{reading.victim}, {attack}, {reading.condition.modality}; scale {scale}, n = {first.clips} clips"
    said += f", of {spoken}" if spoken else ""
    said += f", seeds: {first.seeds}; {len(points)} of {len(points) + sum(of_classes.without.values())} classes"
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        drawing.frame(canvas, figure.title, said, handles, len(handles), notes)
        right = WIDTH - COEFFICIENTS - drawing.RIGHT - 0.06
        wide = right - NAMES - LEFT - 0.06

        def axes(left: float, width: float) -> Axes:
            parts = zip((left, feet + 0.5, width, TALL), (WIDTH, height) * 2, strict=True)
            return canvas.add_axes([part / whole for part, whole in parts])

        _classes(axes(LEFT, wide), figure, points, trends)
        _coefficients(axes(right, COEFFICIENTS), kappa, coefficients)


def _classes(axis: Axes, figure: Layout, points: Sequence[Point], trends: bool) -> None:
    """Draw the classes; `trends`: with a trend."""
    x, y = np.array([point.x for point in points]), np.array([point.drop.value for point in points])
    ends = np.array([[point.drop.low(), point.drop.high()] for point in points])
    few = len(points) <= MOST_INTERVALS
    low, high = (ends[:, 0].min(), ends[:, 1].max()) if few else (y.min(), y.max())
    margin = 0.06 * (high - low or 1.0)
    span = np.ptp(x) or 1.0
    axis.set(xlim=(x.min() - 0.06 * span, x.max() + 0.06 * span), ylim=(low - margin, high + margin))
    by = f" (by {KAPPAS[figure.over]})" if figure.over in KAPPAS else ""
    axis.set_xlabel(f"{SHOWN[figure.over.partition('_')[0]]} of the class{by}", fontsize=8)
    axis.set_ylabel("drop of average precision, (clean − attacked) / clean", fontsize=8)
    axis.axhline(0, color="#999999", linewidth=0.6, zorder=1)
    axis.grid(color="#E6E6E6", linewidth=0.4)
    axis.set_axisbelow(True)
    if trends:
        along = np.linspace(x.min(), x.max(), 50)
        line = trend(points, along)
        band = np.nanquantile(line[:, 1:], [TAIL, 1 - TAIL], axis=1)
        # Replicates of a ranking lie a little above or below it.
        axis.fill_between(
            along, np.minimum(band[0], line[:, 0]), np.maximum(band[1], line[:, 0]), color=BAND, linewidth=0, zorder=1.2
        )
        axis.plot(along, line[:, 0], color=TREND, linewidth=1.4, zorder=2)
    if few:
        axis.vlines(x, ends[:, 0], ends[:, 1], color="#B5C7D6", linewidth=0.6, zorder=1.5)
    stands_out = np.array([point.name == figure.highlighted for point in points])
    axis.plot(x[~stands_out], y[~stands_out], "o", **POINT, zorder=3)
    axis.plot(x[stands_out], y[stands_out], "D", **STANDS_OUT, zorder=5)
    _names(axis, figure, points)


def _said(point: Point) -> str:
    """What the paper writes beside a class: its name, and its density at both quantiles (a dash where it has none)."""
    densities = (point.columns[name] for name in ("rho60", "rho80"))
    return f"{point.name.replace('_', ' ')} [{', '.join(f'{one:.2g}' if one == one else '–' for one in densities)}]"


def _names(axis: Axes, figure: Layout, points: Sequence[Point]) -> None:
    """Write names of classes, none over another one."""
    shown = named(figure, points)
    texts = [
        axis.text(
            0.5, 0.5, _said(point),
            fontsize=6.2, ha="center", va="center", zorder=6, bbox=UNDER,
            fontweight="bold" if point.name == figure.highlighted else "normal",
        )
        for point in shown
    ]  # fmt: skip
    renderer = axis.figure.canvas.get_renderer()

    def place(point: Point) -> tuple[float, float]:
        return tuple(axis.transData.transform((point.x, point.drop.value)))

    sizes = [(box.width, box.height) for box in (text.get_window_extent(renderer) for text in texts)]
    bounds = axis.get_window_extent(renderer)
    boxes = placed(
        [place(point) for point in shown],
        sizes,
        Box(bounds.x0, bounds.y0, bounds.x1, bounds.y1),
        [place(point) for point in points if point not in shown],
    )
    back = axis.transData.inverted()
    for point, text, box in zip(shown, texts, boxes, strict=True):
        text.set_position(back.transform(((box.left + box.right) / 2, (box.bottom + box.top) / 2)))
        at = place(point)
        ends = zip(back.transform(nearest(box, at)), (point.x, point.drop.value), strict=True)
        axis.plot(*ends, color="#444444", linewidth=0.5, zorder=3.5)
        if point.name != figure.highlighted:
            axis.plot(point.x, point.drop.value, "o", **NAMED, zorder=4)


def _coefficients(axis: Axes, kappa: str, coefficients: Sequence[Coefficient]) -> None:
    """Draw the coefficients of what the paper speaks of, with their intervals."""
    known = {(one.how, one.column, one.partial): one.estimate for one in coefficients}
    ticks: list[tuple[float, str]] = []
    y = 0.0
    for what in GEOMETRIES:
        column = kappa if what == "kappa" else what
        ticks.append((y, SHOWN[what]))
        y += 1
        for partial in (False, True):
            for how, name in HOW.items():
                one = known[how, column, partial]
                ticks.append((y, f"{name}, given" if partial else name))
                if one.value == one.value:
                    face = "white" if partial else "#1F4E79"
                    axis.hlines(y, one.low(), one.high(), color="#1F4E79", linewidth=1.0)
                    axis.plot(one.value, y, MARKS[how], color=face, markeredgecolor="#1F4E79", markersize=4.2)
                else:
                    axis.text(0, y, "too few differ", fontsize=6, ha="center", va="center", color="#555555", bbox=UNDER)
                y += 1
        y += 0.4
    axis.set(xlim=(-1.05, 1.05), ylim=(y - 0.6, -0.7))
    axis.set_xlabel("correlation with the drop", fontsize=8)
    axis.set_xticks([-1, 0, 1])
    axis.set_yticks([place for place, _ in ticks], [text for _, text in ticks], fontsize=6.8)
    for label, (_, text) in zip(axis.get_yticklabels(), ticks, strict=True):
        label.set_fontweight("bold" if text in SHOWN.values() else "normal")
    axis.tick_params(axis="y", length=0)
    axis.axvline(0, color="#999999", linewidth=0.6, zorder=0)
    axis.grid(axis="x", color="#E6E6E6", linewidth=0.4)
    axis.set_axisbelow(True)
