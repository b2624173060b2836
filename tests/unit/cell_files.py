"""Cells written by hand, as the tests of the reports need them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avrobust import parquet
from avrobust.metrics.ranked_rows import write_ranked_rows
from avrobust.metrics.schema import FLOAT, SCHEMA, in_order, schema_of

CLEAN = ("clean", "")
# What the names of budgets stand for in these tests.
EPSILONS = {
    "": 0.0,
    "unbounded": 1.0,
    "small": 0.006,
    "large": 0.012,
    "sweep/1": 0.006,
    "sweep/2": 0.012,
    "strong": 0.02,
}


def write_cell(
    folder: Path,
    identity: str,
    labels: Sequence[int],
    predictions: Mapping[tuple, Sequence[int]],
    *,
    order: Sequence[int] | None = None,
    surrogate: str = "",
    form: str = FLOAT,
    norms: Mapping[str, float] = MappingProxyType({}),
    cosines: Mapping[tuple, Sequence[float]] = MappingProxyType({}),
) -> Path:
    """Write the cell `identity` (dataset/victim/seed/attack): predictions by (modality, budget).

    `order` rearranges the rows of the file; `surrogate` is the victim where nothing is said; `cosines` by condition.
    """
    dataset, victim, seed, attack = identity.split("/")
    rows = [
        {
            "clip_id": f"clip{number}",
            "label": label,
            "surrogate": surrogate or victim,
            "victim": victim,
            "attack": attack,
            **dict(zip(("modality", "budget", "steps"), condition, strict=False)),
            "form": form,
            "prediction": prediction,
            "loss": 0.5,
            "epsilon_audio": EPSILONS[condition[1]] * (condition[0] != "visual"),
            "epsilon_visual": EPSILONS[condition[1]] * (condition[0] != "audio"),
            "norm_audio": EPSILONS[condition[1]] * (condition[0] != "visual"),
            "norm_visual": EPSILONS[condition[1]] * (condition[0] != "audio"),
            **{f"norm_{name}": norm for name, norm in norms.items()},
            **({"cosine": cosines[condition][number]} if condition in cosines else {}),
        }
        for condition, answers in predictions.items()
        for number, (label, prediction) in enumerate(zip(labels, answers, strict=True))
    ]
    schema = SCHEMA.with_metadata({"dataset": dataset, "seed": seed})
    table = pa.Table.from_pylist([rows[place] for place in order or range(len(rows))], schema=schema)
    path = folder / dataset / f"s{seed}" / f"{surrogate}{victim}.{attack}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, write_page_checksum=True)
    return path


def write_ranked_cell(
    folder: Path,
    identity: str,
    labels: Sequence[int] | Sequence[Sequence[int]],
    logits: Mapping[tuple, np.ndarray],
    *,
    norms: Mapping[tuple, Mapping[str, float]] = MappingProxyType({}),
    surrogate: str = "",
    form: str = FLOAT,
) -> Path:
    """Write the cell `identity` (dataset/victim/seed/attack) as scripts/attack.py does: logits (N, C) by condition.

    Clips of one label each where `labels` are numbers, else of several. `norms` by condition: one for all clips. Fewer
    logits than labels are of the first clips.
    """
    dataset, victim, seed, attack = identity.split("/")
    schema = schema_of("single" if isinstance(labels[0], int) else "multiple", ranked=True)
    tables = []
    for (modality, budget), answers in logits.items():
        count = len(answers)
        of_condition = {
            "modality": modality,
            "budget": budget,
            "steps": None,
            "form": form,
            "loss": 0.5,
            "cosine": 0.0,
        }
        of_condition |= {"surrogate": surrogate or victim, "victim": victim, "attack": attack}
        for name, place in (("audio", "visual"), ("visual", "audio")):
            of_condition[f"epsilon_{name}"] = EPSILONS[budget] * (modality != place)
            moved = norms.get((modality, budget), {f"norm_{name}": EPSILONS[budget] * (modality != place)})
            of_condition |= {f"norm_{name}": moved.get(f"norm_{name}", 0.0)}
            of_condition |= {one: moved.get(one, 0.0) for one in (f"step_norm_{name}", f"clip_norm_{name}")}
        columns = {name: [value] * count for name, value in of_condition.items()}
        columns |= {"clip_id": [f"clip{number}" for number in range(count)], "label": labels[:count]}
        columns |= {"logits": answers.tolist(), "prediction": answers.argmax(axis=1).tolist()}
        tables.append(parquet.table(schema, columns))
    path = folder / dataset / f"s{seed}" / f"{surrogate}{victim}.{attack}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = in_order(tables).replace_schema_metadata({"dataset": dataset, "seed": seed})
    pq.write_table(rows, path, write_page_checksum=True)
    return path


def rank(cells: Path, replicates: int = 20) -> Path:
    """Rank a file of cells as scripts/rank.py does, and return the file beside it that has what came of it."""
    rows = cells.with_suffix(".metrics.parquet")
    write_ranked_rows(cells, rows, replicates)
    return rows


def write_training(folder: Path, dataset: str, variant: str, seed: int, **crafting: float) -> Path:
    """Write what the training of a net says of itself, with what crafting took of a clip."""
    path = folder / f"models/{dataset}/{variant}/s{seed}/train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"variant": variant, "seed": seed, **({"crafting": crafting} if crafting else {})}))
    return path
