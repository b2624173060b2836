"""Ranking metrics: by hand, as scikit-learn's with weights and ties, and as estimates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from avrobust.metrics.estimate import combined, estimate, weights
from avrobust.metrics.ranking import d_prime, mean_of_classes, precisions_and_areas

SCORES = np.array([[0.9], [0.8], [0.8], [0.1]])
TARGETS = np.array([[1], [0], [1], [0]])


def test_by_hand() -> None:
    """Of the highest score all are positive; of the first three clips two are. One tie among the four pairs."""
    equal, thrice_the_last = np.array([[1.0, 1, 1, 1], [1, 1, 1, 3]])
    precisions, areas = precisions_and_areas(SCORES, TARGETS, np.stack([equal, thrice_the_last]))
    np.testing.assert_allclose(precisions, [[0.5 * 1 + 0.5 * 2 / 3]] * 2)
    # Positives (0.9 and 0.8) before negatives: 0.8 once (1 and a half), 0.1 once or three times (2 each).
    np.testing.assert_allclose(areas, [[3.5 / 4], [7.5 / 8]])


@given(st.data())
def test_they_are_scikit_learns_with_weights_and_ties(data: st.DataObject) -> None:
    clips = data.draw(st.integers(1, 12))

    def numbers(most: int) -> np.ndarray:
        return np.array(data.draw(st.lists(st.integers(0, most), min_size=clips, max_size=clips)))

    scores, targets, of_clips = numbers(3), numbers(1), numbers(4)
    positives, negatives = of_clips @ targets, of_clips @ (1 - targets)
    (precision,), (area,) = (of[0] for of in precisions_and_areas(scores[:, None], targets[:, None], of_clips[None]))
    if not positives:
        assert np.isnan([precision, area]).all()
        return
    wanted = average_precision_score(targets, scores, sample_weight=of_clips)
    assert precision == pytest.approx(wanted)
    if negatives:
        assert area == pytest.approx(roc_auc_score(targets, scores, sample_weight=of_clips))
    else:
        assert np.isnan(area)


def test_a_class_without_a_positive_is_skipped_and_counted() -> None:
    scores, targets = np.hstack([SCORES, SCORES]), np.hstack([TARGETS, [[0], [1], [0], [0]]])
    of_clips = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1.0]])
    by_class, _ = precisions_and_areas(scores, targets, of_clips)
    assert np.isnan(by_class).sum(axis=1).tolist() == [0, 1, 2]
    assert mean_of_classes(by_class) == pytest.approx([(5 / 6 + 1 / 3) / 2, 1.0, np.nan], nan_ok=True)


def test_each_replicate_is_that_of_its_weights() -> None:
    generator = np.random.default_rng(0)
    scores, targets = generator.normal(size=(60, 3)), generator.integers(0, 2, (60, 3))
    of_clips = weights([f"{number}" for number in range(60)], replicates=5)
    mean_area = estimate([lambda given: mean_of_classes(precisions_and_areas(scores, targets, given)[1])], of_clips)
    for number, replicate in enumerate([mean_area.value, *mean_area.replicates]):
        wanted = [roc_auc_score(targets[:, c], scores[:, c], sample_weight=of_clips[number]) for c in range(3)]
        assert replicate == pytest.approx(np.mean(wanted))
    found = combined(d_prime, mean_area)
    assert found.value == pytest.approx(2**0.5 * norm.ppf(mean_area.value))
    np.testing.assert_allclose(found.replicates, 2**0.5 * norm.ppf(mean_area.replicates))


def test_d_prime_by_hand() -> None:
    """The table of Li et al.: an area of 0.971 is a d' of 2.68."""
    assert d_prime(np.array([0.5, 0.971])) == pytest.approx([0, 2.681], abs=1e-3)
