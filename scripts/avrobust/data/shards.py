"""Clips in Arrow files: written one after the other, read in any order through memory maps, compared with checksums.

What a clip holds is up to `avrobust.data.store` (sound and frames) and `avrobust.data.feature_store`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa

from avrobust.files import remaking, replacing
from avrobust.foreign import ARROW, reason
from avrobust.program import UserError

# A record batch is closed at this many clips or bytes: few, so that memory stays flat while writing, but
# more than one, so that the index of a shard is read quickly.
BATCH_CLIPS, BATCH_BYTES = 16, 16 << 20

# Shards mapped at a time: many systems allow a process no more than 1024 open files.
OPEN_SHARDS = 256

# What pyarrow and we make of bytes that are not those written.
DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)

# What every shard says of a clip: whose it is. After it come what the clip holds, and the checksum of its row.
IDENTITY = [
    pa.field("clip_id", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("labels", pa.list_(pa.int16()), nullable=False),
]
ROW_CHECKSUM = pa.field("row_crc32", pa.uint32(), nullable=False)

# What a clip is in its shard: column -> value, without the row's checksum, and about how many bytes it takes.
RowOf = Callable[[object], tuple[Mapping, int]]


class Form(NamedTuple):
    """What a shard's rows hold.

    `row` names the columns, and `lengths` those columns of lists whose lengths alone, that are checked when a shard is
    opened; all others are checked when they are read. `facts` is what shards of one store agree in, by name.
    """

    schema: pa.Schema
    row: tuple[str, ...]
    lengths: tuple[str, ...]
    facts: Mapping[str, object]


class ShardWriter:
    """Appends clips to a shard; see `writing`."""

    def __init__(self, sink: pa.RecordBatchFileWriter, form: Form, row_of: RowOf) -> None:
        self._sink, self._form, self._row_of = sink, form, row_of
        self._waiting: list[Mapping] = []
        self._bytes = 0

    def add(self, clip: object) -> None:
        """Append one clip."""
        row, size = self._row_of(clip)
        self._waiting.append(row)
        self._bytes += size
        if len(self._waiting) >= BATCH_CLIPS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the clips that wait as one record batch."""
        if not self._waiting:
            return
        *columns, checksum = self._form.schema
        arrays = [pa.array([row[field.name] for row in self._waiting], field.type) for field in columns]
        empty = pa.array([0] * len(self._waiting), checksum.type)
        batch = pa.record_batch([*arrays, empty], schema=self._form.schema)
        # Of the values as they are read again.
        checksums = pa.array(_row_checksums(batch, self._form), checksum.type)
        self._sink.write_batch(batch.set_column(len(columns), checksum, checksums))
        self._waiting, self._bytes = [], 0


@contextmanager
def writing(path: str | Path, form: Form, row_of: RowOf) -> Iterator[ShardWriter]:
    """Yield a ShardWriter for a new shard, which appears at `path` only if the block succeeds.

    A shard without clips is valid.
    """
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, form.schema) as sink,
    ):
        writer = ShardWriter(sink, form, row_of)
        yield writer
        writer.flush()


class Shards(ABC):
    """Random access to the clips of many shards, which count as one sequence in the order given.

    Opening reads names and labels only; what clips hold stays in the files until asked for. It can be sent to other
    processes, which map the files anew. What is read is compared with its checksum.

    `classes` are the names that labels are indices of. `kept` is for what a view makes of clips and needs again, under
    keys of its own; it does not travel.

    Raises UserError if a file is missing, damaged, not a shard, of another form or classes, or holds a clip again.
    """

    # What the shards are of, and what makes them anew, for messages.
    holding: ClassVar[str]
    made_by: ClassVar[str]

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = tuple(map(str, paths))
        if not self.paths:
            raise UserError("no shard is given, a store needs at least one")
        self.clip_ids: list[str] = []
        self.splits: list[str] = []
        self.labels: list[tuple[int, ...]] = []
        batch_sizes, self._batches = [], []
        first: Form | None = None
        for path in self.paths:
            shard, form = _open(type(self), path)
            first = first or form
            if differing := [name for name, fact in form.facts.items() if fact != first.facts[name]]:
                raise UserError(
                    f"{self.paths[0]} and {path} are shards of different {differing[0]}; pack them again from one list"
                )
            for index in range(shard.num_record_batches):
                batch = _checked_batch(shard, index, path, form)
                batch_sizes.append(batch.num_rows)
                self._batches.append((path, index))
                self.clip_ids += batch["clip_id"].to_pylist()
                self.splits += batch["split"].to_pylist()
                self.labels += map(tuple, batch["labels"].to_pylist())
        if len(set(self.clip_ids)) < len(self.clip_ids):
            raise UserError(
                f"a clip is in the shards twice; the first of them is {self.paths[0]}; delete them and pack them again"
            )
        self.facts = dict(first.facts)
        self.classes: tuple[str, ...] = self.facts["classes"]
        self._ends = np.cumsum([0, *batch_sizes])
        self._begin()

    def _begin(self) -> None:
        self.kept: dict = {}
        self._shard = lru_cache(maxsize=OPEN_SHARDS)(partial(_batches, type(self)))

    @classmethod
    @abstractmethod
    def form(cls, metadata: Mapping[str, str]) -> Form:
        """Return the form of shards with this metadata; raises what `DAMAGE` names if it is not ours."""

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name not in ("kept", "_shard")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._begin()

    def indices(self, split: str) -> np.ndarray:
        """Return the positions (n,) of a split's clips, ascending."""
        return np.flatnonzero(np.array(self.splits, dtype=str) == split)

    def _position(self, i: int) -> int:
        return int(np.searchsorted(self._ends, i, side="right")) - 1

    def _place(self, i: int) -> tuple[pa.RecordBatch, int]:
        """Return clip i's record batch and its row there."""
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        path, index = self._batches[self._position(i)]
        return self._shard(path)[index], i - int(self._ends[self._position(i)])

    def _damaged(self, i: int, what: str) -> UserError:
        path, _ = self._batches[self._position(i)]
        return UserError(f"{path}: the shard is damaged, {what} of {self.clip_ids[i]} has changed; {remaking(path)}")


