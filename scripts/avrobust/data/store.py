"""Packed clips in Arrow files: written one clip after the other, read in any order through memory maps."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import simplejpeg
from PIL import Image

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

# Checked when a shard is opened: a clip's values, and how much sound and how many frames it has. These themselves are
# checked when they are read.
ROW = ("clip_id", "split", "labels", "start", "end", "box", "width", "height")

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
        pa.field("audio_crc32", pa.uint32(), nullable=False),
        pa.field("frame_crc32", pa.list_(pa.uint32()), nullable=False),
        pa.field("row_crc32", pa.uint32(), nullable=False),
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
            names = [field.name for field in fields(PackedClip)]
            columns = {name: [getattr(clip, name) for clip in self._waiting] for name in names}
            columns["audio_crc32"] = [crc32(clip.audio) for clip in self._waiting]
            columns["frame_crc32"] = [list(map(crc32, clip.frames)) for clip in self._waiting]
            columns["row_crc32"] = [0] * len(self._waiting)
            batch = pa.record_batch(
                [pa.array(values, self._schema.field(name).type) for name, values in columns.items()],
                schema=self._schema,
            )
            # Of the values as they are read again.
            checksums = pa.array(_row_checksums(batch), pa.uint32())
            self._sink.write_batch(batch.set_column(len(columns) - 1, self._schema.field("row_crc32"), checksums))
            self._waiting, self._bytes = [], 0


@contextmanager
def writing(path: str | Path, *, audio_rate: int, frame_rate: int, classes: Sequence[str]) -> Iterator[ShardWriter]:
    """Yield a ShardWriter for a new shard, which appears at `path` only if the block succeeds.

    The rates are samples and frames per second; `classes` what the labels are indices of. A shard without clips is
    valid.
    """
    facts = {"audio_rate": str(audio_rate), "frame_rate": str(frame_rate), "classes": json.dumps(list(classes))}
    schema = SCHEMA.with_metadata(facts)
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
    sent to other processes, which map the files anew. What is read is compared with its checksum.

    `classes` are the names that labels are indices of.

    Raises UserError if a file is missing, damaged, not a shard, of other rates or classes, or holds a clip again.
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
        facts: dict[tuple[int, int, tuple[str, ...]], str] = {}
        for number, path in enumerate(self.paths):
            shard = _open(path)
            facts.setdefault(_facts(shard), path)
            for index in range(shard.num_record_batches):
                batch = _checked_batch(shard, index, path)
                batch_sizes.append(batch.num_rows)
                self._batches.append((number, index))
                self.clip_ids += batch["clip_id"].to_pylist()
                self.splits += batch["split"].to_pylist()
                self.labels += map(tuple, batch["labels"].to_pylist())
                self.boxes += (box and tuple(box) for box in batch["box"].to_pylist())
        (first, path), *others = facts.items()
        for other, its_path in others:
            what = "classes" if other[:2] == first[:2] else "rates"
            raise UserError(f"{path} and {its_path} are shards of different {what}; pack them again from one list")
        if len(set(self.clip_ids)) < len(self.clip_ids):
            raise UserError(
                f"a clip is in the shards twice; the first of them is {self.paths[0]}; delete them and pack them again"
            )
        self.audio_rate, self.frame_rate, self.classes = first
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
        """Return clip i's samples, int16 (n,): a read-only view into the file.

        Raises UserError if they are damaged.
        """
        batch, row = self._place(i)
        samples = batch["audio"][row].values
        # Not by to_numpy(), which imports pandas: a tenth of the time that an attack on few clips takes.
        sound = np.frombuffer(samples.buffers()[1], np.int16)[samples.offset : samples.offset + len(samples)]
        if crc32(sound) != batch["audio_crc32"][row].as_py():
            raise self._damaged(i, "sound")
        return sound

    def frame_count(self, i: int) -> int:
        """Return the number of frames of clip i."""
        batch, row = self._place(i)
        return len(batch["frames"][row])

    def jpeg(self, i: int, k: int) -> bytes:
        """Return frame k of clip i as JPEG bytes.

        Raises UserError if they are damaged, IndexError unless 0 <= k < frame_count(i).
        """
        batch, row = self._place(i)
        frames = batch["frames"][row].values
        if not 0 <= k < len(frames):
            raise IndexError(f"frame {k} of clip {i}, which has {len(frames)}")
        jpeg = frames[k].as_buffer().to_pybytes()
        if crc32(jpeg) != batch["frame_crc32"][row][k].as_py():
            raise self._damaged(i, f"frame {k}")
        return jpeg

    def frame(self, i: int, k: int) -> Image.Image:
        """Return frame k of clip i, RGB; raises IndexError as `jpeg` does."""
        # Pillow decodes to the same bits, in one and a half times the time.
        return Image.fromarray(simplejpeg.decode_jpeg(self.jpeg(i, k)))

    def _place(self, i: int) -> tuple[pa.RecordBatch, int]:
        """Return clip i's record batch and its row there."""
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        position = int(np.searchsorted(self._ends, i, side="right")) - 1
        number, index = self._batches[position]
        return self._shard(self.paths[number])[index], i - int(self._ends[position])

    def _damaged(self, i: int, what: str) -> UserError:
        number, _ = self._batches[int(np.searchsorted(self._ends, i, side="right")) - 1]
        path = self.paths[number]
        return UserError(f"{path}: the shard is damaged, {what} of {self.clip_ids[i]} has changed; {remaking(path)}")


