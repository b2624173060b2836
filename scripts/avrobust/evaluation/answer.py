"""What victims answer to clips, and the rows that say so."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust import parquet
from avrobust.attacks.loss import Inputs, Objective
from avrobust.data.batches import Batch
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import Crafted
from avrobust.evaluation.start import encode_changed
from avrobust.metrics.schema import SCHEMA
from avrobust.models.late_fusion import LateFusion
from avrobust.models.pooling import pooled
from avrobust.spec.budgets import MODALITIES
from avrobust.spec.conditions import CLEAN, Condition


@dataclass(frozen=True)
class Asked:
    """A batch before it is attacked: `inputs` modality -> (N, ...), `labels` (N,) on the device of the nets."""

    batch: Batch
    inputs: Inputs
    labels: Tensor


def answered(
    names: Mapping[str, str],
    victim: LateFusion,
    asked: Asked,
    crafted: Crafted,
    features: Inputs,
    objective: Objective,
    budgets: Budgets,
) -> pa.Table:
    """Return the rows of what `victim` answers to `crafted`, a set for each of its conditions.

    `names`: what the rows call surrogate, victim and attack. `features`: modality -> (N, D), the victim's of the clean
    clips; `objective`: the rows' `loss`.
    """
    encoded = encode_changed(victim, asked.inputs, crafted.inputs, features)
    logits = victim.head(encoded)
    count, first = len(asked.labels), crafted.conditions[0]
    columns = {
        **{name: [value] * count for name, value in names.items()},
        "clip_id": asked.batch["clip_id"],
        "label": asked.labels.tolist(),
        "prediction": logits.argmax(dim=1).tolist(),
        "loss": objective(encoded, logits, asked.labels).tolist(),
        "cosine": _cosine(encoded, count).tolist(),
    }
    for name in MODALITIES:
        moved = name in crafted.inputs and crafted.inputs[name] is not asked.inputs[name]
        perturbation = crafted.inputs[name] - asked.inputs[name] if moved else None
        columns[f"norm_{name}"] = budgets.norms(first, name, perturbation).tolist() if moved else [0.0] * count
        columns[f"epsilon_{name}"] = budgets.epsilons(first, name, crafted.budgets, count)
    return pa.concat_tables(
        parquet.table(SCHEMA, columns | _named(condition, count)) for condition in crafted.conditions
    )


def unchanged(asked: Asked) -> Crafted:
    """Return the clean clips as what an attack makes of them under no budget."""
    return Crafted((CLEAN,), asked.inputs, {})


def _named(condition: Condition, count: int) -> dict[str, list]:
    return {name: [value] * count for name, value in condition._asdict().items()}


def _cosine(encoded: Inputs, count: int) -> Tensor:
    """Return the cosine of both features (N,), of their means over steps; NaN where one is a map, or the only one."""
    if len(encoded) == 2 and all(feature.dim() in (2, 3) for feature in encoded.values()):
        return F.cosine_similarity(pooled(encoded["audio"]), pooled(encoded["visual"]))
    return torch.full((count,), torch.nan)
