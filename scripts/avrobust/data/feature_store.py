"""Features that a fixed net or filterbank made of each clip, float16, in shards: one array a modality."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa

from avrobust.data import shards
from avrobust.data.shards import IDENTITY, ROW_CHECKSUM, Form, Shards, ShardWriter, classes_fact, classes_of

FEATURES = np.dtype(np.float16)


class ClipFeatures(NamedTuple):
    """One row: labels as class indices, and modality -> array."""

    clip_id: str
    split: str
    labels: Sequence[int]
    features: Mapping[str, np.ndarray]


def writing(
    path: str | Path,
    *,
    extractor: str,
    weights: Mapping[str, str],
    shapes: Mapping[str, Sequence[int]],
    classes: Sequence[str],
) -> AbstractContextManager[ShardWriter]:
    """Return a ShardWriter of ClipFeatures for a `with` block; the shard appears at `path` only if that succeeds.

    `extractor` names what made the features, `weights` says where those of each of its encoders come from (modality ->
    a line), `shapes` has modality -> shape of one clip's. They are rounded to float16.
    A ValueError names a clip of which one is missing, of another shape or not finite as float16.
    """
    facts = {"extractor": extractor, "weights": json.dumps(weights, sort_keys=True), "shapes": json.dumps(shapes)}
    facts |= classes_fact(classes)
    return shards.writing(path, FeatureStore.form(facts), partial(_row, shapes))


def _row(shapes: Mapping[str, Sequence[int]], clip: ClipFeatures) -> tuple[dict, int]:
    row = {name: getattr(clip, name) for name in ("clip_id", "split", "labels")}
    if clip.features.keys() != shapes.keys():
        raise ValueError(f"{clip.clip_id}: features of {sorted(clip.features)}, not {sorted(shapes)}")
    for name, shape in shapes.items():
        with np.errstate(over="ignore"):
            values = np.asarray(clip.features[name], FEATURES, order="C")
        if values.shape != tuple(shape) or not np.isfinite(values).all():
            raise ValueError(f"{clip.clip_id}: {name} features of shape {values.shape}, not {shape}, or not finite")
        row |= {name: values.tobytes(), f"{name}_crc32": crc32(values)}
    return row, sum(len(row[name]) for name in shapes)


class FeatureStore(Shards):
    """Random access to features: `shapes` has modality -> shape, `extractor` names what made them.

    `weights`: modality -> where those of the extractor's encoder come from, for each that has any.
    """

    holding, made_by = "features", "extract it again"

    def __init__(self, paths: Sequence[str | Path]) -> None:
        super().__init__(paths)
        self.extractor: str = self.facts["extractors"]
        self.weights: dict[str, str] = json.loads(self.facts["weights"])
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
        facts = {"extractors": metadata["extractor"], "weights": metadata["weights"], "shapes": shapes}
        facts["classes"] = classes_of(metadata)
        return Form(schema, row, (), facts)

    def features(self, i: int, modality: str) -> np.ndarray:
        """Return clip i's features of a modality, float16 of its shape: a read-only view into the file.

        Raises UserError if they are damaged.
        """
        batch, row = self._place(i)
        shape = self.shapes[modality]
        count = math.prod(shape)
        values = np.frombuffer(batch[modality].buffers()[1], FEATURES, count, FEATURES.itemsize * count * row)
        if crc32(values) != batch[f"{modality}_crc32"][row].as_py():
            raise self._damaged(i, f"{modality} features")
        return values.reshape(shape)
