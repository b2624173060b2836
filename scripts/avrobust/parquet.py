"""Parquet files of our programs: rows of one schema, and what they are of in the metadata."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.files import remaking
from avrobust.foreign import PARQUET, reason
from avrobust.program import UserError


def table(schema: pa.Schema, columns: Mapping[str, Sequence]) -> pa.Table:
    """Return rows from sequences of equal length, one a column; arrays make pyarrow import pandas."""
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def metadata(
    path: str | Path, columns: Iterable[str], identity: Iterable[str], otherwise: str, anew: str = ""
) -> dict[str, str]:
    """Return the metadata of a file; `seed` among them is a whole number.

    Raises `UserError` if it cannot be read, or if one of `columns`, or of `identity` in its metadata, is not there;
    `otherwise` ends that line. `anew`: how a damaged file is made again, if not by the same command.
    """
    with _readable(path, anew):
        schema = pq.read_schema(path)
        found = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        int(found.get("seed", 0))
    if missing := [*({*columns} - {*schema.names}), *({*identity} - {*found})]:
        raise UserError(f"{path}: no {', '.join(sorted(missing))} in it; {otherwise}")
    return found


def read(path: str | Path, columns: Sequence[str], anew: str = "") -> pa.Table:
    """Return these columns of a file, in their order; raises `UserError` if it is damaged. `anew` as of `metadata`."""
    with _readable(path, anew), pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=list(columns)).select(columns)


def batches(path: str | Path, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    """Yield these columns of a file, at most `size` rows at a time; raises `UserError` if it is damaged."""
    with _readable(path, ""), pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield from file.iter_batches(size, columns=list(columns))


@contextmanager
def _readable(path: str | Path, anew: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: cannot be read as parquet ({reason(path, error, PARQUET)}); {anew or remaking(path)}"
        ) from None
