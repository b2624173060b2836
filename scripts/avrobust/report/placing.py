"""Places for labels beside points, so that no label covers another one or a point that has one."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import cos, pi, sin
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle, in whatever unit all are in."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        """Whether both have a part in common."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: "Box") -> bool:
        """Whether no part of this one is outside the other."""
        sides = self.left >= other.left, self.right <= other.right, self.bottom >= other.bottom, self.top <= other.top
        return all(sides)


Place = tuple[float, float]
# How far a label may stand from its point, in heights of it, and in how many directions.
DISTANCES, DIRECTIONS = (0.9, 1.5, 2.3, 3.2, 4.4, 6.0, 8.0, 11.0), 16


def placed(
    points: Sequence[Place], sizes: Sequence[tuple[float, float]], page: Box, others: Sequence[Place] = ()
) -> list[Box]:
    """Return a box for the label of each point, `sizes` (width, height), as near to its point as there is room.

    A line goes from each point to its label (`nearest`), and should cross no other label. `others`: points without a
    label, of which one covers as few as it can. A label that finds no free place stands where it hinders least.
    """
    # Of a labelled point, what its mark takes.
    marks = [_around(point, height / 2, height / 2) for point, (_, height) in zip(points, sizes, strict=True)]
    found: dict[int, Box] = {}
    # Those with the least room first: the nearer to other labelled points, the sooner.
    for number in sorted(range(len(points)), key=lambda one: _room(points, one)):
        hindering = [*found.values(), *(mark for other, mark in enumerate(marks) if other != number)]
        lines = [(points[other], nearest(box, points[other])) for other, box in found.items()]
        costs = []
        for box in _candidates(points[number], sizes[number]):
            own = points[number], nearest(box, points[number])
            overlapping = sum(map(box.overlaps, hindering)) + (not box.within(page))
            crossing = sum(_crosses(line, box) for line in lines) + sum(_crosses(own, other) for other in hindering)
            covered = sum(_covers(box, point) for point in others)
            costs.append(((overlapping, crossing, covered, len(costs)), box))
        found[number] = min(costs)[1]
    return [found[number] for number in range(len(points))]


def nearest(box: Box, point: Place) -> Place:
    """Return the place in a box that is nearest to a point."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.bottom), box.top)


def _candidates(point: Place, size: tuple[float, float]) -> Iterator[Box]:
    """Boxes around a point, the nearest first; of the same distance those at its sides."""
    width, height = size
    for distance, step in product(DISTANCES, range(DIRECTIONS)):
        # 0, and then by turns to both sides of it.
        angle = 2 * pi * ((step + 1) // 2 * (-1) ** step) / DIRECTIONS
        across, up = cos(angle), sin(angle)
        reach = distance * height
        centre = point[0] + across * (reach + width / 2), point[1] + up * (reach + height / 2)
        yield _around(centre, width / 2, height / 2)


def _around(centre: Place, across: float, up: float) -> Box:
    return Box(centre[0] - across, centre[1] - up, centre[0] + across, centre[1] + up)


def _crosses(line: tuple[Place, Place], box: Box) -> bool:
    """Whether a line goes through a box: it is inside for some share of its way (Liang & Barsky)."""
    (x, y), (to_x, to_y) = line
    first, last = 0.0, 1.0
    for start, way, low, high in ((x, to_x - x, box.left, box.right), (y, to_y - y, box.bottom, box.top)):
        if not way:
            if not low < start < high:
                return False
            continue
        enters, leaves = sorted(((low - start) / way, (high - start) / way))
        first, last = max(first, enters), min(last, leaves)
    return first < last


def _covers(box: Box, point: Place) -> bool:
    return box.left < point[0] < box.right and box.bottom < point[1] < box.top


def _room(points: Sequence[Place], number: int) -> float:
    x, y = points[number]
    return min(((x - a) ** 2 + (y - b) ** 2 for place, (a, b) in enumerate(points) if place != number), default=0.0)
