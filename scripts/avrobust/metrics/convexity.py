"""Whether what lies between two clips of a class is of that class, too: Li et al. (ICASSP 2022), equation 8."""

from collections.abc import Callable
from itertools import islice, permutations
from typing import NamedTuple

import numpy as np

# Points that are looked at, in the paper.
POINTS = 2000
# So much of what is looked at is held at a time.
CHUNK_BYTES = 256 * 2**20


class Segments(NamedTuple):
    """Points share * x_first + (1 - share) * x_second, (count,): places of two different clips, shares of [0, 1)."""

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray


def random_segments(clips: int, random: np.random.Generator, count: int = POINTS) -> Segments:
    """Return a point of each of `count` pairs of two of `clips`, 2 or more; pairs are drawn anew each time."""
    first = random.integers(clips, size=count)
    second = (first + random.integers(1, clips, size=count)) % clips
    return Segments(first, second, random.random(count))


def released_segments(clips: int, random: np.random.Generator, count: int = POINTS) -> Segments:
    """Return a point of each of the first `count` ordered pairs, or of all if there are fewer, as the released code.

    Of a class of more than `count` clips all pairs are of the same first clip.
    """
    pairs = np.array(list(islice(permutations(range(clips), 2), count)))
    return Segments(pairs[:, 0], pairs[:, 1], random.random(len(pairs)))


def between(points: np.ndarray, segments: Segments) -> np.ndarray:
    """Return the points of `segments` between those of `points` (n, ...): (count, ...) of the same type."""
    share = segments.share.reshape(-1, *[1] * (points.ndim - 1)).astype(points.dtype)
    return share * points[segments.first] + (1 - share) * points[segments.second]


def convexity(
    points: np.ndarray, segments: Segments, is_of_class: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray | float:
    """Return kappa, the share of `segments` between the points (n, ...) of a class that are of it.

    `is_of_class`: (m, ...) -> bool (m,), or (m, k) of k ways to tell, of which each has its kappa, (k,).
    """
    at_once = max(1, CHUNK_BYTES // points[0].nbytes)
    count = len(segments.share)
    parts = [Segments(*(of[start : start + at_once] for of in segments)) for start in range(0, count, at_once)]
    return np.concatenate([is_of_class(between(points, part)) for part in parts]).mean(axis=0)
