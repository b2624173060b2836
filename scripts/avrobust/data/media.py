"""Decode one clip to encoded frames at a constant rate and to mono PCM, and name what is wrong with it."""

import heapq
import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from avrobust import imagenet
from avrobust.data import containers
from avrobust.data.containers import ClockGoesBackError, Reading, in_seconds
from avrobust.data.frame_rate import LONGEST_GAP, constant_rate, in_output_frames, unneeded
from avrobust.data.pictures import Pictures, plain

MEAN_COLOUR = tuple(round(255 * mean) for mean in imagenet.MEAN)

# Seconds of sound that are mixed at a time: a call for every packet would take longer than the mixing.
AT_A_TIME = 1

# Seconds by which sound may lie beside its time before it is moved there. Recorders' times jitter by some milliseconds,
# and what is moved is cut; a frame at 8 per second lasts 0.125 s.
JITTER = 0.05


class _Needed(Exception):
    """A frame is shown that was taken for unneeded."""


@dataclass(frozen=True)
class Form:
    """How clips are stored: samples per second, frames per second, pixels of the short side (0: as it is).

    A clip with fewer than `minimum_frames` frames is too short. With `picked_from` the sound is resampled to that rate,
    and sample k is the one nearest to k / `audio_rate` there: no low-pass, so that what is above half of `audio_rate`
    is folded back. MoviePy writes sound that way (Tian & Xu's released script: 11,000 picked from 44,100).
    """

    audio_rate: int
    frame_rate: int
    short_side: int
    minimum_frames: int
    picked_from: int | None = None


