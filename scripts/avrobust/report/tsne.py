"""A t-SNE figure: places of clips, and how well the classes cluster, clean and attacked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import avrobust.openblas  # noqa: F401  # isort: skip
import numpy as np
import pandas as pd

from avrobust import parquet
from avrobust.files import write_text
from avrobust.metrics.interval import mean
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.tsne import MODALITIES as EMBEDDINGS
from avrobust.spec.artefacts.tsne import Layout, Panel
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, Condition

MEASURES = ("silhouette", "ratio", "shift")
COLUMNS = ("clip_id", "label", "modality", "budget", *EMBEDDINGS)
IDENTITY = ("dataset", "variant", "seed", "attack", "classes")

# As many classes can be told apart by colour; the measures are of all.
DRAWN = 11

# Van der Maaten & Hinton (2008) recommend 5 to 50; it must stay below a third of the points.
PERPLEXITY = 30
RANDOM_STATE = 0


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
    # Loading the drawing library takes longer than finding a mistake in what is given.
    from avrobust.report.tsne_plot import draw

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

    t-SNE as scikit-learn has it, from the first two principal components, on one thread and with a fixed seed: equal
    points give equal places on one machine, and with `avrobust.openblas` on every one with AVX2. Its result has no
    directions and is turned: the longest extent lies along x, and the audio points, on the whole, to the left. Audio
    and visual features have the same length but not the same meaning; they are projected together because the paper's
    figures show them together.

    Raises:
        UserError: a condition is not in `embedding`, or all its points are one.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

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
    with threadpool_limits(1):
        places = TSNE(
            perplexity=min(PERPLEXITY, (len(points) - 1) / 3),
            init="pca",
            learning_rate="auto",
            random_state=RANDOM_STATE,
            n_jobs=1,
        ).fit_transform(points)
    places = _turned(places.astype(np.float64), len(embedding.clips)).round(3) + 0.0
    return Projection(
        panel=panel,
        budget=budget,
        clips=embedding.clips,
        classes=embedding.classes,
        all_classes=embedding.all_classes,
        kinds=dict(zip(wanted, np.split(places, len(wanted)), strict=True)),
    )


def _turned(places: np.ndarray, audio: int) -> np.ndarray:
    """Rotate (N, 2) about its centre to its principal axes, the first `audio` points to the left of the others."""
    centred = places - places.mean(axis=0)
    x, y = np.linalg.eigh(centred.T @ centred)[1][:, 1]
    if centred[:audio].mean(axis=0) @ (x, y) > 0:
        x, y = -x, -y
    return centred @ np.array([[x, -y], [y, x]])


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
