"""A t-SNE figure: places of clips, and how well the classes cluster, clean and attacked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from textwrap import fill

import avrobust.openblas  # noqa: F401  # isort: skip
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from avrobust import parquet
from avrobust.files import write_text
from avrobust.metrics.interval import mean
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.projection import places_of, turned
from avrobust.report.style import WIDTH, page
from avrobust.report.text import PUBLISHED_SOURCE, csv_of, others
from avrobust.spec.artefacts.tsne import MODALITIES as EMBEDDINGS
from avrobust.spec.artefacts.tsne import Layout, Panel
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, Condition
from avrobust.spec.units import NONE, of_measure

MEASURES = ("silhouette", "ratio", "shift")
COLUMNS = ("clip_id", "label", "modality", "budget", *EMBEDDINGS)
IDENTITY = ("dataset", "variant", "seed", "attack", "classes")

# As many classes can be told apart by colour; the measures are of all.
DRAWN = 11


@dataclass(frozen=True)
class Embedding:
    """What one trained variant makes of the clips.

    `clips` and `classes` are the name and the class name of each, sorted by clip; `points` is found by
    (condition, "audio" or "visual"): float32 (clips, D). `all_classes` are all class names in their order.
    """

    clips: Sequence[str]
    classes: Sequence[str]
    all_classes: Sequence[str]
    points: Mapping[tuple[Condition, str], np.ndarray]


@dataclass(frozen=True)
class Projection:
    """One joint t-SNE: `clips` and `classes` (N) belong to each of `kinds`, all points that are drawn alike.

    `kinds`: audio, visual, attacked audio or attacked visual -> places (N, 2), of three decimals.
    """

    panel: Panel
    budget: str
    clips: Sequence[str]
    classes: Sequence[str]
    all_classes: Sequence[str]
    kinds: Mapping[str, np.ndarray]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure, and write its points and its measures; return a line for the log."""
    files, scores = Embeddings(given.embeddings), Scores(given.scores)
    measured = [one for panel in figure.panels for one in measure(figure, panel, scores, given.scale)]
    embeddings = [first_classes(files.read(panel, figure.attack, figure.seed), DRAWN) for panel in figure.panels]
    places = list(product(figure.rows, zip(figure.panels, embeddings, strict=True)))
    projections = [
        project(figure, panel, budget, embedding)
        for budget, (panel, embedding) in progress(places, label="t-SNE", unit="panels")
    ]
    draw(figure, projections, measured, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(points_of(figure, projections, given.scale), decimals=3))
    write_text(to["_measures.csv"], csv_of(measures_of(measured), decimals=4))
    return f"{figure.title}: {len(projections)} panels"