@dataclass(frozen=True)
class Media:
    """A decoded clip: frames as JPEG or PNG, of one size (width, height), int16 mono samples (n,), codes of its faults.

    The codes are `no_file`, `folder` (in place of a file), `empty_file`, `file_ends_early` (of its own words),
    `unreadable`, `no_video_stream`, `no_video_decoder`, `no_audio_stream`, `no_audio_decoder`, `no_frames`,
    `no_samples`, `sound_ends_early` (before the middle frame), `sound_begins_late` (after it), `sound_interrupted`
    (there), `corrupt_stream`, `clock_goes_back`, `times_missing` and `too_short`, in this order, each at most once.
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
    """Decode the first video and audio stream that can be within [start, end) seconds of a file (None: all of it).

    Time counts from the start of the file, and in the result from `start`. Picture and sound are laid where their
    times say: where the sound begins late or has a gap it is silent, where the picture does a frame is repeated.
    Whatever the file holds, this returns; what is wrong with it is in `faults`. Frames that are neither kept nor
    referred to are not decoded: what is broken there goes unnoticed.
    """
    fault = _file_fault(Path(path))
    if fault is not None:
        return replace(NOTHING, faults=(fault,))
    try:
        return _read(path, start, end, form, unneeded(path, start, end, form.frame_rate))
    except _Needed:  # a frame that was to be kept is broken, so that another one takes its place
        return _read(path, start, end, form, frozenset())


def _read(path: str | Path, start: float | None, end: float | None, form: Form, skipped: frozenset[int]) -> Media:
    """Decode a file but for the packets `skipped`, by time of presentation. Raises _Needed if one is needed."""
    with ExitStack() as stack:
        try:
            read = stack.enter_context(containers.reading(path, start, end))
        except Exception:
            return replace(NOTHING, faults=("unreadable",))
        decoder = _Decoder(skipped)
        pictures = Pictures(form.short_side, decoder)
        sound = _Sound(form.picked_from or form.audio_rate, start, end, decoder)
        guessed_rate = read.video.guessed_rate if read.video else None
        shown = in_output_frames(decoder.pictures(read, sound), guessed_rate, start, end, form.frame_rate)
        for picture in constant_rate(shown):
            if picture is None:
                raise _Needed
            pictures.add(picture)
        samples = sound.finish()
        if form.picked_from:
            samples = nearest(samples, form.picked_from, form.audio_rate)
    found = {
        **dict.fromkeys(read.missing, True),
        "no_frames": read.video is not None and not pictures.files,
        "no_samples": read.audio is not None and not len(samples),
        **sound.at(len(pictures.files) / (2 * form.frame_rate)),
        "corrupt_stream": decoder.failed,
        "clock_goes_back": decoder.clock_went_back,
        "times_missing": decoder.times_missing,
        "too_short": 0 < len(pictures.files) < form.minimum_frames,
    }
    return Media(pictures.files, pictures.size, samples, tuple(code for code, holds in found.items() if holds))


def nearest(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Return of samples (n,) at one rate those nearest to the moments of another: (n * to_rate // from_rate,).

    Sample k is number round(k * from_rate / to_rate), halves to the even one. So MoviePy's `to_soundarray` has it, but
    for its halves, which binary fractions round either way: of 11,000 from 44,100 two samples in a thousand.
    """
    places = np.round(np.arange(len(samples) * to_rate // from_rate) * from_rate / to_rate).astype(int)
    return samples[np.minimum(places, len(samples) - 1)]


def _file_fault(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "folder"
        if not path.is_file():
            return "no_file"
        if not path.stat().st_size:
            return "empty_file"
        return "file_ends_early" if containers.ends_early(path) else None
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
        self.clock_went_back = False
        self.times_missing = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind is ClockGoesBackError:
            self.clock_went_back = True
            return True
        fault = kind is not None and issubclass(kind, Exception)
        self.failed = self.failed or fault
        return fault

    def pictures(self, read: Reading, sound: "_Sound") -> Iterator[tuple[av.VideoFrame | None, float, float]]:
        """Yield the pictures of a file, each with time and duration in seconds, from before its span to after it.

        None stands for one that was left out. What is heard meanwhile is added to `sound`.
        """
        clock = _PictureClock(read.video)
        last = -math.inf
        passed: list[tuple[int, float, float]] = []
        for frame, outside in self._decoded(read, passed):
            is_picture = isinstance(frame, av.VideoFrame)
            seconds = None if frame.pts is None else in_seconds(frame.pts, frame.time_base) - read.begin
            if is_picture:
                seconds, trusted = clock.time(seconds)
                self.times_missing = self.times_missing or not (trusted or outside)
            if seconds is not None and seconds > max(last, read.start or 0.0) + LONGEST_GAP:
                self.failed = True
            elif not is_picture:
                last = last if seconds is None else seconds
                sound.add(frame, seconds)
            elif seconds is not None:
                last = seconds
                while passed and frame.pts is not None and passed[0][0] <= frame.pts:
                    pts, *when = heapq.heappop(passed)
                    if pts < frame.pts:
                        yield None, *when
                yield frame, seconds, in_seconds(frame.duration or 0, frame.time_base)
        yield from ((None, seconds, duration) for _, seconds, duration in sorted(passed))

    def _decoded(self, read: Reading, passed: list[tuple[int, float, float]]) -> Iterator[tuple[av.frame.Frame, bool]]:
        """Yield the frames of a file, each with whether it is of a packet outside the span.

        Add the video packets that are left out to the heap `passed`: time of presentation, in seconds, and duration.
        """
        while True:
            got = None
            with self:
                got = next(read.packets, None)
            if got is None:
                break
            packet, outside = got
            # What is broken outside the span is none of its faults.
            self.failed = self.failed or (packet.is_corrupt and not outside)
            if packet.stream.type == "video":
                skip = packet.pts in self.skipped
                packet.stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
                if skip:
                    at, lasts = (in_seconds(count or 0, packet.time_base) for count in (packet.pts, packet.duration))
                    heapq.heappush(passed, (packet.pts, at - read.begin, lasts))
            decoded = []
            with suppress(Exception) if outside else self:
                decoded = containers.decoded(packet)
            yield from ((frame, outside) for frame in decoded)
        # Reading may have stopped before the end of the file, with frames still in the decoders.
        for stream in read.streams:
            decoded = []
            with suppress(Exception):
                decoded = stream.codec_context.decode(None)
            for frame in decoded:
                frame.time_base = stream.time_base
                yield frame, True


class _PictureClock:
    """Tells when frames are shown, also where only one in many says it, as in MPEG program streams."""

    def __init__(self, video: av.VideoStream | None) -> None:
        rate = (video.average_rate or video.guessed_rate) if video else None
        self.interval = float(1 / rate) if rate else None
        self.last: float | None = None
        self.follows = self.incomplete = False

    def time(self, seconds: float | None) -> tuple[float | None, bool]:
        """Return the time of the next frame, given what it says, and whether that is right.

        One that says none follows the one before it by the video's rate, if what the next one says agrees with that.
        """
        following = None if None in (self.last, self.interval) else self.last + self.interval
        # Before the first frame that says its time there is none to agree with.
        agrees = not self.follows or None in (seconds, following) or abs(seconds - following) <= 2 * self.interval
        self.follows = seconds is None
        self.incomplete = self.incomplete or self.follows
        # Where packets say no times, some are told those of their neighbours.
        if self.incomplete and following is not None and (seconds is None or seconds <= self.last):
            seconds = following
        self.last = self.last if seconds is None else seconds
        return seconds, agrees and seconds is not None


class _Sound:
    """Mixes audio frames to mono int16 at one rate and lays them where their times say: sample k at start + k / rate.

    Where there is no sound it is silent; where sound lies over other sound, what came first stays.
    """

    def __init__(self, rate: int, start: float | None, end: float | None, decoder: _Decoder) -> None:
        self.rate, self.start, self.end = rate, start or 0.0, math.inf if end is None else end
        self.decoder = decoder
        self.form: tuple[str, str, int] | None = None
        self.waiting = av.AudioFifo()
        self.resampler: av.AudioResampler | None = None
        self.expected: float | None = None  # when the next frame begins if it follows the last one
        self.place: int | None = None  # of the run's first sample; None: where the last run ends
        self.run: list[np.ndarray] = []
        self.parts: list[np.ndarray] = []
        self.length = 0
        self.heard: list[tuple[int, int]] = []

    def add(self, frame: av.AudioFrame, seconds: float | None) -> None:
        """Add a frame that begins at a time of the file; None: where the one before it ends."""
        seconds = self.expected if seconds is None else seconds
        if seconds is None:
            return
        follows = self.resampler is not None and abs(seconds - self.expected) <= JITTER
        seconds = self.expected if follows else seconds
        self.expected = seconds + frame.samples / frame.sample_rate
        if self.expected <= self.start or seconds >= self.end:
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self.form or not follows:  # streams do change, from mono to stereo for one
            self._end_run()
            self.form, self.resampler = form, av.AudioResampler("s16", "mono", self.rate)
            self.waiting = av.AudioFifo()
            self.place = None if follows else round((seconds - self.start) * self.rate)
        with self.decoder:
            frame.pts = None  # samples of a run follow each other
            self.waiting.write(frame)
        if self.waiting.samples >= AT_A_TIME * frame.sample_rate:
            self._resample(self.waiting.read())

    def finish(self) -> np.ndarray:
        """Return the samples (n,) and end the mixing."""
        self._end_run()
        samples = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int16)
        return samples if self.end == math.inf else samples[: round((self.end - self.start) * self.rate)]

    def at(self, seconds: float) -> dict[str, bool]:
        """Return for each way in which a moment can be without sound whether it is. To be asked when finished."""
        moment = int(seconds * self.rate)
        first, last = (self.heard[0][0], self.heard[-1][1]) if self.heard else (0, math.inf)
        return {
            "sound_ends_early": last < moment,
            "sound_begins_late": first > moment,
            "sound_interrupted": any(end < moment < begin for (_, end), (begin, _) in pairwise(self.heard)),
        }

    def _end_run(self) -> None:
        if self.resampler is None:
            return
        if self.waiting.samples:
            self._resample(self.waiting.read())
        self._resample(None)
        samples = np.concatenate(self.run) if self.run else np.zeros(0, np.int16)
        self.run = []
        gap = 0 if self.place is None else self.place - self.length
        samples = samples[max(0, -gap) :]
        if not len(samples):
            return
        self.parts += [np.zeros(max(0, gap), np.int16), samples]
        self.heard.append((self.length + max(0, gap), self.length + max(0, gap) + len(samples)))
        self.length = self.heard[-1][1]

    def _resample(self, frame: av.AudioFrame | None) -> None:
        with self.decoder:
            self.run += [part.to_ndarray()[0] for part in self.resampler.resample(frame)]
