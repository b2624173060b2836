"""How well nets rank the clips of each class, of what a file of cells holds: values and replicates, measured once.

A row is of one measure under one condition: of one class (`label`), or of all clips. Replicates are those of weights
of the clips (`avrobust.metrics.estimate`), so that rows of the same clips are paired replicate by replicate, whatever
net or attack they are of. A class without a positive clip, or without a negative one, has no value.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import log_softmax

from avrobust import parquet
from avrobust.files import remaking, replacing
from avrobust.metrics.estimate import weights
from avrobust.metrics.logits import Logits, Place, read_logits
from avrobust.metrics.ranking import precisions_and_areas
from avrobust.metrics.schema import IDENTITY as CELL_IDENTITY
from avrobust.metrics.schema import KEY
from avrobust.metrics.schema import SCHEMA as CELLS
from avrobust.metrics.tasks import SINGLE, task_of
from avrobust.program import UserError, progress
from avrobust.spec.conditions import CLEAN, Condition

# Enough for the ends of a 95 % interval; 527 classes under a condition are then 1.3 MB.
REPLICATES = 300
PRECISION, AREA, TOP1, FLIPPED = "average_precision", "area", "top1", "flipped"
# The sum of the weights of all clips, by which one more clip can be added to a share of them.
WEIGHT = "weight"
OF_CLASSES = (PRECISION, AREA)
# Before the name of a norm: the largest of all clips, which has no replicates.
LARGEST = "largest_"

# `positives`: clips of the class. `clip_names`: a digest of the clips' names. NaN in the place of what is not there.
SCHEMA = pa.schema(
    [
        *(CELLS.field(name) for name in KEY),
        ("measure", pa.string()),
        ("label", pa.int32()),
        ("positives", pa.int32()),
        ("clips", pa.int32()),
        ("clip_names", pa.string()),
        ("value", pa.float64()),
        ("replicates", pa.list_(pa.float32())),
    ]
)
IDENTITY = (*CELL_IDENTITY, "task")


def ranked_rows(path: str | Path, replicates: int = REPLICATES) -> Iterator[pa.Table]:
    """Yield the rows (`SCHEMA`) of each condition of a file of cells; nothing of cells without logits.

    Clips of one label are ranked by the logarithm of their softmax, which compares clips; a net of several labels is
    asked about each class by itself, so that its logits do.

    Raises:
        UserError: see `avrobust.metrics.logits.read_logits`.
    """
    task = task_of(path)
    clips: list[str] = []
    given = np.empty((0, 0))
    for _, of_cell in groupby(read_logits(path), key=lambda one: one.place):
        ranked = []
        for one in of_cell:
            if one.clips != clips:
                clips, given = one.clips, weights(one.clips, replicates)
            ranked.append(_ranked(one, task, given))
        # Of an attack without bounds too few clips are there to be ranked, so that all of a cell are the same.
        clean = next((of.answers for of in ranked if of.condition == CLEAN), None)
        if clean is None:
            raise UserError(f"{path}: has no clean clips of {'/'.join(ranked[0].place)}; {remaking(path)}")
        for of in ranked:
            yield _table(of, [*of.lines, _Line(FLIPPED, _mean(of.answers != clean, given))], clips)


def write_ranked_rows(cells: str | Path, path: str | Path, replicates: int = REPLICATES) -> dict[str, object]:
    """Write the rows of a file of cells, whole or not at all, and return what is to be said of them.

    Raises:
        UserError: none of the cells has logits, or see `ranked_rows`.
    """
    said = {"task": task_of(cells), "replicates": replicates, "conditions": 0, "undefined_values": 0}
    told = parquet.metadata(cells, (), CELL_IDENTITY, "")
    schema = SCHEMA.with_metadata({name: told[name] for name in CELL_IDENTITY} | {"task": said["task"]})
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer:
        for rows in progress(ranked_rows(cells, replicates), label="ranking", unit="conditions"):
            writer.write_table(rows.replace_schema_metadata(schema.metadata))
            said["conditions"] += 1
            said["undefined_values"] += sum(value != value for value in rows["value"].to_pylist())
        if not said["conditions"]:
            raise UserError(f"{cells}: none of its cells has logits; give one of nets that something ranks")
    return said


class _Line(NamedTuple):
    """A measure under each of the weights, (K,); of a class, or of all clips."""

    measure: str
    values: np.ndarray
    label: int | None = None
    positives: int | None = None


class _Ranked(NamedTuple):
    """What is kept of a condition; `answers` (N,) are the classes of the greatest logits."""

    place: Place
    condition: Condition
    answers: np.ndarray
    lines: list[_Line]


def _ranked(one: Logits, task: str, given: np.ndarray) -> _Ranked:
    scores = log_softmax(one.logits.astype(np.float64), axis=1) if task == SINGLE else one.logits
    answers, counts = one.logits.argmax(axis=1), one.targets.sum(axis=0).tolist()
    found = zip(OF_CLASSES, precisions_and_areas(scores, one.targets, given), strict=True)
    lines = [
        _Line(measure, values[:, label], label, count)
        for measure, values in found
        for label, count in enumerate(counts)
    ]
    lines.append(_Line(WEIGHT, given.sum(axis=1)))
    if task == SINGLE:
        lines.append(_Line(TOP1, _mean(one.targets[np.arange(len(answers)), answers], given)))
    for name, norms in one.norms.items():
        alone = np.append(norms.max(), np.full(len(given) - 1, np.nan))
        lines += [_Line(name, _mean(norms, given)), _Line(f"{LARGEST}{name}", alone)]
    return _Ranked(one.place, one.condition, answers, lines)


def _mean(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    # No product of matrices, whose last bits depend on the processor.
    return (given * values.astype(np.float64)).sum(axis=1) / given.sum(axis=1)


def _table(of: _Ranked, lines: Sequence[_Line], clips: Sequence[str]) -> pa.Table:
    count, names = len(lines), sha256("\n".join(clips).encode()).hexdigest()[:16]
    same = dict(zip(KEY, (*of.place, *of.condition), strict=True)) | {"clips": len(clips), "clip_names": names}
    columns = {name: [value] * count for name, value in same.items()}
    columns |= {part: [getattr(line, part) for line in lines] for part in ("measure", "label", "positives")}
    values = np.stack([line.values for line in lines])
    # From buffers, because arrays make pyarrow import pandas.
    flat = np.ascontiguousarray(values[:, 1:], np.float32)
    ends = np.arange(count + 1, dtype=np.int32) * flat.shape[1]
    parts = pa.Array.from_buffers(pa.float32(), flat.size, [None, pa.py_buffer(flat)])
    offsets = pa.Array.from_buffers(pa.int32(), count + 1, [None, pa.py_buffer(ends)])
    made = {name: pa.array(columns[name], SCHEMA.field(name).type) for name in columns}
    made |= {"value": pa.array(values[:, 0].tolist()), "replicates": pa.ListArray.from_arrays(offsets, parts)}
    return pa.Table.from_arrays([made[name] for name in SCHEMA.names], schema=SCHEMA)
