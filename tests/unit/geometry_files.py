"""Files of measured classes written by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.metrics.geometry import CLASS_ROWS


def write_geometry(folder: Path, identity: str, names: Sequence[str], **columns: Sequence[float | None]) -> Path:
    """Write the classes of a net, dataset/variant/seed: columns of `CLASS_ROWS` by name, 1 where nothing is said.

    A class whose `n` is None has no training clip, and no row.
    """
    dataset, variant, seed = identity.split("/")
    rows: list[Mapping] = []
    for label, name in enumerate(names):
        own = {column: values[label] for column, values in columns.items()}
        if own.get("n", 1) is not None:
            rows.append({**dict.fromkeys(CLASS_ROWS.names, 1), **own, "label": label, "class_name": name})
    schema = CLASS_ROWS.with_metadata({"dataset": dataset, "variant": variant, "seed": seed})
    path = folder / "geometry" / dataset / variant / f"s{seed}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, write_page_checksum=True)
    return path
