"""Decode one clip to JPEG frames at a constant rate and to mono PCM, and name what is wrong with it."""

import io
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from PIL import Image

from avrobust import imagenet

Item = TypeVar("Item")

JPEG_QUALITY = 95

# Seconds read around a span. Before it: containers seek by decoding time, which precedes the time of
# presentation, and audio decoders need a few packets until they are exact. After it: how far the packets of
# the two streams may lie apart in the file.
MARGIN_BEFORE, MARGIN_AFTER = 0.5, 2.0

# Seconds: a frame further ahead of the one before it has a broken time, and would fill the gap with copies.
LONGEST_GAP = 600.0

# The command line rounds a frame's time, counted in output frames, to this many parts, and then moves it by
# half a part away from zero.
TIME_PARTS = 1 << 16


MEAN_COLOUR = tuple(round(255 * mean) for mean in imagenet.MEAN)


@dataclass(frozen=True)
class Form:
    """How clips are stored: samples per second, frames per second, pixels of the short side (0: as it is).

    A clip with fewer than `minimum_frames` frames is too short.
    """

    audio_rate: int
    frame_rate: int
    short_side: int
    minimum_frames: int


@dataclass(frozen=True)
class Media:
    """A decoded clip: JPEG frames of one size (width, height), int16 mono samples (n,), codes of its faults.

    The codes are `no_file`, `empty_file`, `unreadable`, `no_video_stream`, `no_audio_stream`, `no_frames`,
    `no_samples`, `sound_ends_early` (before the middle frame), `corrupt_stream` and `too_short`, in this order,
    each at most once.
    """

    frames: list[bytes]
    size: tuple[int, int]
    audio: np.ndarray
    faults: tuple[str, ...]


NOTHING = Media([], (0, 0), np.zeros(0, np.int16), ())


