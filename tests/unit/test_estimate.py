"""Estimates: values worked by hand, the same clips for all, how often intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from avrobust.metrics.estimate import (
    Estimate,
    accuracy,
    average,
    combined,
    drop_rate,
    estimate,
    least,
    spearman,
    success,
    success_if_recognised,
    weights,
)  # fmt: skip
from avrobust.metrics.interval import mean

CLEAN = np.array([1, 1, 1, 1, 0, 0, 1, 0], bool)
ATTACKED = np.array([1, 0, 0, 1, 0, 1, 0, 0], bool)
TWICE_THE_FIRST = np.array([[2, 1, 1, 1, 1, 1, 1, 1.0]])
NAMES = [f"clip{number}" for number in range(len(CLEAN))]


def test_statistics_by_hand() -> None:
    assert accuracy(CLEAN)(TWICE_THE_FIRST) == pytest.approx([6 / 9])
    assert success(ATTACKED)(TWICE_THE_FIRST) == pytest.approx([5 / 9])
    # Recognised clean: 0, 1, 2, 3, 6, of which 1, 2 and 6 are lost.
    assert success_if_recognised(CLEAN, ATTACKED)(TWICE_THE_FIRST) == pytest.approx([3 / 6])
    assert np.isnan(success_if_recognised(~CLEAN & CLEAN, ATTACKED)(TWICE_THE_FIRST))


def of(*answers: np.ndarray) -> Estimate:
    return estimate([accuracy(one) for one in answers], weights(NAMES))


def test_arithmetic_goes_replicate_by_replicate_and_training_by_training() -> None:
    clean, attacked = of(CLEAN, ATTACKED), of(ATTACKED, ATTACKED)
    assert clean.value == pytest.approx((5 / 8 + 3 / 8) / 2) and list(clean.by_seed) == [5 / 8, 3 / 8]
    lost = clean - attacked
    assert lost.value == pytest.approx(1 / 8) and list(lost.by_seed) == [2 / 8, 0]
    np.testing.assert_allclose(lost.replicates, clean.replicates - attacked.replicates)
    assert drop_rate(clean, attacked).value == pytest.approx(1 / 4)
    assert (lost * 100 + 1).value == pytest.approx(13.5)
    assert average([clean, attacked]).value == pytest.approx(3.5 / 8)
    lowest = least([clean, attacked])
    np.testing.assert_array_equal(lowest.replicates, np.minimum(clean.replicates, attacked.replicates))
    nothing = clean - clean
    assert (nothing.low(), nothing.value, nothing.high()) == (0, 0, 0)
    with pytest.raises(ValueError, match="cannot be combined"):
        clean - of(CLEAN)


def test_a_ratio_of_nothing_is_left_out_and_counted() -> None:
    one = Estimate(0.5, np.array([0.0, 0.25, 0.5]), np.array([0.5]))
    half = one * 0.5 / one
    assert (half.value, half.undefined, half.low(), half.high()) == (0.5, 1, 0.5, 0.5)


def test_a_clip_has_the_same_weights_in_every_subset_and_order() -> None:
    whole = weights(NAMES)
    assert whole.shape == (1001, 8) and (whole[0] == 1).all()
    np.testing.assert_array_equal(weights(NAMES[5:2:-1]), whole[:, [5, 4, 3]])
    # Standard exponential ones: mean and deviation 1, and unequal for two clips.
    many = weights([f"{number}" for number in range(200)])[1:]
    assert many.mean() == pytest.approx(1, abs=0.01) and many.std() == pytest.approx(1, abs=0.01)
    assert len(np.unique(many)) == many.size


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9))
def test_spearman_is_scipys_with_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = (list(map(float, values)) for values in zip(*pairs, strict=True))
    ours = spearman([as_estimate(one) for one in first], second)
    if len({*first}) == 1 or len({*second}) == 1:
        assert np.isnan(ours.value)
    else:
        assert ours.value == pytest.approx(spearmanr(first, second).statistic)
        np.testing.assert_allclose(ours.replicates, ours.value)


def as_estimate(value: float) -> Estimate:
    return Estimate(value, np.full(3, value), np.array([value]))


def test_spearman_follows_each_replicate() -> None:
    rising = Estimate(1.0, np.array([1.0, 3.0]), np.array([1.0]))
    found = spearman([rising, 2.0, 4.0], [1.0, 2.0, 3.0])
    # 1, 2, 4 is in order; 3, 2, 4 exchanges two neighbours.
    assert (found.value, list(found.replicates)) == (pytest.approx(1.0), pytest.approx([1.0, 0.5]))


def test_an_accuracy_has_nearly_the_interval_of_the_exact_mean() -> None:
    correct = np.arange(400) % 10 < 3
    ours = estimate([accuracy(correct)], weights([f"{number}" for number in range(400)]))
    exact = mean(correct[None].astype(float), 0, 1)
    assert ours.value == pytest.approx(exact.value)
    # The exact one is a little wider: it promises its level for any distribution.
    assert exact.low() == pytest.approx(ours.low(), abs=0.01) and exact.high() == pytest.approx(ours.high(), abs=0.01)


def test_from_three_seeds_on_the_spread_between_trainings_is_in_the_interval() -> None:
    replicates = np.full(100, 0.5)
    two = Estimate(0.5, replicates, np.array([0.4, 0.6]))
    assert (two.low(), two.high()) == (0.5, 0.5)
    three = Estimate(0.5, replicates, np.array([0.4, 0.5, 0.6]))
    # Student's quantile for two degrees of freedom is 4.303, the standard error 0.1 / sqrt(3).
    assert three.high() == pytest.approx(0.5 + 4.3027 * 0.1 / np.sqrt(3), abs=1e-4)
    assert three.low() == pytest.approx(1 - three.high())


def test_intervals_of_a_ratio_hold_the_truth_about_as_often_as_they_say() -> None:
    """Success if recognised, 0.5 in truth, of 120 clips: 95 % would be 380 of 400 worlds; three deviations are 13."""
    generator = np.random.default_rng(1)
    drawn = weights([f"{number}" for number in range(120)], replicates=400)
    held = 0
    for _ in range(400):
        clean = generator.random(120) < 0.6
        attacked = clean & (generator.random(120) < 0.5)
        one = estimate([success_if_recognised(clean, attacked)], drawn)
        held += one.low() <= 0.5 <= one.high()
    assert 367 <= held <= 393


def test_numbers_alone_are_no_estimate() -> None:
    assert combined(np.add, as_estimate(1.0), 2.0).value == 3.0
    with pytest.raises(ValueError, match="2 and 1 values cannot be paired"):
        spearman([as_estimate(1.0), 2.0], [1.0])
