"""Media files, opened without trust in them: their streams, and their packets within a span."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

# Seconds read around a span. Before it: containers seek by decoding time, which precedes the time of
# presentation, and audio decoders need a few packets until they are exact. After it: how far the packets of
# the two streams may lie apart in the file.
MARGIN_BEFORE, MARGIN_AFTER = 0.5, 2.0


def opened(path: str | Path) -> av.container.InputContainer:
    """Open a file. Raises whatever libav raises where it cannot.

    Only plain files: a play list must lead neither to other files nor to the network.
    """
    return av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})


def picture_and_sound(
    container: av.container.InputContainer,
) -> tuple[av.VideoStream | None, av.AudioStream | None]:
    """Return the first stream of moving pictures, which a cover is not, and that of sound, to be decoded in one thread.

    Files are decoded side by side, one in each process.
    """
    moving = (stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic)
    found = next(moving, None), next(iter(container.streams.audio), None)
    for stream in found:
        if stream is not None:
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
    return found


def origin(container: av.container.InputContainer) -> float:
    """Return the time in seconds at which a file begins: the rest of its times count from there.

    ffmpeg 5.1 began Opus in Matroska 6.5 ms early, at its pre-skip; libav has since put that right.
    """
    return (container.start_time or 0) / av.time_base


def in_seconds(count: int, unit: Fraction) -> float:
    """Return a time that counts in `unit` seconds, exactly rounded; Fraction's own product takes ten times as long."""
    return count * unit.numerator / unit.denominator


def packets(
    container: av.container.InputContainer, streams: list[av.stream.Stream], start: float | None, end: float | None
) -> Iterator[tuple[av.Packet, bool]]:
    """Yield the streams' packets around [start, end) seconds, each with whether it lies clearly outside.

    Without streams there are none. Raises whatever libav raises at a packet that it cannot read.
    """
    if not streams:
        return
    begin = origin(container)
    unit = {stream.index: stream.time_base for stream in streams}
    if start is not None and start > MARGIN_BEFORE:
        with suppress(Exception):  # a file that cannot seek is read from its beginning
            container.seek(round((begin + start - MARGIN_BEFORE) * av.time_base))
    for packet in container.demux(streams):
        at = None if packet.dts is None else in_seconds(packet.dts, unit[packet.stream_index]) - begin
        if None not in (at, end) and at > end + MARGIN_AFTER:
            return
        early = None not in (at, start) and at < start - MARGIN_BEFORE
        late = None not in (at, end) and at > end + MARGIN_BEFORE
        yield packet, early or late
