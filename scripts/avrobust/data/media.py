"""Decode one clip to JPEG frames at a constant rate and to mono PCM, and name what is wrong with it."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from avrobust import imagenet
from avrobust.data import containers
from avrobust.data.containers import in_seconds
from avrobust.data.frame_rate import LONGEST_GAP, constant_rate, in_output_frames, unneeded
from avrobust.data.pictures import Pictures, plain

MEAN_COLOUR = tuple(round(255 * mean) for mean in imagenet.MEAN)

# Seconds of sound that are mixed at a time: a call for every packet would take longer than the mixing.
AT_A_TIME = 1


class _Needed(Exception):
    """A frame is shown that was taken for unneeded."""


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
    return Media([plain(MEAN_COLOUR, side)] * count, (side, side), silence, ())


def read(path: str | Path, start: float | None, end: float | None, form: Form) -> Media:
    """Decode the first video and audio stream of a file within [start, end) seconds (None: all of it).

    Time counts from the start of the file, and in the result from `start`. Whatever the file holds, this
    returns; what is wrong with it is in `faults`. Frames that are neither kept nor referred to are not
    decoded: what is broken there goes unnoticed.
    """
    fault = _file_fault(Path(path))
    if fault is not None:
        return Media([], (0, 0), np.zeros(0, np.int16), (fault,))
    try:
        return _read(path, start, end, form, unneeded(path, start, end, form.frame_rate))
    except _Needed:  # a frame that was to be kept is broken, so that another one takes its place
        return _read(path, start, end, form, frozenset())


def _read(path: str | Path, start: float | None, end: float | None, form: Form, skipped: frozenset[int]) -> Media:
    """Decode a file but for the packets `skipped`, by time of presentation. Raises _Needed if one is needed."""
    try:
        container = containers.opened(path)
    except Exception:
        return Media([], (0, 0), np.zeros(0, np.int16), ("unreadable",))
    with container:
        video, audio = containers.picture_and_sound(container)
        decoder = _Decoder(skipped)
        pictures = Pictures(form.short_side, decoder)
        sound = _Sound(form.audio_rate, start, end, decoder)
        frames = decoder.frames(container, [s for s in (video, audio) if s is not None], start, end)
        guessed_rate = video.guessed_rate if video else None
        for picture in constant_rate(
            in_output_frames(_pictures(frames, sound), guessed_rate, start, end, form.frame_rate)
        ):
            if picture is None:
                raise _Needed
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

    def __init__(self, skipped: frozenset[int]) -> None:
        """Leave out the video packets `skipped`, by time of presentation, to which no other refers."""
        self.skipped = skipped
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
    ) -> Iterator[tuple[av.frame.Frame | None, float, float]]:
        """Yield the streams' frames, each with time and duration in seconds, from before `start` to after `end`.

        None stands for a video frame that was left out.
        """
        begin = containers.origin(container)
        last = start or 0.0
        passed: list[tuple[int, float, float]] = []
        packets = containers.packets(container, streams, start, end)
        while (read := self._next(packets)) is not None:
            packet, outside = read
            # What is broken outside the span is none of its faults.
            self.failed = self.failed or (packet.is_corrupt and not outside)
            if packet.stream.type == "video":
                skip = packet.pts in self.skipped
                packet.stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
                if skip:
                    at, lasts = (in_seconds(count or 0, packet.time_base) for count in (packet.pts, packet.duration))
                    heapq.heappush(passed, (packet.pts, at - begin, lasts))
            decoded = []
            with suppress(Exception) if outside else self:
                decoded = packet.decode()
            for frame in decoded:
                if frame.pts is None:
                    continue
                seconds = in_seconds(frame.pts, frame.time_base) - begin
                if seconds > last + LONGEST_GAP:
                    self.failed = True
                    continue
                last = seconds
                if isinstance(frame, av.VideoFrame):
                    while passed and passed[0][0] <= frame.pts:
                        pts, *when = heapq.heappop(passed)
                        if pts < frame.pts:
                            yield None, *when
                yield frame, seconds, in_seconds(frame.duration or 0, frame.time_base)
        yield from ((None, seconds, duration) for _, seconds, duration in sorted(passed))

    def _next(self, packets: Iterator[tuple[av.Packet, bool]]) -> tuple[av.Packet, bool] | None:
        with self:
            return next(packets, None)
        return None


def _pictures(
    frames: Iterable[tuple[av.frame.Frame | None, float, float]], sound: "_Sound"
) -> Iterator[tuple[av.VideoFrame | None, float, float]]:
    """Hand the audio frames to `sound` and pass the others on."""
    for frame, seconds, duration in frames:
        if isinstance(frame, av.AudioFrame):
            sound.add(frame, seconds)
        else:
            yield frame, seconds, duration


class _Sound:
    """Mixes audio frames to mono int16 at one rate; within a span, sample k lies at start + k / rate."""

    def __init__(self, rate: int, start: float | None, end: float | None, decoder: _Decoder) -> None:
        self.rate, self.start, self.end = rate, start, end
        self.decoder = decoder
        self.form: tuple[str, str, int] | None = None
        self.waiting = av.AudioFifo()
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
            self._end_form()
            self.form, self.resampler = form, av.AudioResampler("s16", "mono", self.rate)
            self.waiting = av.AudioFifo()
        if self.first is None:
            self.first = seconds
        with self.decoder:
            frame.pts = None  # samples follow each other, whatever their times say
            self.waiting.write(frame)
        if self.waiting.samples >= AT_A_TIME * frame.sample_rate:
            self._resample(self.waiting.read())

    def finish(self) -> np.ndarray:
        """Return the samples (n,) and end the mixing."""
        self._end_form()
        samples = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int16)
        if self.start is not None and self.first is not None:
            early = round((self.start - self.first) * self.rate)
            samples = samples[early:] if early > 0 else np.pad(samples, (-early, 0))
        if self.end is not None:
            samples = samples[: round((self.end - (self.start or 0.0)) * self.rate)]
        return samples

    def _end_form(self) -> None:
        if self.resampler is not None:
            if self.waiting.samples:
                self._resample(self.waiting.read())
            self._resample(None)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        with self.decoder:
            self.parts += [part.to_ndarray()[0] for part in self.resampler.resample(frame)]
