"""Whether what lies between two clips of a class is of that class, too: Li et al. (ICASSP 2022), equation 8."""

from collections.abc import Callable

import numpy as np

# Points that are looked at, in the paper.
POINTS = 2000


def between(points: np.ndarray, random: np.random.Generator, count: int = POINTS) -> np.ndarray:
    """Return `count` points theta x_1 + (1 - theta) x_2, theta of [0, 1), of random pairs of two of `points` (n, ...).

    Pairs are drawn anew each time, n of 2 or more. The released code takes the first pairs in order, which of a large
    class are all of the same first clip.
    """
    first = random.integers(len(points), size=count)
    second = (first + random.integers(1, len(points), size=count)) % len(points)
    share = random.random(count).reshape(-1, *[1] * (points.ndim - 1)).astype(points.dtype)
    return share * points[first] + (1 - share) * points[second]


def convexity(
    points: np.ndarray,
    is_of_class: Callable[[np.ndarray], np.ndarray],
    random: np.random.Generator,
    count: int = POINTS,
) -> float:
    """Return kappa, the share of the points between those of a class that are of it; nan of fewer than two points.

    `is_of_class`: (count, ...) -> bool (count,).
    """
    if len(points) < 2:
        return float("nan")
    return float(np.mean(is_of_class(between(points, random, count))))
