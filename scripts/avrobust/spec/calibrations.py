"""What a budget is calibrated by that a paper does not give: `calibrations` of a paper's attacks.yaml.

    points: {visual: {grid: [0.5, 1, 2], of: 255}, audio: 0.006}

are three strengths, the first of them 0.5/255 for the frame and 0.006 for the sound. They are budgets of their own, by
the calibrated one's name: calibrated/1, ...
"""

import math
from collections.abc import Mapping
from itertools import pairwise

from avrobust.spec import budgets


def strengths(name: str, points: Mapping[str, object]) -> dict[str, dict]:
    """Return the budgets that `points` stand for, the weakest first, by name, in the long form of `spec.budgets`.

    Raises:
        ValueError: there are none, or of one modality other numbers of them than of the other, or they do not rise.
    """
    grids = {modality: _grid(modality, value) for modality, value in points.items()}
    counts = {len(grid) for grid in grids.values() if isinstance(grid, list)}
    if len(counts) != 1:
        raise ValueError(f"points: one modality at least has a grid, and all grids are as long; got {dict(points)}")
    (count,) = counts
    each = [
        {modality: grid[number] if isinstance(grid, list) else grid for modality, grid in grids.items()}
        for number in range(count)
    ]
    return budgets.named({name: each})


def _grid(modality: str, value: object) -> list[float] | object:
    if not isinstance(value, Mapping):
        return value
    if "grid" not in value or set(value) - {"grid", "of"}:
        raise ValueError(f"points: {modality}: a number or {{grid: [...], of: 255}}, not {dict(value)}")
    points, of = value["grid"], value.get("of", 1)
    if not isinstance(points, list) or not all(map(_is_number, points)):
        raise ValueError(f"points: {modality}: grid {points!r} must be a list of numbers")
    if not _is_number(of) or of <= 0:
        raise ValueError(f"points: {modality}: of {of!r} must be a number above 0")
    grid = [point / of for point in points]
    if not grid or any(one >= other for one, other in pairwise(grid)):
        raise ValueError(f"points: {modality}: grid {value['grid']} must rise from point to point")
    return grid


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
