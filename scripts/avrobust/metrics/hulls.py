"""Convex hulls in a plane.

A hull is its corners (n, 2), float64, against the clock; none of fewer than three points, or of points on a line.
"""

import numpy as np


def hull(points: np.ndarray) -> np.ndarray:
    """Return the corners of the smallest convex region that holds all of points (N, 2)."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return points[ConvexHull(points).vertices].astype(np.float64)
    except (QhullError, ValueError):  # fewer than three points, or all on a line
        return np.empty((0, 2))


def area(corners: np.ndarray) -> float:
    """Return the area of a hull: half the sum of the corners' cross products."""
    if not len(corners):
        return 0.0
    (x, y), (to_x, to_y) = corners.T, np.roll(corners, -1, axis=0).T
    return float(x @ to_y - y @ to_x) / 2


def common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the corners of what two hulls have in common: the first, cut by each edge of the second in turn.

    Sutherland & Hodgman (1974).
    """
    if not len(other):
        return other
    left = one
    for start, end in zip(other, np.roll(other, -1, axis=0), strict=True):
        inside = _beside(left, start, end)
        kept = []
        for place, corner in enumerate(left):
            if inside[place - 1] * inside[place] < 0:
                share = inside[place - 1] / (inside[place - 1] - inside[place])
                kept.append(left[place - 1] + share * (corner - left[place - 1]))
            if inside[place] >= 0:
                kept.append(corner)
        left = np.array(kept).reshape(-1, 2)
    return left if len(left) > 2 else np.empty((0, 2))


def holds(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return which of points (N, 2) lie in a hull or on its edge: bool (N,); none in no hull."""
    if not len(corners):
        return np.zeros(len(points), bool)
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    return np.all([_beside(points, start, end) >= -1e-9 * area(corners) for start, end in edges], axis=0)


def _beside(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Twice the area of the triangle of an edge and each point: positive to its left, inside of what it bounds."""
    along, to = end - start, points - start
    return along[0] * to[:, 1] - along[1] * to[:, 0]
