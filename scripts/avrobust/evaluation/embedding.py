"""The embeddings of both modalities, clean and under attack, and how they cluster by class."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import torch

from avrobust import parquet
from avrobust.attacks.loss import Inputs
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.look import add_scores, looked_into
from avrobust.metrics.clusters import distances, intra_inter_ratios, shifts, silhouettes
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Condition

MODALITIES = ("audio", "visual")

# Condition -> modality -> float32 (N, D).
Points = Mapping[Condition, Mapping[str, np.ndarray]]


def embed(
    model: LateFusion,
    threat: Threat,
    batches: Iterable[Batch],
    budgets: Budgets,
    conditions: Iterable[Condition],
    device: torch.device,
) -> tuple[list[str], np.ndarray, Points]:
    """Return clip ids, labels (N,) and what `model` makes of every clip, clean and under each condition.

    `batches`: from `avrobust.data.batches`. An attack maximises the objective of `threat`, with the gradients of its
    net, as in `avrobust.evaluation.cell`.

    Raises:
        RuntimeError: an input left its ball or its valid range, or changed without being attacked.
        UserError: a feature of the model is no vector, so that it has no Euclidean distance of the usual kind, or not
            finite.
    """

    def vectors(inputs: Inputs, features: Inputs) -> dict[str, np.ndarray]:
        if matrix := next((name for name in MODALITIES if features[name].dim() != 2), None):
            raise UserError(
                f"the {matrix} feature of a clip has the shape {tuple(features[matrix].shape[1:])}, not one vector; "
                "embed a variant whose fusion takes vectors"
            )
        return {name: features[name].cpu().numpy() for name in MODALITIES}

    parts = list(looked_into(model, threat, batches, budgets, conditions, device, vectors))
    clip_ids = [clip_id for batch, _ in parts for clip_id in batch["clip_id"]]
    labels = np.concatenate([batch["label"].numpy() for batch, _ in parts])
    points = {
        condition: {name: np.concatenate([made[condition][name] for _, made in parts]) for name in MODALITIES}
        for condition in parts[0][1]
    }
    for condition, of_modality in points.items():
        for name, values in of_modality.items():
            if not np.isfinite(values).all():
                raise UserError(f"{condition}: a {name} feature is not finite; the training diverged, train again")
    return clip_ids, labels, points


def rows(clip_ids: list[str], labels: np.ndarray, points: Points) -> pa.Table:
    """Return one row per clip and condition: clip_id, label, modality, budget, and the vectors audio and visual."""
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("label", pa.int16()),
            ("modality", pa.string()),
            ("budget", pa.string()),
            *((name, pa.list_(pa.float32())) for name in MODALITIES),
        ]
    )
    columns = {
        "clip_id": clip_ids * len(points),
        "label": labels.tolist() * len(points),
        "modality": [condition.modality for condition in points for _ in clip_ids],
        "budget": [condition.budget for condition in points for _ in clip_ids],
        **{name: [vector for of in points.values() for vector in of[name]] for name in MODALITIES},
    }
    return parquet.table(schema, columns).sort_by([(name, "ascending") for name in ("modality", "budget", "clip_id")])


def scores(clip_ids: list[str], labels: np.ndarray, points: Points) -> dict[str, list]:
    """Return the columns of `avrobust.metrics.scores.SCHEMA`: every measure of `avrobust.metrics.clusters`.

    `silhouette_*` and `ratio_*` compare the clips of every condition with the clean clips; `shift_*` has no clean row.
    """
    columns: dict[str, list] = {}
    for name in MODALITIES:
        among_clean = distances(points[CLEAN][name], points[CLEAN][name])
        for condition, of_modality in points.items():
            to_clean = distances(of_modality[name], points[CLEAN][name])
            values = {
                f"silhouette_{name}": silhouettes(to_clean, labels),
                f"ratio_{name}": intra_inter_ratios(to_clean, labels),
            }
            if condition != CLEAN:
                values[f"shift_{name}"] = shifts(to_clean, among_clean, labels)
            for measure, of_clips in values.items():
                add_scores(columns, clip_ids, labels.tolist(), condition, measure, of_clips.tolist())
    return columns
