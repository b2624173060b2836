"""Which frames of a video a constant frame rate shows, and which of its packets need not be decoded for them."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar

from avrobust.data import containers
from avrobust.data.containers import in_seconds

Item = TypeVar("Item")

# Seconds: a frame further ahead of the one before it has a broken time, and would fill the gap with copies.
LONGEST_GAP = 600.0

# A frame that ends so many output frames ahead fills the next one already.
SLACK = 1.1

# The command line rounds a frame's time, counted in output frames, to this many parts, and then moves it by
# half a part away from zero.
TIME_PARTS = 1 << 16


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
        if ahead > SLACK:
            copies = round(ahead)
            if late > SLACK:
                of_previous = min(round(late - 0.6), copies)
        elif ahead >= -SLACK:
            copies = 1
        for copy in range(copies):
            yield item if copy >= of_previous or previous is None else previous
        count += copies
        previous = item
        repeats = [*repeats[1:], of_previous]
    for _ in range(median(repeats)):
        yield previous


def in_output_frames(
    frames: Iterable[tuple[Item, float, float]],
    guessed_rate: Fraction | None,
    start: float | None,
    end: float | None,
    rate: int,
) -> Iterator[tuple[Item, float, float]]:
    """Yield the frames (item, time, duration) within [start, end) seconds with both counted in output frames.

    Time counts from `start`. A frame of duration 0 lasts as long as is usual by libav's guess at the video's rate.
    Where a picture pauses, a frame from before `start` is what `start` shows, and the last frame lasts until `end`;
    at usual rates the next frame is too near for that.
    """
    usual = min(rate / guessed_rate, 1.0) if guessed_rate else 0.0
    begin, span = start or 0.0, math.inf if end is None else (end - (start or 0.0)) * rate
    before: tuple[Item, float] | None = None
    shown: tuple[Item, float] | None = None  # the last item, and when it ends
    for item, seconds, duration in frames:
        time = (seconds - begin) * rate
        # A microsecond, because both limits are such counts in the command line.
        if start is not None and seconds < start - 1e-6:
            before = item, time + duration * rate
            continue
        if before is not None and min(time, span) > SLACK:
            shown = before[0], min(time, span)
            yield before[0], 0.0, shown[1]
        before = None
        if end is not None and seconds >= end - 1e-6:
            if shown is not None and span - shown[1] > SLACK:
                yield shown[0], shown[1], span - shown[1]
            shown = None
            continue
        time = (math.floor(time * TIME_PARTS + 0.5) + (0.5 if time > 0 else -0.5)) / TIME_PARTS
        lasts = round(min(duration * rate, span - time)) or usual
        shown = item, time + lasts
        yield item, time, lasts
    if before is not None and min(before[1], span) > SLACK:
        yield before[0], 0.0, min(before[1], span)


def unneeded(path: str | Path, start: float | None, end: float | None, rate: int) -> frozenset[int]:
    """Return the times of presentation, in the stream's units, of the video packets whose frames are not shown.

    Nothing is decoded. Of a file with times that are missing or broken, all packets are needed.
    """
    times = []
    try:
        with containers.reading(path, start, end, sound=False) as read:
            for packet, _ in read.packets:
                if packet.size and packet.pts is None:
                    return frozenset()
                if packet.size and not packet.is_discard:
                    at, lasts = (in_seconds(count or 0, packet.time_base) for count in (packet.pts, packet.duration))
                    times.append((packet.pts, at - read.begin, lasts))
            times.sort()
            seconds = [start or 0.0, *(at for _, at, _ in times)]
            if any(later - earlier > LONGEST_GAP for earlier, later in pairwise(seconds)):
                return frozenset()
            guessed_rate = read.video.guessed_rate if read.video else None
            shown = frozenset(constant_rate(in_output_frames(times, guessed_rate, start, end, rate)))
    except Exception:
        return frozenset()
    return frozenset(pts for pts, _, _ in times) - shown
