"""Cells written by hand, as the tests of the reports need them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CLEAN = ("clean", 0.0)


def write_cell(
    folder: Path,
    identity: str,
    labels: Sequence[int],
    predictions: Mapping[tuple[str, float], Sequence[int]],
    *,
    order: Sequence[int] | None = None,
) -> Path:
    """Write the cell `identity` (dataset/variant/seed/attack): predictions by (modality, epsilon).

    `order` rearranges the rows of the file.
    """
    dataset, variant, seed, attack = identity.split("/")
    rows = [
        {
            "clip_id": f"clip{number}",
            "label": label,
            "modality": modality,
            "epsilon": epsilon,
            "prediction": prediction,
            "loss": 0.5,
        }
        for (modality, epsilon), answers in predictions.items()
        for number, (label, prediction) in enumerate(zip(labels, answers, strict=True))
    ]
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("label", pa.int16()),
            ("modality", pa.string()),
            ("epsilon", pa.float64()),
            ("prediction", pa.int16()),
            ("loss", pa.float32()),
        ],
        metadata={"dataset": dataset, "variant": variant, "seed": seed, "attack": attack},
    )
    table = pa.Table.from_pylist([rows[place] for place in order or range(len(rows))], schema=schema)
    path = folder / dataset / variant / f"s{seed}" / f"{attack}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, write_page_checksum=True)
    return path
