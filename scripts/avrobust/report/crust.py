"""The crust of a class: its clips as far from their mean as they are, and the shell of which its density is."""

from collections.abc import Iterator, Mapping

import avrobust.openblas  # noqa: F401  # isort: skip
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Annulus, Circle, Patch

from avrobust.files import write_text
from avrobust.metrics.geometry import CLASS_ROWS, CLIP_ROWS, ClassClips, OfNets, clips_of
from avrobust.program import UserError
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.style import WIDTH, page
from avrobust.report.text import about, csv_of, fixed
from avrobust.spec.artefacts.crust import Layout
from avrobust.spec.geometry import KAPPAS, TAUS
from avrobust.spec.units import SCORE

# What stands in the data of the class's row, beside its kappas.
MEASURES = (
    *(f"radius_{name}" for name in (*TAUS, 99, "max")),
    *(f"rho{tau}{form}" for tau in TAUS for form in ("", "_99", "_printed")),
    *KAPPAS,
)


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure, and write its clips and its measures; return a line for the log.

    Raises:
        UserError: the class has fewer than two clips, or all have the same features.
    """
    classes, points = OfNets(CLASS_ROWS, given.geometry), OfNets(CLIP_ROWS, given.points)
    net = figure.read["dataset"], figure.read["variant"]
    rows = {seed: _row(figure, classes.rows(*net, seed)) for seed in classes.seeds(*net)}
    clips = clips_of(points.table(*net, figure.seed), figure.of_class)
    places = around(clips)
    draw(figure, rows[figure.seed], clips, places, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(drawn(figure, rows[figure.seed], clips, places, given.scale), decimals=4))
    measured = pd.DataFrame(line for seed, row in rows.items() for line in of_row(figure, seed, row, given.scale))
    write_text(to["_measures.csv"], csv_of(measured, decimals=4))
    return f"{figure.title}: {len(clips.clip_ids)} clips"


def around(clips: ClassClips) -> np.ndarray:
    """Return where clips (n) are drawn, (n, 2): at their distance, in the direction of their two principal components.

    A principal component points to where its largest weight is positive.
    """
    centred = clips.points.astype(np.float64) - clips.points.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    directions = np.zeros((len(centred), 2))
    directions[:, : len(axes)] = centred @ axes.T
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    # Who lies on neither component has no direction.
    directions = np.where(lengths > 0, directions / np.maximum(lengths, np.finfo(float).tiny), (1.0, 0.0))
    return clips.distances[:, None] * directions


def of_row(figure: Layout, seed: int, row: Mapping, scale: str) -> Iterator[dict]:
    """Yield what is measured of the class of a seed's net, a line each."""
    for measure in MEASURES:
        yield {
            **figure.read,
            "seed": seed,
            "class": figure.of_class,
            "n": row["n"],
            "dimensions": row["dimensions"],
            "measure": measure,
            "unit": SCORE,
            "value": row[measure],
            "scale": scale,
            "source": _source(figure),
        }


def drawn(figure: Layout, row: Mapping, clips: ClassClips, places: np.ndarray, scale: str) -> pd.DataFrame:
    """The drawn clips, a line each; `within` says how many of the class lie within the radius that it lies within."""
    return pd.DataFrame(
        {
            **figure.read,
            "seed": figure.seed,
            "class": figure.of_class,
            "clip_id": clips.clip_ids,
            "unit": SCORE,
            "distance": clips.distances,
            "x": places[:, 0],
            "y": places[:, 1],
            "within": np.select(_zones(row, clips), ["60 %", "80 %", "100 %"], ""),
            "scale": scale,
        }
    )


def _row(figure: Layout, rows: list[dict]) -> dict:
    found = next((row for row in rows if row["class_name"] == figure.of_class), {"n": 0})
    if found["n"] < 2 or not found["radius_max"]:
        raise UserError(
            f"{figure.of_class!r} has {found['n']} training clips on {figure.read['dataset']}, or all are alike to "
            f"{figure.read['variant']}: there is nothing around their mean; draw another class"
        )
    return found


def _source(figure: Layout) -> str:
    return figure.sources.get(figure.read["dataset"], "")


# In inches: a side of the picture, the histogram beside it.
SIDE, GAP, WIDE = 3.5, 0.55, 2.9
# Radii by what is told of them: name, line.
RADII = {
    "60": ("R₆₀", (0, (5, 2))),
    "80": ("R₈₀", (0, (5, 1.5, 1, 1.5))),
    "99": ("R₉₉", (0, (1, 1.4))),
    "max": ("R", "-"),
}
# The shell beyond R_60, and its part beyond R_80; and clips within the first, between both, beyond.
CRUST = {"60": "#F9DDB1", "80": "#F0A63C"}
CLIPS = (("#7FB2D8", "o"), ("#0072B2", "s"), ("#000000", "^"))
DARK = "#222222"