def blank(form: Form) -> Media:
    """The stand-in for a clip that failed: `minimum_frames` frames of ImageNet's mean colour, as much silence.

    The released loader's zeros stand for the mean colour, because it fills in after normalising.
    """
    side = form.short_side or 224
    count = max(form.minimum_frames, 1)
    silence = np.zeros(count * form.audio_rate // form.frame_rate, np.int16)
    return Media([_jpeg(Image.new("RGB", (side, side), MEAN_COLOUR))] * count, (side, side), silence, ())


def read(path: str | Path, start: float | None, end: float | None, form: Form) -> Media:
    """Decode the first video and audio stream of a file within [start, end) seconds (None: all of it).

    Time counts from the start of the file, and in the result from `start`. Whatever the file holds, this
    returns; what is wrong with it is in `faults`.
    """
    fault = _file_fault(Path(path))
    if fault is None:
        try:
            # Only plain files: a play list must lead neither to other files nor to the network.
            options = {"protocol_whitelist": "file"}
            container = av.open(f"file:{path}", metadata_errors="replace", options=options)
        except Exception:
            fault = "unreadable"
    if fault is not None:
        return Media([], (0, 0), np.zeros(0, np.int16), (fault,))
    with container:
        # A cover picture is not a moving one.
        moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        video, audio = next(moving, None), next(iter(container.streams.audio), None)
        decoder = _Decoder()
        pictures = _Pictures(form.short_side, decoder)
        sound = _Sound(form.audio_rate, start, end, decoder)
        frames = decoder.frames(container, [s for s in (video, audio) if s is not None], start, end)
        for picture in constant_rate(_timed_pictures(frames, video, start, end, form.frame_rate, sound)):
            pictures.add(picture)
        samples = sound.finish()
    found = {
        "no_video_stream": video is None,
        "no_audio_stream": audio is None,
        "no_frames": video is not None and not pictures.jpegs,
        "no_samples": audio is not None and not len(samples),
        "sound_ends_early": 0 < len(samples) < len(pictures.jpegs) * form.audio_rate // (2 * form.frame_rate),
        "corrupt_stream": decoder.failed,
        "too_short": 0 < len(pictures.jpegs) < form.minimum_frames,
    }
    return Media(pictures.jpegs, pictures.size, samples, tuple(code for code, holds in found.items() if holds))


def constant_rate(frames: Iterable[tuple[Item, float, float]]) -> Iterator[Item]:
    """Choose frames as `ffmpeg -r` of version 5.1 does when it writes pictures: one item per output frame.

    `frames` gives (item, time, duration) in order of presentation, both counted in output frames. Ten seconds
    at 8 per second become 82 frames, not 80: a slot is filled as soon as a frame ends more than 1.1 slots
    ahead, and the last frame is repeated as often as was usual (the median of the last three).

    In a file of a single stream ffmpeg also moves a late first frame to time zero. That is left out: such a
    file has no sound or no picture.
    """
    count, previous, repeats = 0, None, [0, 0, 0]
    for item, time, duration in frames:
        late = time - count
        ahead = late + duration
        if late < 0 < ahead:
            late = 0.0
        copies = of_previous = 0
        if ahead > 1.1:
            copies = round(ahead)
            if late > 1.1:
                of_previous = min(round(late - 0.6), copies)
        elif ahead >= -1.1:
            copies = 1
        for copy in range(copies):
            yield item if copy >= of_previous or previous is None else previous
        count += copies
        previous = item
        repeats = [*repeats[1:], of_previous]
    for _ in range(median(repeats)):
        yield previous


def _file_fault(path: Path) -> str | None:
    try:
        if not path.is_file():
            return "no_file"
        return None if path.stat().st_size else "empty_file"
    except OSError:
        return "unreadable"


class _Decoder:
    """Decodes; `with decoder:` stands around every call into libav, and only there.

    So an exception of whatever kind is a fault of the file, and no mistake of ours is taken for one.
    """

    def __init__(self) -> None:
        self.failed = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        fault = kind is not None and issubclass(kind, Exception)
        self.failed = self.failed or fault
        return fault

    def frames(
        self,
        container: av.container.InputContainer,
        streams: list[av.stream.Stream],
        start: float | None,
        end: float | None,
    ) -> Iterator[tuple[av.frame.Frame, float]]:
        """Yield the streams' frames, each with its time in seconds, from before `start` to after `end`."""
        if not streams:
            return
        for stream in streams:
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
        # ffmpeg 5.1 began Opus in Matroska 6.5 ms early, at its pre-skip; libav has since put that right.
        origin = container.start_time or 0
        if start is not None and start > MARGIN_BEFORE:
            with suppress(Exception):  # a file that cannot seek is read from its beginning
                container.seek(origin + round((start - MARGIN_BEFORE) * av.time_base))
        last = start or 0.0
        packets = container.demux(streams)
        packet = self._next(packets)
        while packet is not None:
            at = None if packet.dts is None else float(packet.dts * packet.time_base) - origin / av.time_base
            if None not in (at, end) and at > end + MARGIN_AFTER:
                break
            # What is broken outside the span is none of its faults.
            early = None not in (at, start) and at < start - MARGIN_BEFORE
            late = None not in (at, end) and at > end + MARGIN_BEFORE
            self.failed = self.failed or (packet.is_corrupt and not (early or late))
            decoded = []
            with suppress(Exception) if early or late else self:
                decoded = packet.decode()
            for frame in decoded:
                if frame.pts is None:
                    continue
                seconds = float(frame.pts * frame.time_base) - origin / av.time_base
                if seconds > last + LONGEST_GAP:
                    self.failed = True
                    continue
                last = seconds
                yield frame, seconds
            packet = self._next(packets)

    def _next(self, packets: Iterator[av.Packet]) -> av.Packet | None:
        with self:
            return next(packets, None)
        return None


def _timed_pictures(
    frames: Iterable[tuple[av.frame.Frame, float]],
    video: av.VideoStream | None,
    start: float | None,
    end: float | None,
    rate: int,
    sound: "_Sound",
) -> Iterator[tuple[av.VideoFrame, float, float]]:
    """Hand the audio frames to `sound` and yield (picture, time, duration) in output frames from `start`."""
    usual = min(rate / video.guessed_rate, 1.0) if video is not None and video.guessed_rate else 0.0
    for frame, seconds in frames:
        if isinstance(frame, av.AudioFrame):
            sound.add(frame, seconds)
            continue
        # A microsecond, because both limits are such counts in the command line.
        if (start is not None and seconds < start - 1e-6) or (end is not None and seconds >= end - 1e-6):
            continue
        time = (seconds - (start or 0.0)) * rate
        time = (math.floor(time * TIME_PARTS + 0.5) + (0.5 if time > 0 else -0.5)) / TIME_PARTS
        yield frame, time, round((frame.duration or 0) * frame.time_base * rate) or usual


class _Pictures:
    """Collects frames as JPEG, upright and scaled down; a frame added twice in a row is encoded once."""

    def __init__(self, short_side: int, decoder: _Decoder) -> None:
        self.short_side = short_side
        self.decoder = decoder
        self.reformatter = VideoReformatter()
        self.jpegs: list[bytes] = []
        self.size = (0, 0)
        self.last: av.VideoFrame | None = None
        self.encoded = b""
        self.matrix: tuple[int, ...] = ()

    def add(self, frame: av.VideoFrame) -> None:
        if frame is not self.last:
            pixels = None
            with self.decoder:
                # Once a clip: side data and its frame hold each other, so the frame's memory is freed late.
                self.matrix = self.matrix or _display_matrix(frame)
                pixels = _upright(self.reformatter.reformat(frame, format="rgb24").to_ndarray(), self.matrix)
            if pixels is None:
                return
            image = Image.fromarray(pixels)
            # A stream may change its size: all frames take that of the first.
            self.size = self.size if self.jpegs else _scaled(image.size, self.short_side)
            if image.size != self.size:
                image = image.resize(self.size, Image.Resampling.BICUBIC)
            self.last, self.encoded = frame, _jpeg(image)
        self.jpegs.append(self.encoded)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    """Return the nine numbers that say how to turn the stream's frames, row by row; by default the identity."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return tuple(np.frombuffer(data, np.int32).tolist())
    return (1, 0, 0, 0, 1, 0, 0, 0, 1)


def _upright(pixels: np.ndarray, matrix: tuple[int, ...]) -> np.ndarray:
    """Apply a display matrix (quarter turns and mirrors) to pixels (height, width, 3)."""
    x_from_x, y_from_x, _, x_from_y, y_from_y = matrix[:5]
    if abs(y_from_x) > abs(x_from_x):
        pixels = pixels.swapaxes(0, 1)
        x_from_x, y_from_y = x_from_y, y_from_x
    pixels = pixels[:, ::-1] if x_from_x < 0 else pixels
    pixels = pixels[::-1] if y_from_y < 0 else pixels
    return np.ascontiguousarray(pixels)


def _scaled(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    short = min(size)
    if not 0 < short_side < short:
        return size
    width, height = (round(length * short_side / short) for length in size)
    return width, height


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return data.getvalue()


class _Sound:
    """Mixes audio frames to mono int16 at one rate; within a span, sample k lies at start + k / rate."""

    def __init__(self, rate: int, start: float | None, end: float | None, decoder: _Decoder) -> None:
        self.rate, self.start, self.end = rate, start, end
        self.decoder = decoder
        self.form: tuple[str, str, int] | None = None
        self.resampler: av.AudioResampler | None = None
        self.first: float | None = None
        self.parts: list[np.ndarray] = []

    def add(self, frame: av.AudioFrame, seconds: float) -> None:
        if self.start is not None and seconds + frame.samples / frame.sample_rate <= self.start:
            return
        if self.end is not None and seconds >= self.end:
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self.form:  # streams do change, from mono to stereo for one
            self._resample(None)
            self.form, self.resampler = form, av.AudioResampler("s16", "mono", self.rate)
        if self.first is None:
            self.first = seconds
        self._resample(frame)

    def finish(self) -> np.ndarray:
        """Return the samples (n,) and end the mixing."""
        self._resample(None)
        samples = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int16)
        if self.start is not None and self.first is not None:
            early = round((self.start - self.first) * self.rate)
            samples = samples[early:] if early > 0 else np.pad(samples, (-early, 0))
        if self.end is not None:
            samples = samples[: round((self.end - (self.start or 0.0)) * self.rate)]
        return samples

    def _resample(self, frame: av.AudioFrame | None) -> None:
        if self.resampler is not None:
            with self.decoder:
                self.parts += [part.to_ndarray()[0] for part in self.resampler.resample(frame)]
