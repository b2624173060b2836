"""What victims answer to clips, and the rows that say so."""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust import parquet
from avrobust.attacks.loss import Inputs, Loss
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import Crafted
from avrobust.models.pooling import pooled
from avrobust.spec.budgets import MODALITIES


def norms_of(
    clean: Inputs, forms: Mapping[str, Inputs], length: Callable[[str, Tensor], Tensor], count: int, column: str
) -> dict[str, dict[str, list[float]]]:
    """Return form -> column -> how far each of `count` clips moved; `column` begins the names of the columns.

    `forms`: form -> inputs in it; all that is `clean` itself moved by nothing. `length`: (modality, perturbations) ->
    (N,).
    """
    known = {}
    for name, inputs in ((name, inputs) for of_form in forms.values() for name, inputs in of_form.items()):
        if (name, id(inputs)) not in known:
            moved = inputs is not clean[name]
            known[name, id(inputs)] = length(name, inputs - clean[name]).tolist() if moved else [0.0] * count
    still = {f"{column}_{name}": [0.0] * count for name in MODALITIES}
    return {
        form: still | {f"{column}_{name}": known[name, id(inputs)] for name, inputs in of_form.items()}
        for form, of_form in forms.items()
    }


def answered(
    names: Mapping[str, str],
    victim: Loss,
    clip_ids: Sequence[str],
    crafted: Crafted,
    forms: Mapping[str, Inputs],
    norms: Mapping[str, Mapping[str, list[float]]],
    budgets: Budgets,
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows of what the net of `victim` answers to `crafted`, a set for each of its conditions and forms.

    `names`: what the rows call surrogate, victim and attack. `victim`: of the clean clips, with the objective that the
    rows' `loss` is of. `forms`: form -> `crafted.inputs` in it, `norms`: see `norms_of`; a tensor that forms share is
    encoded once. `schema`: one of `avrobust.metrics.schema`.
    """
    count, first = len(clip_ids), crafted.conditions[0]
    common = {**{name: [value] * count for name, value in names.items()}, "clip_id": clip_ids}
    common |= {f"epsilon_{name}": budgets.epsilons(first, name, crafted.budgets, count) for name in MODALITIES}
    known: dict[tuple[int, ...], dict[str, list]] = {}
    tables = []
    for form, inputs in forms.items():
        place = tuple(id(inputs[name]) for name in victim.modalities)
        if place not in known:
            known[place] = _answers(victim, victim.encoded(inputs), count, schema)
        columns = common | known[place] | norms[form] | {"form": [form] * count}
        for one in crafted.conditions:
            condition = {name: [value] * count for name, value in one._asdict().items()}
            tables.append(parquet.table(schema, columns | condition))
    return pa.concat_tables(tables)


def _answers(victim: Loss, encoded: Inputs, count: int, schema: pa.Schema) -> dict[str, list]:
    logits = victim.model.head(encoded)
    return {
        **_answer(victim.model.task, victim.labels, logits),
        **({"logits": logits.tolist()} if "logits" in schema.names else {}),
        "loss": victim.objective(encoded, logits, victim.labels).tolist(),
        "cosine": _cosine(encoded, count).tolist(),
    }


def _answer(task: str, labels: Tensor, logits: Tensor) -> dict[str, list]:
    if task == "single":
        return {"label": labels.tolist(), "prediction": logits.argmax(dim=1).tolist()}
    return {"label": [of_clip.nonzero().flatten().tolist() for of_clip in labels]}


def _cosine(encoded: Inputs, count: int) -> Tensor:
    """Return the cosine of both features (N,), of their means over steps; NaN where one is a map, or the only one."""
    if len(encoded) == 2 and all(feature.dim() in (2, 3) for feature in encoded.values()):
        return F.cosine_similarity(pooled(encoded["audio"]), pooled(encoded["visual"]))
    return torch.full((count,), torch.nan)
