"""Clusters: worked by hand, compared with scikit-learn, and what must not depend on units or order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_samples

from avrobust.metrics.clusters import distances, intra_class_distances, intra_inter_ratios, shifts, silhouettes

# On a line: class 0 at 0, 1 and 3, class 1 at 10 and 14, class 2 alone at 20.
LINE = np.array([[0.0], [1.0], [3.0], [10.0], [14.0], [20.0]])
LABELS = np.array([0, 0, 0, 1, 1, 2])


def cloud(seed: int = 0, clips: int = 40, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(clips) % classes)
    return random.normal(size=(clips, 5)) + 2 * random.normal(size=(classes, 5))[labels], labels


def measures(points: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    matrix, clean = distances(points, reference), distances(reference, reference)
    return [silhouettes(matrix, labels), intra_inter_ratios(matrix, labels), shifts(matrix, clean, labels)]


def test_a_line_by_hand() -> None:
    matrix = distances(LINE, LINE)
    assert matrix[1].tolist() == [1, 0, 2, 9, 13, 19]
    assert intra_class_distances(matrix, LABELS).tolist() == pytest.approx([2, 1.5, 2.5, 4, 4, np.nan], nan_ok=True)
    # b: to class 1 from 0, 1, 3: 12, 11, 9; from 10: to class 0 26/3, to class 2 10; from 14: 38/3, 6.
    expected = [10 / 12, 9.5 / 11, 6.5 / 9, (26 / 3 - 4) / (26 / 3), 2 / 6, 0]
    assert silhouettes(matrix, LABELS).tolist() == pytest.approx(expected)
    # Mean to all clips of other classes; from 0: (10 + 14 + 20) / 3; from 10: (10 + 9 + 7 + 10) / 4.
    expected = [2 * 3 / 44, 1.5 * 3 / 41, 2.5 * 3 / 35, 4 * 4 / 36, 4 * 4 / 44, np.nan]
    assert intra_inter_ratios(matrix, LABELS).tolist() == pytest.approx(expected, nan_ok=True)


def test_an_attacked_clip_by_hand_does_not_meet_itself() -> None:
    attacked = LINE.copy()
    attacked[0] = 9.0
    silhouette, ratio, shift = measures(attacked, LINE, LABELS)
    # From 9 to 1 and 3, not to its own clean place 0: a = 7; to class 1: b = 3; to the others (1 + 5 + 11) / 3.
    assert silhouette[0] == pytest.approx((3 - 7) / 7)
    assert ratio[0] == pytest.approx(7 * 3 / 17)
    assert shift.tolist() == pytest.approx([9 / 2, 0, 0, 0, 0, np.nan], nan_ok=True)
    clean = measures(LINE, LINE, LABELS)
    assert silhouette[1:].tolist() == clean[0][1:].tolist(), "the references are clean, whoever else is attacked"


@pytest.mark.parametrize("seed", range(4))
def test_clean_silhouettes_are_scikit_learns(seed: int) -> None:
    points, labels = cloud(seed)
    labels[labels == 3] = np.where(np.arange((labels == 3).sum()) == 0, 3, 0)  # one clip alone in class 3
    ours = silhouettes(distances(points, points), labels)
    assert ours == pytest.approx(silhouette_samples(points, labels), abs=1e-12)
    assert ours[labels == 3].tolist() == [0]


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_and_origin_do_not_matter(seed: int, unit: float, origin: float) -> None:
    points, labels = cloud(seed)
    attacked = points + np.random.default_rng(seed).normal(size=points.shape)
    moved = measures(unit * attacked + origin, unit * points + origin, labels)
    for one, other in zip(measures(attacked, points, labels), moved, strict=True):
        assert other == pytest.approx(one, rel=1e-6, abs=1e-6)


@given(st.integers(0, 1000))
def test_order_and_names_of_classes_do_not_matter(seed: int) -> None:
    points, labels = cloud(seed)
    attacked = points[::-1] * 1.5
    order = np.random.default_rng(seed).permutation(len(labels))
    names = np.array([7, 3, 12, 0])[labels]
    for one, other in zip(
        measures(attacked, points, labels), measures(attacked[order], points[order], names[order]), strict=True
    ):
        assert other == pytest.approx(one[order])


@given(st.integers(0, 1000))
def test_ranges(seed: int) -> None:
    points, labels = cloud(seed)
    silhouette, ratio, shift = measures(points + 1, points, labels)
    assert (np.abs(silhouette) <= 1).all() and (ratio > 0).all() and (shift > 0).all()


def test_unchanged_clips_have_the_clean_values_exactly() -> None:
    points, labels = cloud()
    points = points.astype(np.float32)
    clean = distances(points, points)
    again = distances(points.copy(), points)
    assert silhouettes(again, labels).tolist() == silhouettes(clean, labels).tolist()
    assert intra_inter_ratios(again, labels).tolist() == intra_inter_ratios(clean, labels).tolist()
    assert (shifts(again, clean, labels) == 0).all()


def test_a_shift_is_counted_in_spreads_of_the_class() -> None:
    points, labels = cloud()
    spread = intra_class_distances(distances(points, points), labels)
    attacked = points + spread[:, None] * np.eye(5)[0] * 3
    assert measures(attacked, points, labels)[2] == pytest.approx(np.full(len(labels), 3.0))


def test_points_that_coincide() -> None:
    points, labels = np.zeros((4, 2)), np.array([0, 0, 1, 1])
    silhouette, ratio, shift = measures(points, points, labels)
    assert silhouette.tolist() == [0] * 4
    assert np.isnan(ratio).all() and np.isnan(shift).all()


def test_one_class_has_no_silhouette() -> None:
    points = np.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="at least two classes"):
        silhouettes(distances(points, points), np.zeros(3, int))
    assert np.isnan(intra_inter_ratios(distances(points, points), np.zeros(3, int))).all()
