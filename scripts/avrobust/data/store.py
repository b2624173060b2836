"""Packed clips: sound and frames, in shards."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import simplejpeg

from avrobust.data import shards
from avrobust.data.shards import IDENTITY, ROW_CHECKSUM, Form, Shards, ShardWriter, classes_fact, classes_of

# Checked when a shard is opened: a clip's values, and how much sound and how many frames it has. These themselves are
# checked when they are read.
ROW = ("clip_id", "split", "labels", "start", "end", "box", "width", "height")
LENGTHS = ("audio", "frames", "frame_crc32")

# What a PNG begins with.
PNG = b"\x89PNG"

SCHEMA = pa.schema(
    [
        *IDENTITY,
        pa.field("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("audio", pa.large_list(pa.int16()), nullable=False),
        pa.field("frames", pa.list_(pa.large_binary()), nullable=False),
        pa.field("box", pa.list_(pa.float64(), 4)),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("audio_crc32", pa.uint32(), nullable=False),
        pa.field("frame_crc32", pa.list_(pa.uint32()), nullable=False),
        ROW_CHECKSUM,
    ]
)


@dataclass(frozen=True)
class PackedClip:
    """One row: labels as class indices, times in seconds, int16 mono samples (n,), frames as JPEG or PNG."""

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


def writing(
    path: str | Path, *, audio_rate: int, frame_rate: int, classes: Sequence[str]
) -> AbstractContextManager[ShardWriter]:
    """Return a ShardWriter of PackedClip for a `with` block; the shard appears at `path` only if that succeeds.

    The rates are samples and frames per second; `classes` what the labels are indices of.
    """
    rates = {"audio_rate": str(audio_rate), "frame_rate": str(frame_rate)}
    return shards.writing(path, Store.form(rates | classes_fact(classes)), _row)


def _row(clip: PackedClip) -> tuple[dict, int]:
    row = {field.name: getattr(clip, field.name) for field in fields(clip)}
    row |= {"audio_crc32": crc32(clip.audio), "frame_crc32": list(map(crc32, clip.frames))}
    return row, clip.audio.nbytes + sum(map(len, clip.frames))


class Store(Shards):
    """Random access to packed clips."""

    holding, made_by = "packed clips", "pack it (scripts/pack.py, or the workflow)"

    def __init__(self, paths: Iterable[str | Path]) -> None:
        super().__init__(paths)
        self.audio_rate, self.frame_rate = self.facts["rates"]

    @classmethod
    def form(cls, metadata: Mapping[str, str]) -> Form:
        """Return the form of shards with these rates and classes."""
        rates = int(metadata["audio_rate"]), int(metadata["frame_rate"])
        if min(rates) < 1:
            raise ValueError(f"rates {rates}")
        facts = {"rates": rates, "classes": classes_of(metadata)}
        return Form(SCHEMA.with_metadata(metadata), ROW, LENGTHS, facts)

    def box(self, i: int) -> tuple[float, ...] | None:
        """Return where in the frames of clip i what sounds is, (x0, y0, x1, y1) in fractions; None if nobody knows."""
        batch, row = self._place(i)
        box = batch["box"][row].as_py()
        return box and tuple(box)

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

    def sample_count(self, i: int) -> int:
        """Return the number of samples of clip i; they themselves are not read."""
        batch, row = self._place(i)
        return len(batch["audio"][row])

    def frame_count(self, i: int) -> int:
        """Return the number of frames of clip i."""
        batch, row = self._place(i)
        return len(batch["frames"][row])

    def encoded(self, i: int, k: int) -> bytes:
        """Return frame k of clip i as the bytes of a JPEG, or of a PNG where nothing of it is lost.

        Raises UserError if they are damaged, IndexError unless 0 <= k < frame_count(i).
        """
        batch, row = self._place(i)
        frames = batch["frames"][row].values
        if not 0 <= k < len(frames):
            raise IndexError(f"frame {k} of clip {i}, which has {len(frames)}")
        encoded = frames[k].as_buffer().to_pybytes()
        if crc32(encoded) != batch["frame_crc32"][row][k].as_py():
            raise self._damaged(i, f"frame {k}")
        return encoded

    def pixels(self, i: int, k: int) -> np.ndarray:
        """Return frame k of clip i, RGB, uint8 (H, W, 3); raises IndexError as `encoded` does."""
        encoded = self.encoded(i, k)
        if encoded.startswith(PNG):
            from PIL import Image

            return np.asarray(Image.open(io.BytesIO(encoded)))
        # Pillow decodes to the same bits, in one and a half times the time.
        return simplejpeg.decode_jpeg(encoded)
