"""The shape of each class in the space of a net's fused features: Li et al. (ICASSP 2022), section 4."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isnan

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from avrobust.data.batches import Batch, EvaluationViews, evaluation_batches, inputs_of, whole_groups
from avrobust.keyed import generator, seed_of
from avrobust.metrics.convexity import POINTS, Segments, convexity, random_segments, released_segments
from avrobust.metrics.density import density, distances
from avrobust.metrics.geometry import CLASS_ROWS, CLIP_ROWS
from avrobust.models.late_fusion import LateFusion
from avrobust.models.pooling import pooled
from avrobust.models.task import TASKS
from avrobust.program import progress
from avrobust.spec.geometry import TAUS

PRINTED_EXPONENT = 2
# Of R: the farthest clip's, and the one beyond which 1 % lie.
OUTERMOST = {"": 1.0, "_99": 0.99}
# The least probability of a point that is of a class.
THRESHOLDS = {"kappa_01": 0.1, "kappa_05": 0.5}
WAYS = ("kappa_argmax", *THRESHOLDS)
# A larger class is interpolated, and drawn, by so many of its clips: as many as its first ordered pairs are of.
MOST_CLIPS = POINTS + 1


class FusedClips:
    """What the classifier of a net gets of clips.

    `points`: float32 (N, D), the mean where it gets steps. Only these are held, 4 kB a clip at D = 1024: steps take
    ten or a hundred times as much, and are computed once more for the clips that are asked for.
    """

    def __init__(self, model: LateFusion, clips: EvaluationViews, batch_size: int, threads: int, device: torch.device):
        self.clips, self._model, self._threads, self._device = clips, model, threads, device
        self._batch_size = whole_groups(batch_size, model.clips_together)
        self.points = np.empty((len(clips), model.fusion.out_features), np.float32)
        self._has_steps, done = False, 0
        batches = self._batches(clips)
        for fused in self._fused(progress(batches, label="geometry", unit="batches", total=len(batches))):
            self.points[done : done + len(fused)] = pooled(fused).cpu().numpy()
            self._has_steps, done = fused.ndim == 3, done + len(fused)

    def features(self, places: np.ndarray) -> np.ndarray:
        """Return what the classifier gets of the clips at these places: float32 (n, D) or (n, T, D)."""
        if not self._has_steps:
            return self.points[places]
        of, indices = self.clips, np.asarray(self.clips.indices)[places]
        some = EvaluationViews(of.store, indices, of.view, of.modalities, task=of.task)
        return torch.cat([fused.cpu() for fused in self._fused(self._batches(some))]).numpy()

    def _batches(self, clips: EvaluationViews) -> Iterable[Batch]:
        return evaluation_batches(clips, self._batch_size, 1, self._threads)

    def _fused(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        for batch in batches:
            with torch.inference_mode():
                inputs = inputs_of(batch, self._device)
                names = self._model.modalities
                yield self._model.fusion({name: self._model.encode(name, inputs[name]) for name in names})


def members(labels: Sequence[Collection[int]]) -> dict[int, np.ndarray]:
    """Return the places of the clips of each class that has one, ascending, in the order of the classes.

    `labels`: all of each clip, which counts for every one of its classes.
    """
    found: dict[int, list[int]] = {}
    for place, of_clip in enumerate(labels):
        for label in of_clip:
            found.setdefault(label, []).append(place)
    return {label: np.array(found[label]) for label in sorted(found)}


def class_rows(
    model: LateFusion,
    clips: FusedClips,
    clip_ids: Sequence[str],
    of_classes: Mapping[int, np.ndarray],
    classes: Sequence[str],
    device: torch.device,
    pairs: int = POINTS,
) -> pa.Table:
    """Return a row of `avrobust.metrics.geometry.CLASS_ROWS` for each class that has a clip.

    `of_classes`: label -> places in `clips`. kappa is that of random pairs unless it says `_released`, and of at most
    `MOST_CLIPS` clips of a class.
    """
    rows, dimensions = [], clips.points.shape[1]
    for label, places in of_classes.items():
        of_class = distances(clips.points[places])
        radii = np.quantile(of_class, [tau / 100 for tau in (*TAUS, 99, 100)])
        row = {"label": label, "class_name": classes[label], "n": len(places), "dimensions": dimensions}
        row |= dict(zip([f"radius_{name}" for name in (*TAUS, 99, "max")], radii.tolist(), strict=True))
        for tau in TAUS:
            for form, outermost in OUTERMOST.items():
                row[f"rho{tau}{form}"] = density(of_class, dimensions, tau / 100, outermost=outermost)
            row[f"rho{tau}_printed"] = density(of_class, dimensions, tau / 100, PRINTED_EXPONENT)
        if len(places) > 1:
            given = clips.features(some_of(places, clip_ids))
            row |= _kappas(model, given, label, classes[label], device, pairs)
        rows.append({name: None if isinstance(value, float) and isnan(value) else value for name, value in row.items()})
    return pa.Table.from_pylist(rows, schema=CLASS_ROWS)


def clip_rows(
    points: np.ndarray,
    clip_ids: Sequence[str],
    labels: Sequence[Collection[int]],
    of_classes: Mapping[int, np.ndarray],
    classes: Sequence[str],
    shown: Collection[str],
) -> pa.Table:
    """Return a row of `avrobust.metrics.geometry.CLIP_ROWS` for each clip of the classes `shown`, at most `MOST_CLIPS`.

    Distances are to the mean of all clips of the class.
    """
    rows = []
    for label in (label for label in of_classes if classes[label] in shown):
        far = dict(zip(of_classes[label].tolist(), distances(points[of_classes[label]]).tolist(), strict=True))
        rows += [
            {
                "label": label,
                "class_name": classes[label],
                "clip_id": clip_ids[place],
                "labels": list(labels[place]),
                "distance": far[place],
                "point": points[place],
            }
            for place in some_of(of_classes[label], clip_ids).tolist()
        ]
    return pa.Table.from_pylist(rows, schema=CLIP_ROWS)


def some_of(places: np.ndarray, clip_ids: Sequence[str]) -> np.ndarray:
    """Return `places`, or `MOST_CLIPS` of more, in their order; which ones, the ids of the clips alone decide."""
    if len(places) <= MOST_CLIPS:
        return places
    drawn = sorted(places.tolist(), key=lambda place: seed_of("geometry", clip_ids[place]))[:MOST_CLIPS]
    return np.array(sorted(drawn))


def _kappas(
    model: LateFusion, features: np.ndarray, label: int, name: str, device: torch.device, pairs: int
) -> dict[str, float]:
    """Return the convexities of a class from what the classifier gets of its clips, 2 or more."""
    activation = TASKS[model.task].activation

    def is_of_class(given: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = model.classifier(torch.from_numpy(given).to(device))
            probability = activation(logits)[:, label]
            ways = [logits.argmax(dim=1) == label, *(probability >= least for least in THRESHOLDS.values())]
            return torch.stack(ways, dim=1).cpu().numpy()

    def of(segments: Segments) -> list[float]:
        return convexity(features, segments, is_of_class).tolist()

    count = len(features)
    found = dict(zip(WAYS, of(random_segments(count, generator("convexity", name), pairs)), strict=True))
    released = dict(zip(WAYS, of(released_segments(count, generator("released convexity", name), pairs)), strict=True))
    return {**found, "kappa_01_released": released["kappa_01"]}