def _open(path: str) -> pa.RecordBatchFileReader:
    try:
        file = pa.memory_map(path)
    except FileNotFoundError:
        raise UserError(f"{path}: the shard is missing; pack it (scripts/pack.py, or the workflow)") from None
    except OSError as error:
        raise UserError(f"{path}: the shard cannot be read: {error}") from None
    try:
        shard = pa.ipc.open_file(file)
        audio_rate, frame_rate, classes = _facts(shard)
        ours = shard.schema.equals(SCHEMA) and audio_rate > 0 and frame_rate > 0 and len(classes) > 0
    except DAMAGE as error:
        raise UserError(
            f"{path}: not a whole shard of packed clips ({reason(path, error, ARROW)}); {remaking(path)}"
        ) from None
    if not ours:
        raise UserError(f"{path}: an Arrow file, but not of packed clips in this version's form; {remaking(path)}")
    return shard


def _checked_batch(shard: pa.RecordBatchFileReader, index: int, path: str) -> pa.RecordBatch:
    """Return a record batch of which everything but sound and frames was compared with its checksums."""
    try:
        batch = shard.get_batch(index)
        # Places of values in the file: beyond it, reading them would end the process.
        batch.validate(full=True)
        whole = _row_checksums(batch) == batch["row_crc32"].to_pylist()
    except DAMAGE as error:
        raise UserError(f"{path}: the shard is damaged ({error}); {remaking(path)}") from None
    if not whole:
        raise UserError(f"{path}: the shard is damaged, what it says of a clip has changed; {remaking(path)}")
    return batch


def _row_checksums(batch: pa.RecordBatch) -> list[int]:
    """Return the CRC-32 of what each row says, of its lengths and of what the shard says of all."""
    # Not by to_numpy(), which imports pandas.
    ends = [batch[name].offsets.to_pylist() for name in ("audio", "frames", "frame_crc32")]
    lengths = [[stop - start for start, stop in pairwise(column)] for column in ends]
    # Once, as class names may be many.
    facts = sorted((key.decode(), value.decode()) for key, value in batch.schema.metadata.items())
    whole = crc32(json.dumps(facts).encode())
    rows = zip(batch.select(ROW).to_pylist(), *lengths, strict=True)
    return [crc32(json.dumps([whole, *row]).encode()) for row in rows]


def _batches(path: str) -> list[pa.RecordBatch]:
    """Return a shard's record batches, which are views into the file: nothing of the clips is read."""
    shard = _open(path)
    return [shard.get_batch(index) for index in range(shard.num_record_batches)]


def _facts(shard: pa.RecordBatchFileReader) -> tuple[int, int, tuple[str, ...]]:
    """Return (audio rate, frame rate, class names)."""
    metadata = shard.schema.metadata
    return int(metadata[b"audio_rate"]), int(metadata[b"frame_rate"]), tuple(json.loads(metadata[b"classes"]))
