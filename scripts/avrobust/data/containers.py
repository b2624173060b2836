"""Media files, opened without trust in them: their streams, and their packets within a span."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
from av.format import Flags
from av.stream import Disposition

# Seconds read around a span. Before it: containers seek by decoding time, which precedes the time of
# presentation, and audio decoders need a few packets until they are exact. After it: how far the packets of
# the two streams usually lie apart in the file.
MARGIN_BEFORE, MARGIN_AFTER = 0.5, 2.0

# Seconds before a span from which sound is decoded at the least.
WARM_UP = 0.1

# Seconds: smaller steps back are packets that overlap.
LONGEST_STEP_BACK = 0.5

# What is kept of a picture until its last key frame before a span is known; beyond that, all from there on is decoded.
HELD_BYTES = 64 * 2**20


class ClockGoesBackError(Exception):
    """The times of a stream go back, so that what follows has times that were taken already."""


@dataclass
class Reading:
    """A file that is read: its streams of picture and sound (None where no decoder is known), and their packets.

    `start`: of the span. `sound`: whether the packets of sound are read, too. `missing`: codes of streams that are not
    there or that no decoder is known for. `packets`: each with whether it lies clearly outside the span.
    """

    container: av.container.InputContainer
    start: float | None
    sound: bool

    def __post_init__(self) -> None:
        self.video, self.audio, self.missing = picture_and_sound(self.container)
        self.begin = origin(self.container)
        self.streams = [stream for stream in (self.video, self.audio) if stream is not None]
        self.read = [stream for stream in self.streams if self.sound or stream is self.video]
        self.packets: Iterator[tuple[av.Packet, bool]] = iter(())

    def demuxed(self) -> Iterator[av.Packet]:
        """Yield the packets; raise ClockGoesBackError where the decoding times of a stream go back."""
        latest: dict[int, float] = {}
        for packet in self.container.demux(self.read) if self.read else ():
            # What an edit list leaves out may lie before what it shows.
            if packet.dts is not None and not packet.is_discard:
                at = in_seconds(packet.dts, packet.time_base)
                before = latest.get(packet.stream_index, at)
                if at < before - LONGEST_STEP_BACK:
                    raise ClockGoesBackError
                latest[packet.stream_index] = max(at, before)
            yield packet


def ends_early(path: str | Path) -> bool:
    """Whether a file of Matroska or WebM says that it goes on behind its end, as one that was not fetched whole does.

    libav takes its end for that of the clip. Of other formats it says that they are damaged.
    """
    with Path(path).open("rb") as file:
        if file.read(4) != b"\x1a\x45\xdf\xa3":
            return False
        file.seek(_matroska_size(file) or 0, 1)
        if file.read(4) != b"\x18\x53\x80\x67":
            return False
        size = _matroska_size(file)
        return size is not None and file.tell() + size > file.seek(0, 2)


def _matroska_size(file: BinaryIO) -> int | None:
    """Return the number of bytes that an element has, read from where it says so; None where that is left open."""
    first = file.read(1) or b"\0"
    # As many more bytes as there are zeros before the first one.
    length = 8 - first[0].bit_length()
    mask = (1 << 7 * (length + 1)) - 1
    size = int.from_bytes(first + file.read(length)) & mask
    return None if size == mask else size


def opened(path: str | Path) -> av.container.InputContainer:
    """Open a file. Raises whatever libav raises where it cannot.

    Only plain files: a play list must lead neither to other files nor to the network.
    """
    return av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})


def picture_and_sound(
    container: av.container.InputContainer,
) -> tuple[av.VideoStream | None, av.AudioStream | None, tuple[str, ...]]:
    """Return the first stream of moving pictures and that of sound which can be decoded, and codes of what is missing.

    A cover is no moving picture. A phone may put the sound into a file twice, once in a format of its own: streams that
    no decoder is known for are passed over. Streams are decoded in one thread: files are decoded side by side, one in
    each process.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    found, missing = [], []
    for kind, streams in (("video", moving), ("audio", container.streams.audio)):
        stream = next((stream for stream in streams if stream.codec_context is not None), None)
        found.append(stream)
        if stream is None:
            missing.append(f"no_{kind}_decoder" if streams else f"no_{kind}_stream")
        else:
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
    return *found, tuple(missing)


def origin(container: av.container.InputContainer) -> float:
    """Return the time in seconds at which a file begins: the rest of its times count from there.

    ffmpeg 5.1 began Opus in Matroska 6.5 ms early, at its pre-skip; libav has since put that right.
    """
    return (container.start_time or 0) / av.time_base


def in_seconds(count: int, unit: Fraction) -> float:
    """Return a time that counts in `unit` seconds, exactly rounded; Fraction's own product takes ten times as long."""
    return count * unit.numerator / unit.denominator


