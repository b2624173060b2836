"""Packed clips in Arrow files: written one clip after the other, read in any order through memory maps."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from avrobust.files import replacing
from avrobust.program import UserError

# A record batch is closed at this many clips or bytes: few, so that memory stays flat while writing, but
# more than one, so that the index of a shard is read quickly.
BATCH_CLIPS, BATCH_BYTES = 16, 16 << 20

# Shards mapped at a time: many systems allow a process no more than 1024 open files.
OPEN_SHARDS = 256

CURE = "delete it and pack it again (scripts/pack.py, or the workflow)"

SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.int16()), nullable=False),
        pa.field("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("audio", pa.large_list(pa.int16()), nullable=False),
        pa.field("frames", pa.list_(pa.large_binary()), nullable=False),
        pa.field("box", pa.list_(pa.float64(), 4)),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PackedClip:
    """One row: labels as class indices, times in seconds, int16 mono samples (n,), frames as JPEG."""

    clip_id: str
    split: str
    labels: tuple[int, ...]
    start: float | None
    end: float | None
    audio: np.ndarray
    frames: list[bytes]
    box: tuple[float, float, float, float] | None
    width: int
    height: int


class ShardWriter:
    """Appends clips to a shard; see `writing`."""

    def __init__(self, sink: pa.RecordBatchFileWriter, schema: pa.Schema) -> None:
        self._sink, self._schema = sink, schema
        self._waiting: list[PackedClip] = []
        self._bytes = 0

    def add(self, clip: PackedClip) -> None:
        """Append one clip."""
        self._waiting.append(clip)
        self._bytes += clip.audio.nbytes + sum(map(len, clip.frames))
        if len(self._waiting) >= BATCH_CLIPS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the clips that wait as one record batch."""
        if self._waiting:
            columns = [
                pa.array([getattr(clip, field.name) for clip in self._waiting], self._schema.field(field.name).type)
                for field in fields(PackedClip)
            ]
            self._sink.write_batch(pa.record_batch(columns, schema=self._schema))
            self._waiting, self._bytes = [], 0


@contextmanager
def writing(path: str | Path, *, audio_rate: int, frame_rate: int) -> Iterator[ShardWriter]:
    """Yield a ShardWriter for a new shard, which appears at `path` only if the block succeeds.

    The rates are samples and frames per second. A shard without clips is valid.
    """
    schema = SCHEMA.with_metadata({"audio_rate": str(audio_rate), "frame_rate": str(frame_rate)})
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as sink,
    ):
        writer = ShardWriter(sink, schema)
        yield writer
        writer.flush()


class Store:
    """Random access to the clips of many shards, which count as one sequence in the order given.

    Opening reads names and labels only; audio and frames stay in the files until asked for. A Store can be
    sent to other processes, which map the files anew.

    Raises UserError if a file is missing, cut short, not a shard, of other rates, or holds a clip again.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = tuple(map(str, paths))
        if not self.paths:
            raise UserError("no shard is given, a store needs at least one")
        self.clip_ids: list[str] = []
        self.splits: list[str] = []
        self.labels: list[tuple[int, ...]] = []
        self.boxes: list[tuple[float, ...] | None] = []
        batch_sizes, self._batches = [], []
        rates = {}
        for number, path in enumerate(self.paths):
            shard = _open(path)
            rates.setdefault(_rates(shard), path)
            for index in range(shard.num_record_batches):
                batch = shard.get_batch(index)
                batch_sizes.append(batch.num_rows)
                self._batches.append((number, index))
                self.clip_ids += batch["clip_id"].to_pylist()
                self.splits += batch["split"].to_pylist()
                self.labels += map(tuple, batch["labels"].to_pylist())
                self.boxes += (box and tuple(box) for box in batch["box"].to_pylist())
        if len(rates) > 1:
            raise UserError(f"shards of different rates: {'; '.join(f'{p}: {r}' for r, p in rates.items())}")
        if len(set(self.clip_ids)) < len(self.clip_ids):
            raise UserError(f"a clip is in the shards twice; the first of them is {self.paths[0]}; {CURE}")
        (self.audio_rate, self.frame_rate), *_ = rates
        self._ends = np.cumsum([0, *batch_sizes])
        self._shard = lru_cache(maxsize=OPEN_SHARDS)(_batches)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_shard"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._shard = lru_cache(maxsize=OPEN_SHARDS)(_batches)

    def indices(self, split: str) -> np.ndarray:
        """Return the positions (n,) of a split's clips, ascending."""
        return np.flatnonzero(np.array(self.splits, dtype=str) == split)

    def audio(self, i: int) -> np.ndarray:
        """Return clip i's samples, int16 (n,): a read-only view into the file."""
        batch, row = self._place(i)
        samples = batch["audio"][row].values
        # Not by to_numpy(), which imports pandas: a tenth of the time that an attack on few clips takes.
        return np.frombuffer(samples.buffers()[1], np.int16)[samples.offset : samples.offset + len(samples)]

    def frame_count(self, i: int) -> int:
        """Return the number of frames of clip i."""
        batch, row = self._place(i)
        return len(batch["frames"][row])

    def jpeg(self, i: int, k: int) -> bytes:
        """Return frame k of clip i as JPEG bytes; raises IndexError unless 0 <= k < frame_count(i)."""
        batch, row = self._place(i)
        frames = batch["frames"][row].values
        if not 0 <= k < len(frames):
            raise IndexError(f"frame {k} of clip {i}, which has {len(frames)}")
        return frames[k].as_buffer().to_pybytes()

    def frame(self, i: int, k: int) -> Image.Image:
        """Return frame k of clip i, RGB; raises IndexError as `jpeg` does."""
        return Image.open(io.BytesIO(self.jpeg(i, k)), formats=("JPEG",))

    def _place(self, i: int) -> tuple[pa.RecordBatch, int]:
        """Return clip i's record batch and its row there."""
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        position = int(np.searchsorted(self._ends, i, side="right")) - 1
        number, index = self._batches[position]
        return self._shard(self.paths[number])[index], i - int(self._ends[position])


def _open(path: str) -> pa.RecordBatchFileReader:
    try:
        shard = pa.ipc.open_file(pa.memory_map(path))
    except FileNotFoundError:
        raise UserError(f"{path}: the shard is missing; pack it (scripts/pack.py, or the workflow)") from None
    except OSError as error:
        raise UserError(f"{path}: the shard cannot be read: {error}") from None
    except pa.ArrowInvalid:
        raise UserError(f"{path}: not a whole shard of packed clips; {CURE}") from None
    if not shard.schema.equals(SCHEMA):
        raise UserError(f"{path}: an Arrow file, but not of packed clips in this version's form; {CURE}")
    return shard


def _batches(path: str) -> list[pa.RecordBatch]:
    """Return a shard's record batches, which are views into the file: nothing of the clips is read."""
    shard = _open(path)
    return [shard.get_batch(index) for index in range(shard.num_record_batches)]


def _rates(shard: pa.RecordBatchFileReader) -> tuple[int, int]:
    """Return (audio rate, frame rate)."""
    metadata = shard.schema.metadata
    return int(metadata[b"audio_rate"]), int(metadata[b"frame_rate"])