class Embeddings:
    """Files of embeddings, found by dataset, variant, attack and seed; each is read when it is asked for.

    Raises `UserError` if a file holds no embeddings or if one is given twice.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._files: dict[tuple[str, str, str, int], tuple[str | Path, list[str]]] = {}
        for path in paths:
            said = parquet.metadata(path, COLUMNS, IDENTITY, "it holds no embeddings")
            key = said["dataset"], said["variant"], said["attack"], int(said["seed"])
            if key in self._files:
                raise UserError(f"{path}: embeddings of {_words(key)} are given twice; leave one out")
            self._files[key] = path, json.loads(said["classes"])

    def read(self, panel: Panel, attack: str, seed: int) -> Embedding:
        """Return the embedding of a panel; `UserError` if it is not among the files or not whole."""
        key = panel.read["dataset"], panel.read["variant"], attack, seed
        if key not in self._files:
            given = ", ".join(map(_words, sorted(self._files)))
            raise UserError(f"no embeddings of {_words(key)} among those given ({given}); add their file")
        path, classes = self._files[key]
        table = parquet.read(path, COLUMNS).sort_by([(name, "ascending") for name in ("modality", "budget", "clip_id")])
        clips, labels = table["clip_id"].to_pylist(), table["label"].to_numpy()
        if not clips or not 0 <= labels.min() <= labels.max() < len(classes):
            raise UserError(f"{path}: no rows, or labels beyond its {len(classes)} classes; make it again")
        named = (table[name].to_pylist() for name in ("modality", "budget"))
        conditions = [Condition(*one) for one in zip(*named, strict=True)]
        first = conditions.count(conditions[0])
        points = {}
        for start in range(0, len(clips), first):
            part = slice(start, start + first)
            if (
                clips[part] != clips[:first]
                or len(set(conditions[part])) != 1
                or (labels[part] != labels[:first]).any()
            ):
                raise UserError(f"{path}: its conditions do not hold the same clips; make it again")
            for name in EMBEDDINGS:
                values = np.stack(table[name].slice(start, first).to_numpy())
                if not np.isfinite(values).all():
                    raise UserError(f"{path}: the {name} embedding of {conditions[start]} is not finite")
                points[conditions[start], name] = values
        return Embedding(clips[:first], [classes[label] for label in labels[:first]], classes, points)


def first_classes(embedding: Embedding, count: int) -> Embedding:
    """Return the embedding of the clips of the first `count` classes, in label order, that have clips."""
    present = [name for name in embedding.all_classes if name in set(embedding.classes)]
    if len(present) <= count:
        return embedding
    kept = np.array([name in present[:count] for name in embedding.classes])
    return replace(
        embedding,
        clips=[clip for clip, keep in zip(embedding.clips, kept, strict=True) if keep],
        classes=[name for name, keep in zip(embedding.classes, kept, strict=True) if keep],
        points={key: values[kept] for key, values in embedding.points.items()},
    )


def project(layout: Layout, panel: Panel, budget: str, embedding: Embedding) -> Projection:
    """Project all points of one panel together: clean audio and visual, and the attacked ones at `budget`.

    A t-SNE has no directions and is turned: the longest extent lies along x, and the audio points, on the whole, to the
    left. Audio and visual features have the same length but not the same meaning; they are projected together because
    the paper's figures show them together.

    Raises:
        UserError: a condition is not in `embedding`, or all its points are one.
    """
    wanted = {name: (CLEAN, name) for name in EMBEDDINGS}
    if layout.modality != "clean":
        wanted[f"attacked {layout.modality}"] = Condition(layout.modality, budget), layout.modality
    if missing := [key for key in wanted.values() if key not in embedding.points]:
        raise UserError(
            f"panel {panel.title!r}: the embeddings of {_words(panel.read.values())} hold no "
            f"{missing[0][0]}; add it to the conditions that are embedded"
        )
    points = np.concatenate([embedding.points[key] for key in wanted.values()])
    if (points == points[0]).all():
        raise UserError(f"panel {panel.title!r}: all {len(points)} embeddings are equal; the net tells no clips apart")
    places = turned(places_of(points), np.arange(len(points)) < len(embedding.clips)).round(3) + 0.0
    return Projection(
        panel=panel,
        budget=budget,
        clips=embedding.clips,
        classes=embedding.classes,
        all_classes=embedding.all_classes,
        kinds=dict(zip(wanted, np.split(places, len(wanted)), strict=True)),
    )


def measure(layout: Layout, panel: Panel, scores: Scores, scale: str) -> list[dict]:
    """The measures of a panel over all seeds: of both clean embeddings, and of the attacked one at each budget.

    Each is a line of the CSV: the mean over clips and seeds and its 95 % interval, None where no clip has a value;
    `embedding` is whose features are measured, `condition` what is attacked, `n` the clips with a value.

    A clip without a value (see `avrobust.metrics.clusters`) in any of one measure's conditions or seeds is left out of
    all of them. The interval is that of a mean of given values: that the other clips of a silhouette would be others
    too, it leaves out. Raises `UserError` if a score is missing.
    """
    measured = []
    for name, embedding in product(MEASURES, EMBEDDINGS):
        conditions = [] if name == "shift" else [CLEAN]
        if embedding == layout.modality:
            conditions += [Condition(layout.modality, budget) for budget in layout.budgets]
        if not conditions:
            continue
        place = panel.read["dataset"], panel.read["variant"], layout.attack
        values = scores.values([Score(*place, condition, f"{name}_{embedding}") for condition in conditions])
        defined = values.values[:, :, np.isfinite(values.values).all(axis=(0, 1))]
        clips = defined.shape[2]
        numbers = [(None, None, None)] * len(conditions)
        if clips:
            means = [mean(one, *bounds(f"{name}_{embedding}")) for one in defined]
            numbers = [one.ends for one in means]
        measured += [
            {
                "panel": panel.title,
                "variant": panel.read["variant"],
                "embedding": embedding,
                "condition": condition.modality,
                "budget": condition.budget,
                "epsilon": strength(condition.budget, layout.strengths),
                "measure": name,
                "unit": of_measure(name),
                **dict(zip(("mean", "low", "high"), of_condition, strict=True)),
                "n": clips,
                "seeds": len(values.seeds),
                "scale": scale,
                "source": layout.sources.get(panel.read["dataset"], ""),
            }
            for condition, of_condition in zip(conditions, numbers, strict=True)
        ]
    return measured


def points_of(layout: Layout, projections: Iterable[Projection], scale: str) -> pd.DataFrame:
    """The drawn points; x and y have no unit."""
    return pd.concat(
        pd.DataFrame(
            {
                "panel": projection.panel.title,
                "epsilon": strength(projection.budget, layout.strengths),
                "clip_id": projection.clips,
                "class": projection.classes,
                "kind": kind,
                "unit": NONE,
                "x": places[:, 0],
                "y": places[:, 1],
                "scale": scale,
            }
        )
        for projection in projections
        for kind, places in projection.kinds.items()
    )


def measures_of(measured: Iterable[Mapping]) -> pd.DataFrame:
    """The measures as they are written."""
    return pd.DataFrame(measured).drop(columns="budget")


def _words(key: Iterable[object]) -> str:
    return "/".join(map(str, key))


# Drawing: colour tells the class, the marker the modality and whether it is attacked.
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
    with page(width, height, svg=svg, png=png, layout="constrained") as canvas:
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
    names = dict.fromkeys(panel.read["dataset"] for panel in layout.panels)
    data = ", ".join(layout.labels.get("dataset", {}).get(name, name) for name in names)
    over = f"{seeds} seed" if seeds == "1" else f"{seeds} seeds"
    line = f"{data}, scale {scale}, n = {clips}, seed drawn: {layout.seed}; silhouettes: mean over {over}"
    return f"{line}; clips: {elsewhere}" if elsewhere else line