@contextmanager
def reading(path: str | Path, start: float | None, end: float | None, sound: bool = True) -> Iterator[Reading]:
    """Open a file to read what lies within [start, end) seconds. Raises whatever libav raises where that fails.

    The packets begin with a key frame that is shown by `start`, and with sound from before it. They raise what libav
    raises at a packet that it cannot read, and ClockGoesBackError. `sound`: whether the packets of sound are wanted.
    """
    container = opened(path)
    try:
        read = Reading(container, start, sound)
        if start is None or start <= MARGIN_BEFORE:
            packets = read.demuxed()
        elif (packets := _after_seeking(read, start)) is None:
            container.close()
            container = opened(path)
            read = Reading(container, start, sound)
            packets = _from_key_frame(read.demuxed(), read.begin, start)
        read.packets = _within(packets, read.begin, start, end, {stream.index for stream in read.read})
        yield read
    finally:
        container.close()


def decoded(packet: av.Packet) -> list[av.frame.Frame]:
    """Return the frames that come with a packet. Raises whatever libav raises.

    An empty packet is Theora's way to say that the picture stays; the decoder would take it for the end.
    """
    return packet.decode() if packet.size or packet.dts is None else []


def _shown(packet: av.Packet, begin: float) -> float | None:
    """Return the second at which a packet is shown or heard, or at least decoded; None if it does not say."""
    count = packet.dts if packet.pts is None else packet.pts
    return None if count is None else in_seconds(count, packet.time_base) - begin


def _after_seeking(file: Reading, start: float) -> Iterator[av.Packet] | None:
    """Seek to before `start` and return the packets from there, None if it cannot be seen to be the right place.

    Formats without an index are searched by their times, and the search may end behind the place. Where times may
    also go back or occur twice, it is not even tried.
    """
    if Flags(file.container.format.flags) & Flags.ts_discont:
        return None
    awaited = {stream.index for stream in file.read}
    read: list[av.Packet] = []
    with suppress(Exception):  # a file that cannot seek is read from its beginning
        file.container.seek(round((file.begin + start - MARGIN_BEFORE) * av.time_base))
        packets = file.demuxed()
        while awaited:
            packet = next(packets)
            read.append(packet)
            at = _shown(packet, file.begin)
            if packet.stream_index not in awaited and (at is None or at <= start + MARGIN_AFTER):
                continue
            awaited.discard(packet.stream_index)
            picture = packet.stream.type == "video"
            if at is None or at > (start if picture else start - WARM_UP) or (picture and not packet.is_keyframe):
                return None
        return chain(read, packets)
    return None


def _from_key_frame(packets: Iterable[av.Packet], begin: float, start: float) -> Iterator[av.Packet]:
    """Leave out what need not be decoded: picture before the last key frame by `start`, sound clearly before it."""
    packets = iter(packets)
    held: list[av.Packet] = []
    size = 0
    sound_at = None
    for packet in packets:
        at, picture = _shown(packet, begin), packet.stream.type == "video"
        if not picture:
            # One that says no time belongs to the one before it.
            sound_at = sound_at if at is None else at
            if sound_at is not None and sound_at < start - MARGIN_BEFORE:
                continue
        elif packet.is_keyframe and at is not None and at <= start:
            held = [other for other in held if other.stream.type != "video"]
            size = sum(other.size for other in held)
        held.append(packet)
        size += packet.size
        decoded_at = None if packet.dts is None else in_seconds(packet.dts, packet.time_base) - begin
        if size > HELD_BYTES or (decoded_at is not None and decoded_at > start + (0 if picture else MARGIN_AFTER)):
            break
    yield from held
    yield from packets


def _within(
    packets: Iterable[av.Packet], begin: float, start: float | None, end: float | None, streams: set[int]
) -> Iterator[tuple[av.Packet, bool]]:
    """Yield packets up to some time after `end`, each with whether it lies clearly outside.

    Each of `streams` is read up to its first packet after `end`: those of the other may come much earlier in the file,
    and the next frame of a picture with pauses tells that the one before it is shown until then.
    """
    awaited = set(streams)
    for packet in packets:
        at = None if packet.dts is None else in_seconds(packet.dts, packet.time_base) - begin
        if None not in (at, end) and at >= end:
            last = at > end + MARGIN_AFTER
            if last and not awaited:
                return
            if last and packet.stream_index not in awaited:
                continue
            awaited.discard(packet.stream_index)
        early = None not in (at, start) and at < start - MARGIN_BEFORE
        late = None not in (at, end) and at > end + MARGIN_BEFORE
        yield packet, early or late
