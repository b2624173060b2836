"""The task of the nets whose answers a file of cells holds, as in `avrobust.models.task`."""

from pathlib import Path

import pyarrow.parquet as pq

from avrobust import parquet
from avrobust.metrics.schema import IDENTITY, KEY

# A clip has one label, or any number of them.
SINGLE, MULTIPLE = "single", "multiple"


def task_of(path: str | Path) -> str:
    """Return `SINGLE` or `MULTIPLE`; raises `UserError` if it is no file of cells."""
    parquet.metadata(path, (*KEY, "label"), IDENTITY, "give a file from results/*/cells")
    return SINGLE if "prediction" in pq.read_schema(path).names else MULTIPLE
