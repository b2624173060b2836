"""Features that a fixed net or filterbank made of each clip, float16, in shards: one array a modality."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa

from avrobust.data import shards
from avrobust.data.shards import IDENTITY, ROW_CHECKSUM, Form, RowWriter, Shards, classes_fact, classes_of

FEATURES = np.dtype(np.float16)


class FeatureWriter:
    """Appends clips to a shard; see `writing`."""

    def __init__(self, rows: RowWriter, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._rows, self._shapes = rows, shapes

    def add(self, clip_id: str, split: str, labels: Sequence[int], features: Mapping[str, np.ndarray]) -> None:
        """Append a clip: modality -> array of the shard's shape, rounded to float16.

        Raises:
            ValueError: an array is missing, of another shape or not finite as float16.
        """
        row = {"clip_id": clip_id, "split": split, "labels": labels}
        if features.keys() != self._shapes.keys():
            raise ValueError(f"{clip_id}: features of {sorted(features)}, not {sorted(self._shapes)}")
        for name, shape in self._shapes.items():
            with np.errstate(over="ignore"):
                values = np.asarray(features[name], FEATURES, order="C")
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{clip_id}: {name} features of shape {values.shape}, not {shape}, or not finite")
            row |= {name: values.tobytes(), f"{name}_crc32": crc32(values)}
        self._rows.add(row, sum(len(row[name]) for name in self._shapes))


@contextmanager
def writing(
    path: str | Path, *, extractor: str, shapes: Mapping[str, tuple[int, ...]], classes: Sequence[str]
) -> Iterator[FeatureWriter]:
    """Yield a FeatureWriter for a new shard, which appears at `path` only if the block succeeds.

    `extractor` names what made the features, `shapes` has modality -> shape of one clip's.
    """
    facts = {"extractor": extractor, "shapes": json.dumps(shapes)} | classes_fact(classes)
    with shards.writing(path, FeatureStore.form(facts)) as rows:
        yield FeatureWriter(rows, {name: tuple(shape) for name, shape in shapes.items()})


class FeatureStore(Shards):
    """Random access to features: `shapes` has modality -> shape, `extractor` names what made them."""

    holding, made_by = "features", "extract it again"

    def __init__(self, paths: Sequence[str | Path]) -> None:
        super().__init__(paths)
        self.extractor: str = self.facts["extractors"]
        self.shapes: dict[str, tuple[int, ...]] = dict(self.facts["shapes"])

    @classmethod
    def form(cls, metadata: Mapping[str, str]) -> Form:
        """Return the form of shards with this extractor, these shapes and classes."""
        shapes = tuple((name, tuple(shape)) for name, shape in json.loads(metadata["shapes"]).items())
        arrays = [
            pa.field(name, pa.binary(FEATURES.itemsize * math.prod(shape)), nullable=False) for name, shape in shapes
        ]
        checksums = [pa.field(f"{name}_crc32", pa.uint32(), nullable=False) for name, _ in shapes]
        schema = pa.schema([*IDENTITY, *arrays, *checksums, ROW_CHECKSUM], dict(metadata))
        row = tuple(field.name for field in [*IDENTITY, *checksums])
        facts = {"extractors": metadata["extractor"], "shapes": shapes, "classes": classes_of(metadata)}
        return Form(schema, row, (), facts)

    def features(self, i: int, modality: str) -> np.ndarray:
        """Return clip i's features of a modality, float16 of its shape: a read-only view into the file.

        Raises UserError if they are damaged.
        """
        batch, row = self._place(i)
        column, shape = batch[modality], self.shapes[modality]
        count = math.prod(shape)
        place = FEATURES.itemsize * count * (column.offset + row)
        values = np.frombuffer(column.buffers()[1], FEATURES, count, place)
        if crc32(values) != batch[f"{modality}_crc32"][row].as_py():
            raise self._damaged(i, f"{modality} features")
        return values.reshape(shape)