def draw(
    figure: Layout, row: Mapping, clips: ClassClips, places: np.ndarray, scale: str, *, svg: str, png: str
) -> None:
    """Draw the class as circles, and how far its clips are as a histogram, into the files `svg` and `png`."""
    handles = [*_handles(row)]
    columns = -(-len(handles) // 2)
    sizes = drawing.sizes_line(figure.sizes, figure.labels)
    notes = [figure.caption, _numbers(figure, row), _explained(row, clips), sizes]
    heads, feet = drawing.heads(len(handles), columns), drawing.feet(notes)
    height = heads + SIDE + feet + 0.5
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        drawing.frame(canvas, figure.title, _said(figure, row, scale), handles, columns, notes)
        low, left = feet + 0.42, (WIDTH - SIDE - GAP - WIDE) / 2
        circles = canvas.add_axes((left / WIDTH, low / height, SIDE / WIDTH, SIDE / height))
        _circles(circles, row, clips, places)
        beside = canvas.add_axes(((left + SIDE + GAP) / WIDTH, low / height, WIDE / WIDTH, SIDE / height))
        _histogram(beside, row, clips)


def _handles(row: Mapping) -> Iterator:
    for name, (said, line) in RADII.items():
        yield Line2D(
            [], [], color=DARK, linestyle=line, linewidth=1, label=f"{said} = {_digits(row[f'radius_{name}'])}"
        )
    for tau, colour in CRUST.items():
        yield Patch(
            facecolor=colour, edgecolor="none", label=f"crust R{_index(tau)} to R: ρ = {_digits(row[f'rho{tau}'])}"
        )
    for (colour, marker), said in zip(CLIPS, ("within R₆₀", "R₆₀ to R₈₀", "beyond R₈₀"), strict=True):
        yield Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=4, label=f"clip {said}")


def _circles(axis: Axes, row: Mapping, clips: ClassClips, places: np.ndarray) -> None:
    outer = row["radius_max"]
    for tau, colour in CRUST.items():
        if row[f"radius_{tau}"] < outer:
            shell = Annulus((0, 0), outer, outer - row[f"radius_{tau}"], facecolor=colour, linewidth=0, zorder=1)
            axis.add_patch(shell)
    for name, (_, line) in RADII.items():
        edge = {"edgecolor": DARK, "linestyle": line, "linewidth": 0.9, "zorder": 2}
        axis.add_patch(Circle((0, 0), row[f"radius_{name}"], facecolor="none", **edge))
    for (colour, marker), of in zip(CLIPS, _zones(row, clips), strict=True):
        style = {"markersize": 3.2, "markeredgecolor": "white", "markeredgewidth": 0.35}
        axis.plot(*places[of].T, linestyle="none", color=colour, marker=marker, zorder=3, **style)
    axis.plot(0, 0, "+", color=DARK, markersize=7, markeredgewidth=1, zorder=3)
    axis.set(xlim=(-1.04 * outer, 1.04 * outer), ylim=(-1.04 * outer, 1.04 * outer), xticks=[], yticks=[])
    axis.set_aspect("equal")
    axis.spines[:].set_visible(False)


def _histogram(axis: Axes, row: Mapping, clips: ClassClips) -> None:
    outer = row["radius_max"]
    for tau, colour in CRUST.items():
        axis.axvspan(row[f"radius_{tau}"], outer, facecolor=colour, linewidth=0, zorder=0)
    for name, (_, line) in RADII.items():
        axis.axvline(row[f"radius_{name}"], color=DARK, linestyle=line, linewidth=0.9, zorder=2)
    edges = np.linspace(0, outer, 25)
    axis.hist(clips.distances, bins=edges, color="#4A7DAB", edgecolor="white", linewidth=0.4, zorder=1)
    axis.set(xlim=(0, 1.04 * outer), xlabel="distance to the class's mean", ylabel="clips")
    axis.yaxis.get_major_locator().set_params(integer=True)


def _zones(row: Mapping, clips: ClassClips) -> list[np.ndarray]:
    """Which clips lie within R_60, between it and R_80, and beyond."""
    first, second = (clips.distances <= row[f"radius_{tau}"] for tau in TAUS)
    return [first, second & ~first, ~second]


def _index(tau: str) -> str:
    return tau.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _digits(value: float | None) -> str:
    return "not defined" if value is None else f"{value:#.3g}".rstrip(".")


def _numbers(figure: Layout, row: Mapping) -> str:
    said = [
        f"{tau} %: ρ = {_digits(row[f'rho{tau}'])} with the exponent d = {row['dimensions']}, "
        f"{_digits(row[f'rho{tau}_99'])} with R₉₉ in the place of R, {_digits(row[f'rho{tau}_printed'])} with the "
        "printed exponent 2"
        for tau in TAUS
    ]
    kappa = "not defined" if row[figure.kappa] is None else fixed(row[figure.kappa], 2)
    return f"{'; '.join(said)}. Convexity κ = {kappa}, by {KAPPAS[figure.kappa]}."


def _explained(row: Mapping, clips: ClassClips) -> str:
    some = f" {len(clips.clip_ids)} of the {row['n']} clips are drawn." if len(clips.clip_ids) < row["n"] else ""
    return (
        "Each clip lies as far from the mean (+) as in the features, which is no projection; its direction is that of "
        "its first two principal components. ρ = (1 − τ) n / (d ln(R / R(τ))): the clips of the crust by the logarithm "
        f"of the volume that it adds; that of 60 % has both shades.{some}"
    )


def _said(figure: Layout, row: Mapping, scale: str) -> str:
    dataset, variant = figure.read["dataset"], figure.read["variant"]
    data = figure.labels.get("dataset", {}).get(dataset) or figure.names.get(dataset, dataset)
    spoken = about([_source(figure)], scale)
    of = f", {spoken}" if spoken else ""
    name = figure.of_class.replace("_", " ")
    return f"{name}, {variant}; scale {scale}; {data}{of}, n = {row['n']} training clips; seed {figure.seed}"
