"""Classes of nets as convex hulls in a t-SNE, and how dense, convex and apart they are there and in the features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import avrobust.openblas  # noqa: F401  # isort: skip
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from avrobust.files import write_text
from avrobust.metrics.density import density, distances
from avrobust.metrics.geometry import CLASS_ROWS, CLIP_ROWS, OfNets, clips_of
from avrobust.metrics.hulls import area, common, holds, hull
from avrobust.program import UserError, progress
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.projection import places_of, turned
from avrobust.report.style import WIDTH, page
from avrobust.report.text import about, csv_of, fixed
from avrobust.spec.artefacts.hulls import Layout, Panel
from avrobust.spec.geometry import KAPPAS, TAUS
from avrobust.spec.units import NONE, PERCENT, SCORE

# Where something is measured.
MAP, FEATURES = "t-SNE", "features"
# Of the classes' clips, those that lie no farther from its mean than so many per cent of its own.
WITHIN = 80
FEWEST = 4


@dataclass(frozen=True)
class Map:
    """A net's picture: clips (N), their places (N, 2), and which of them are of each class, bool (N,)."""

    panel: Panel
    clip_ids: Sequence[str]
    places: np.ndarray
    of_class: Mapping[str, np.ndarray]

    def hull(self, name: str) -> np.ndarray:
        """The corners of a class's hull, as `avrobust.metrics.hulls` has them."""
        return hull(self.places[self.of_class[name]])


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure, and write its points and its measures; return a line for the log."""
    classes, points = OfNets(CLASS_ROWS, given.geometry), OfNets(CLIP_ROWS, given.points)
    maps = [project(figure, panel, points) for panel in progress(figure.panels, label="t-SNE", unit="panels")]
    measured = pd.DataFrame(
        {"panel": one.panel.title, **one.panel.read, **line, "scale": given.scale, "source": _source(figure, one.panel)}
        for one in maps
        for line in (*of_map(figure, one), *of_features(figure, one.panel, classes, points))
    )
    draw(figure, maps, measured, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(drawn(figure, maps, given.scale), decimals=3))
    write_text(to["_measures.csv"], csv_of(measured, decimals=4))
    return f"{figure.title}: {len(maps)} panels"


def project(figure: Layout, panel: Panel, points: OfNets) -> Map:
    """Return where t-SNE puts the clips of the classes, each once, with the net of the seed that is drawn.

    It has no directions, and is turned: the longest extent lies along x, the first class on the whole to the left.

    Raises:
        UserError: there are fewer than four clips, or all have the same features.
    """
    table = points.table(panel.read["dataset"], panel.read["variant"], figure.seed)
    found = {name: clips_of(table, name) for name in figure.classes}
    features = {clip: point for of in found.values() for clip, point in zip(of.clip_ids, of.points, strict=True)}
    if len(features) < FEWEST:
        raise UserError(
            f"panel {panel.title!r}: {len(features)} clips are of {', '.join(figure.classes)}; t-SNE needs 4"
        )
    stacked = np.stack(list(features.values()))
    if (stacked == stacked[0]).all():
        raise UserError(f"panel {panel.title!r}: all {len(stacked)} clips have the same features; train the net again")
    of_class = {name: np.isin(list(features), of.clip_ids) for name, of in found.items()}
    first = next(of for of in of_class.values() if of.any())
    return Map(panel, list(features), turned(places_of(stacked), first).round(3) + 0.0, of_class)


def of_map(figure: Layout, one: Map) -> Iterator[dict]:
    """Yield what is measured in the picture: hulls in per cent of that of all, what two have in common of the smaller.

    `others_inside`: of the clips of the other classes alone. Densities are those of a plane.
    """
    hulls, whole = {name: one.hull(name) for name in figure.classes}, area(hull(one.places))
    for name, own in one.of_class.items():
        said = {"seed": figure.seed, "space": MAP, "class": name, "other": "", "n": int(own.sum())}
        far = distances(one.places[own]) if own.any() else np.empty(0)
        for tau in TAUS if own.any() else ():
            yield {**said, "measure": f"rho{tau}", "unit": SCORE, "value": density(far, 2, tau / 100)}
        inside = holds(hulls[name], one.places[~own])
        yield {**said, "measure": "hull", "unit": PERCENT, "value": _percent(area(hulls[name]), whole)}
        yield {**said, "measure": "others_inside", "unit": PERCENT, "value": _percent(inside.sum(), inside.size)}
    for name, other in combinations(figure.classes, 2):
        both, smaller = area(common(hulls[name], hulls[other])), min(area(hulls[name]), area(hulls[other]))
        said = {"seed": figure.seed, "space": MAP, "class": name, "other": other}
        count = int((one.of_class[name] & one.of_class[other]).sum())
        yield {**said, "n": count, "measure": "overlap", "unit": PERCENT, "value": _percent(both, smaller)}


def of_features(figure: Layout, panel: Panel, classes: OfNets, points: OfNets) -> Iterator[dict]:
    """Yield what is measured in the features of every seed's net: densities, convexities, and who lies within R_80.

    `others_within_80`: of the clips of the other classes alone.
    """
    net = panel.read["dataset"], panel.read["variant"]
    for seed in classes.seeds(*net):
        table, rows = points.table(*net, seed), {row["class_name"]: row for row in classes.rows(*net, seed)}
        clips = {name: clips_of(table, name) for name in figure.classes}
        for name in figure.classes:
            row, own = rows.get(name), clips[name]
            if row is None:
                continue
            said = {"seed": seed, "space": FEATURES, "class": name, "other": "", "n": row["n"]}
            measures = [f"rho{tau}{form}" for tau in TAUS for form in ("", "_99", "_printed")]
            for measure in (*measures, *KAPPAS):
                yield {**said, "measure": measure, "unit": SCORE, "value": row[measure]}
            ids = {*own.clip_ids}
            others = {
                clip: point
                for other in clips.values()
                for clip, point in zip(other.clip_ids, other.points, strict=True)
                if clip not in ids
            }
            mean = own.points.mean(axis=0, dtype=np.float64)
            far = np.array([np.linalg.norm(point - mean) for point in others.values()])
            within = _percent((far <= row[f"radius_{WITHIN}"]).sum(), far.size)
            yield {**said, "measure": f"others_within_{WITHIN}", "unit": PERCENT, "value": within}


def drawn(figure: Layout, maps: Sequence[Map], scale: str) -> pd.DataFrame:
    """The drawn points, a line for each clip: `class` names all of the classes that it is of; x and y have no unit."""
    return pd.concat(
        pd.DataFrame(
            {
                "panel": one.panel.title,
                **one.panel.read,
                "seed": figure.seed,
                "clip_id": one.clip_ids,
                "class": [", ".join(_classes(one, place)) for place in range(len(one.clip_ids))],
                "unit": NONE,
                "x": one.places[:, 0],
                "y": one.places[:, 1],
                "scale": scale,
            }
        )
        for one in maps
    )


def _classes(one: Map, place: int) -> list[str]:
    return [name for name, of in one.of_class.items() if of[place]]


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else float("nan")


def _source(figure: Layout, panel: Panel) -> str:
    return figure.sources.get(panel.read["dataset"], "")


# The paper's red, blue and green as Okabe and Ito have them, and one more; all else tells them apart in grey.
STYLES = (
    {"colour": "#D55E00", "marker": "o", "line": "-", "hatch": ""},
    {"colour": "#0072B2", "marker": "^", "line": (0, (5, 2)), "hatch": "////"},
    {"colour": "#009E73", "marker": "s", "line": (0, (1, 1.4)), "hatch": "...."},
    {"colour": "#000000", "marker": "D", "line": (0, (5, 1.5, 1, 1.5)), "hatch": "xxxx"},
)
# Sizes of markers: of a clip of one class; of one of several, theirs one in another.
ALONE, NESTED = 3.6, (7.6, 4.4, 2.6, 1.4)
# In inches: between pictures, a line of the numbers below each, the title of one, its greatest width.
GAP, LINE, HEADING, WIDEST = 0.2, 0.135, 0.2, 3.5
# Part of a picture's side around its points that stays empty.
MARGIN = 0.06
# Height of a picture in widths.
LOWEST, HIGHEST = 0.6, 1.0
# Where the columns of numbers end, in parts of a picture's width.
COLUMNS = (0.0, 0.45, 0.55, 0.735, 0.825, 0.915, 1.0)


def draw(figure: Layout, maps: Sequence[Map], measured: pd.DataFrame, scale: str, *, svg: str, png: str) -> None:
    """Draw the pictures beside each other, numbers below each, into the files `svg` and `png`."""
    side = min((WIDTH - GAP * (len(maps) + 1)) / len(maps), WIDEST)
    handles = [
        *(_handle(name, style) for name, style in zip(figure.classes, STYLES, strict=False)),
        Line2D([], [], linestyle="none", marker="$\\odot$", color="#555555", markersize=8, label="a clip of several"),
    ]
    notes = [figure.caption, _notes(figure), drawing.sizes_line(figure.sizes, figure.labels)]
    heads, feet = drawing.heads(len(handles), len(handles)), drawing.feet(notes)
    tables = [list(_table(figure, one, measured)) for one in maps]
    aspect = min(max(*(high / wide for wide, high in map(_extent, maps)), LOWEST), HIGHEST)
    numbers, tall = LINE * len(tables[0]) + 0.16, side * aspect
    height = heads + HEADING + tall + numbers + feet
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        drawing.frame(canvas, figure.title, _said(figure, maps, scale), handles, len(handles), notes)
        left = (WIDTH - side * len(maps) - GAP * (len(maps) - 1)) / 2
        for number, (one, table) in enumerate(zip(maps, tables, strict=True)):
            x = left + number * (side + GAP)
            axis = canvas.add_axes((x / WIDTH, (feet + numbers) / height, side / WIDTH, tall / height))
            _picture(axis, figure, one, aspect)
            for line, cells in enumerate(table):
                y = (feet + numbers - 0.06 - LINE * (line + 0.5)) / height
                for place, text in zip(COLUMNS, cells, strict=False):
                    canvas.text(
                        (x + side * place) / WIDTH, y, text, fontsize=6.5, va="center", color="#333333",
                        ha="right" if place else "left",
                    )  # fmt: skip


def _handle(name: str, style: Mapping) -> Line2D:
    return Line2D(
        [], [], color=style["colour"], linestyle=style["line"], marker=style["marker"], markersize=4.5,
        markeredgecolor="white", markeredgewidth=0.4, linewidth=1.1, label=_words(name),
    )  # fmt: skip


def _extent(one: Map) -> tuple[float, float]:
    """Width and height that the points take; above 0."""
    wide, high = np.ptp(one.places, axis=0)
    return max(float(wide), 1e-3), max(float(high), 1e-3)


def _picture(axis: Axes, figure: Layout, one: Map, aspect: float) -> None:
    styles = dict(zip(figure.classes, STYLES, strict=False))
    for name, style in styles.items():
        corners = one.hull(name)
        if len(corners):
            fill = {"facecolor": style["colour"], "alpha": 0.1, "linewidth": 0, "zorder": 1}
            axis.add_patch(Polygon(corners, **fill))
            if style["hatch"]:
                shade = {"facecolor": "none", "edgecolor": style["colour"], "alpha": 0.3, "linewidth": 0}
                axis.add_patch(Polygon(corners, hatch=style["hatch"], zorder=1.1, **shade))
            edge = {"edgecolor": style["colour"], "linestyle": style["line"], "linewidth": 1.1}
            axis.add_patch(Polygon(corners, facecolor="none", zorder=1.2, **edge))
    alike: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(one.places)):
        alike.setdefault(tuple(_classes(one, place)), []).append(place)
    for names, places in alike.items():
        for size, name in zip(NESTED if len(names) > 1 else (ALONE,), names, strict=False):
            axis.plot(
                *one.places[places].T, linestyle="none", marker=styles[name]["marker"], color=styles[name]["colour"],
                markersize=size, markeredgecolor="white", markeredgewidth=0.5, zorder=3 - size / 100,
            )  # fmt: skip
    # One scale for x and y: only then are neighbours neighbours.
    centre, (wide, high) = (one.places.min(axis=0) + one.places.max(axis=0)) / 2, _extent(one)
    half = (0.5 + MARGIN) * max(wide, high / aspect) * np.array([1, aspect])
    (left, bottom), (right, top) = centre - half, centre + half
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axis.set_title(one.panel.title, fontsize=8.5, pad=3)
    axis.spines[:].set_visible(True)


def _table(figure: Layout, one: Map, measured: pd.DataFrame) -> Iterator[list[str]]:
    """Yield the lines below a picture: what is measured of each class of the net that is drawn, and of each pair."""
    own = measured[(measured["panel"] == one.panel.title) & (measured["seed"] == figure.seed)]
    values = own.set_index(["space", "class", "other", "measure"])[["value", "n"]]

    def number(space: str, measure: str, name: str, other: str = "", decimals: int = 0) -> str:
        key = space, name, other, measure
        return (fixed(values.loc[key, "value"], decimals) if key in values.index else "") or "–"

    yield ["", "n", "hull", "others in it", "ρ60", "ρ80", "κ"]
    for name in figure.classes:
        of_map = (f"{number(MAP, measure, name)} %" for measure in ("hull", "others_inside"))
        of_features = (number(FEATURES, measure, name, decimals=2) for measure in ("rho60", "rho80", figure.kappa))
        yield [_words(name), str(values.loc[(MAP, name, "", "hull"), "n"]), *of_map, *of_features]
    for name, other in combinations(figure.classes, 2):
        count = values.loc[(MAP, name, other, "overlap"), "n"]
        yield [f"{_words(name)} ∩ {_words(other)}", str(count), f"{number(MAP, 'overlap', name, other)} %"]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(figure: Layout, maps: Sequence[Map], scale: str) -> str:
    names = dict.fromkeys(one.panel.read["dataset"] for one in maps)
    data = ", ".join(figure.labels.get("dataset", {}).get(name) or figure.names.get(name, name) for name in names)
    clips = ", ".join(map(str, sorted({len(one.clip_ids) for one in maps})))
    spoken = about((_source(figure, one.panel) for one in maps), scale)
    of = f", {spoken}" if spoken else ""
    return f"scale {scale}; {data}{of}, n = {clips} training clips; seed {figure.seed}"


def _notes(figure: Layout) -> str:
    return (
        "t-SNE keeps who is whose neighbour: distances, areas, overlaps and hulls are the picture's, not those of the "
        "features. Hull: in per cent of that of all clips; others in it: of the clips of the other classes alone; of "
        "two classes (∩) n is of the clips of both, and hull what theirs have in common of the smaller. ρ (density of "
        f"the outer 40 and 20 %) and κ (convexity, by {KAPPAS[figure.kappa]}) are of the features."
    )