def classes_fact(classes: Sequence[str]) -> dict[str, str]:
    """Return how a shard's metadata hold the names of the classes."""
    return {"classes": json.dumps(list(classes))}


def classes_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the classes; ValueError if there are none."""
    classes = tuple(json.loads(metadata["classes"]))
    if not classes:
        raise ValueError("no classes")
    return classes


def _open(kind: type[Shards], path: str) -> tuple[pa.RecordBatchFileReader, Form]:
    try:
        file = pa.memory_map(path)
    except FileNotFoundError:
        raise UserError(f"{path}: the shard is missing; {kind.made_by}") from None
    except OSError as error:
        raise UserError(f"{path}: the shard cannot be read: {error}") from None
    try:
        shard = pa.ipc.open_file(file)
        form = kind.form({key.decode(): value.decode() for key, value in shard.schema.metadata.items()})
        ours = shard.schema.equals(form.schema)
    except KeyError as error:
        raise UserError(
            f"{path}: an Arrow file, but not of {kind.holding}: it has no {error}; give one, or {remaking(path)}"
        ) from None
    except (*DAMAGE, AttributeError) as error:
        raise UserError(
            f"{path}: not a whole shard of {kind.holding} ({reason(path, error, ARROW)}); {remaking(path)}"
        ) from None
    if not ours:
        raise UserError(f"{path}: an Arrow file, but not of {kind.holding} in this version's form; {remaking(path)}")
    return shard, form


def _checked_batch(shard: pa.RecordBatchFileReader, index: int, path: str, form: Form) -> pa.RecordBatch:
    """Return a record batch of which everything that is not checked when it is read was compared with its checksums."""
    try:
        batch = shard.get_batch(index)
        # Places of values in the file: beyond it, reading them would end the process.
        batch.validate(full=True)
        whole = _row_checksums(batch, form) == batch["row_crc32"].to_pylist()
    except DAMAGE as error:
        raise UserError(f"{path}: the shard is damaged ({error}); {remaking(path)}") from None
    if not whole:
        raise UserError(f"{path}: the shard is damaged, what it says of a clip has changed; {remaking(path)}")
    return batch


def _row_checksums(batch: pa.RecordBatch, form: Form) -> list[int]:
    """Return the CRC-32 of what each row says, of its lengths and of what the shard says of all."""
    # Not by to_numpy(), which imports pandas.
    ends = [batch[name].offsets.to_pylist() for name in form.lengths]
    lengths = [[stop - start for start, stop in pairwise(column)] for column in ends]
    # Once, as class names may be many.
    facts = sorted((key.decode(), value.decode()) for key, value in batch.schema.metadata.items())
    whole = crc32(json.dumps(facts).encode())
    rows = zip(batch.select(form.row).to_pylist(), *lengths, strict=True)
    return [crc32(json.dumps([whole, *row]).encode()) for row in rows]


def _batches(kind: type[Shards], path: str) -> list[pa.RecordBatch]:
    """Return a shard's record batches, which are views into the file: nothing of the clips is read."""
    shard, _ = _open(kind, path)
    return [shard.get_batch(index) for index in range(shard.num_record_batches)]
