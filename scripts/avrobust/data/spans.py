"""Which seconds of a video a file holds by its name, `<id>_<start>_<end>`, and which of them are a clip."""

import re

Span = tuple[float, float]

NAME = re.compile(r"(.+)_([0-9]+(?:\.[0-9]+)?)_([0-9]+(?:\.[0-9]+)?)", re.DOTALL)

# Seconds: names count whole ones, which lists need not.
ROUNDING = 1.0


def of_name(stem: str) -> tuple[str, Span] | None:
    """Return (video id, seconds) of a file's name without its suffix; None if the name is no such one."""
    found = NAME.fullmatch(stem)
    return (found[1], (float(found[2]), float(found[3]))) if found else None


def is_same(span: Span, start: float, end: float) -> bool:
    """Whether a file of these seconds is this clip, to the whole second."""
    return abs(span[0] - start) < ROUNDING and abs(span[1] - end) < ROUNDING


def covers(span: Span | None, start: float | None, end: float | None) -> bool:
    """Whether a file may hold a clip: its seconds cover the clip's, or one of the two is not known."""
    if span is None or start is None:
        return True
    return is_same(span, start, end) or span[0] <= start < end <= span[1]


def part(span: Span | None, start: float | None, end: float | None) -> tuple[float | None, float | None]:
    """Return which seconds of a file are the clip that it holds, (None, None): all of it."""
    if span is None or start is None or is_same(span, start, end):
        return None, None
    return start - span[0], end - span[0]
