"""Places of labels: none over another one or over a named point, near their points, few points covered."""

import numpy as np
import pytest

from avrobust.report.placing import Box, nearest, placed

PAGE = Box(0, 0, 400, 300)


def overlapping(boxes: list[Box]) -> list[tuple[int, int]]:
    return [(one, two) for one in range(len(boxes)) for two in range(one) if boxes[one].overlaps(boxes[two])]


def test_a_label_alone_stands_at_the_right_of_its_point() -> None:
    (box,) = placed([(100, 100)], [(60, 10)], PAGE)
    assert box.left == pytest.approx(100 + 9) and (box.bottom + box.top) / 2 == pytest.approx(100)


def test_at_the_edge_it_stays_on_the_page() -> None:
    boxes = placed([(395, 150), (5, 5), (200, 298)], [(60, 10)] * 3, PAGE)
    assert all(box.within(PAGE) for box in boxes)


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_each_other_nor_points_that_have_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = [tuple(point) for point in generator.uniform((100, 80), (300, 220), (10, 2))]
    sizes = [(width, 9.0) for width in generator.uniform(40, 90, 10)]
    boxes = placed(points, sizes, PAGE)
    assert not overlapping(boxes)
    for number, box in enumerate(boxes):
        assert box.within(PAGE)
        for other, (x, y) in enumerate(points):
            assert other == number or not (box.left < x < box.right and box.bottom < y < box.top)


def test_of_places_that_are_free_that_is_taken_which_covers_fewest_points() -> None:
    others = [(120.0 + step, 100.0) for step in range(0, 50, 5)]
    (box,) = placed([(100, 100)], [(60, 10)], PAGE, others)
    assert not any(box.left < x < box.right and box.bottom < y < box.top for x, y in others)


def test_the_line_to_a_point_ends_at_the_nearest_place() -> None:
    box = Box(10, 10, 30, 20)
    assert (
        nearest(box, (0, 15)) == (10, 15) and nearest(box, (40, 40)) == (30, 20) and nearest(box, (12, 12)) == (12, 12)
    )
