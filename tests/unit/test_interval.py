"""The interval of a mean: exact where it has another name, symmetric, and simulated where nothing is proved of it."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from avrobust.metrics.interval import MANY_SEEDS, TAIL, Mean, _secant, mean

outcomes = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


def rate(successes: int, clips: int) -> Mean:
    return mean((np.arange(clips) < successes)[None].astype(float), 0, 1)


def difference(better: int, worse: int, clips: int) -> Mean:
    """Of `clips` answered twice, `better` are right the first time only and `worse` the second time only."""
    return mean(np.repeat([1.0, -1.0, 0.0], [better, worse, clips - better - worse])[None], -1, 1)


def binomial(clips: int, least: int, p: float) -> float:
    """The probability of at least `least` of `clips`."""
    return sum(comb(clips, k) * p**k * (1 - p) ** (clips - k) for k in range(least, clips + 1))


@pytest.mark.parametrize(
    ("successes", "clips", "low", "high"),
    [
        # Clopper & Pearson's intervals from tables of the beta distribution.
        (0, 88, 0.0, 1 - 0.025 ** (1 / 88)),
        (88, 88, 0.025 ** (1 / 88), 1.0),
        (1, 10, 0.00252858, 0.44501612),
        (10, 100, 0.04900469, 0.17622260),
    ],
)
def test_a_rate_has_the_interval_of_clopper_and_pearson(successes: int, clips: int, low: float, high: float) -> None:
    one = rate(successes, clips)
    assert (one.low(), one.high()) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(("successes", "clips"), [(3, 88), (60, 88), (3, 402)])
def test_each_end_leaves_its_tail(successes: int, clips: int) -> None:
    one = rate(successes, clips)
    assert binomial(clips, successes, one.low()) == pytest.approx(TAIL, rel=1e-6)
    assert 1 - binomial(clips, successes + 1, one.high()) == pytest.approx(TAIL, rel=1e-6)
    assert binomial(clips, successes, one.low(0.001)) == pytest.approx(0.001, rel=1e-6)


@pytest.mark.parametrize(("better", "worse"), [(1, 0), (5, 0), (6, 0), (6, 1), (20, 9), (9, 20), (31, 30), (60, 20)])
@pytest.mark.parametrize("clips", [88, 3104])
def test_a_difference_has_the_p_value_of_mcnemars_exact_test(better: int, worse: int, clips: int) -> None:
    one = difference(better, worse, clips)
    assert one.p_above() == pytest.approx(binomial(better + worse, better, 0.5), rel=1e-6)
    # 6 of 6 are 1 in 64, less than 2.5 %; 5 of 5 are not.
    assert one.above() is (one.p_above() <= TAIL) is (one.low() > 0)


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_verdicts_and_intervals_are_mirror_images(seeds: int) -> None:
    values = np.random.default_rng(seeds).choice([-1, -1 / 3, 0, 1], size=(seeds, 60), p=[0.1, 0.2, 0.3, 0.4])
    one, mirrored = mean(values, -1, 1), mean(-values, -1, 1)
    assert (mirrored.low(), mirrored.high()) == pytest.approx((-one.high(), -one.low()), abs=1e-9)
    assert mirrored.negative.p_above() == pytest.approx(one.p_above())
    assert mirrored.negative.above() is one.above() is True
    assert mirrored.above() is one.negative.above() is False


def test_p_values_agree_with_intervals() -> None:
    generator = np.random.default_rng(7)
    for seeds in (1, 3, 5):
        values = generator.choice([-2.0, 0.0, 1.0], size=(seeds, 90), p=[0.05, 0.55, 0.4])
        one = mean(values, -2, 2)
        assert one.low(one.p_above()) == pytest.approx(0, abs=1e-6)
        assert one.low(0.9 * one.p_above()) < 0 < one.low(1.1 * one.p_above())


def test_one_more_clip_at_the_end_of_the_range() -> None:
    """Two values, drawn a million times: weights of the clips and of one more."""
    values, weights = np.array([0.2, 0.2, 0.9, 0.5]), np.random.default_rng(1).dirichlet(np.ones(5), 1_000_000)
    one = mean(values[None], 0, 1)
    assert one.low() == pytest.approx(np.quantile(weights[:, :4] @ values, TAIL), abs=1e-3)
    assert one.high() == pytest.approx(np.quantile(weights[:, :4] @ values + weights[:, 4], 1 - TAIL), abs=1e-3)


def test_three_seeds_join_their_spread_to_that_of_clips() -> None:
    """Seeds with 50, 60 and 70 of 100, on nested clips: 60 with a standard error of 10 / sqrt(3) by seeds."""
    values = (np.arange(100) < np.array([[50], [60], [70]])).astype(float)
    one = mean(values, 0, 1)
    clips = one.of_these_trainings
    assert one.value == pytest.approx(0.6)
    by_seeds = 4.302653 * 0.1 / 3**0.5
    assert one.low() == pytest.approx(0.6 - np.hypot(0.6 - clips.low(), by_seeds), abs=1e-6)
    assert one.high() == pytest.approx(0.6 + np.hypot(clips.high() - 0.6, by_seeds), abs=1e-6)
    # Two seeds say nothing of their spread.
    assert mean(values[:2], 0, 1).spread == 0 == mean(values[:1], 0, 1).spread
    assert MANY_SEEDS == 3
    # No accuracy is above 1.
    assert mean((np.arange(10) < np.array([[4], [10], [10]])).astype(float), 0, 1).high() == 1


def test_equal_seeds_add_nothing() -> None:
    one = (np.random.default_rng(1).random((1, 50)) < 0.4).astype(float)
    alone, thrice = mean(one, 0, 1), mean(np.repeat(one, 4, axis=0), 0, 1)
    assert (thrice.low(), thrice.high()) == (alone.low(), alone.high())


def test_a_value_that_is_not_there_is_left_out() -> None:
    nan = float("nan")
    with_holes = mean(np.array([[1.0, 0.0, nan, nan], [1.0, 1.0, 0.0, nan]]), 0, 1)
    assert (with_holes.value, with_holes.clips, with_holes.seeds) == (pytest.approx(0.5), 3, 2)
    # Two seeds with values of three are two.
    assert mean(np.array([[1.0, 0.0], [0.5, 0.0], [nan, nan]]), 0, 1).seeds == 2
    # A seed's mean is that of the values it has: 1, 0.5 and 0.
    uneven = mean(np.array([[1.0, nan, nan, nan], [1.0, 0.0, nan, nan], [0.0, 0.0, 0.0, nan]]), 0, 1)
    assert uneven.spread == pytest.approx(0.5 / 3**0.5)
    with pytest.raises(ValueError, match="no clip has a value"):
        mean(np.array([[nan]]), 0, 1)
    with pytest.raises(ValueError, match=r"exceed 0 to 1"):
        mean(np.array([[0.5, 1.5]]), 0, 1)


def test_without_a_bound_the_extreme_that_was_seen_stands_for_it() -> None:
    values, infinite = np.array([[0.5, 1.0, 4.0]]), float("inf")
    for least, greatest, seen in ((0, infinite, (0, 4)), (-infinite, 9, (0.5, 9)), (-infinite, infinite, (0.5, 4))):
        open_, closed = mean(values, least, greatest), mean(values, *seen)
        assert (open_.low(), open_.high()) == (closed.low(), closed.high())


def test_rounding_beyond_the_range_is_cut_off() -> None:
    one = mean(np.array([[1 + 1e-7, 0.0, -1e-7]]), 0, 1)
    assert (one.values.min(), one.values.max()) == (0, 1)


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    generator = np.random.default_rng(4)
    base = generator.random(400) < 0.5
    better = base | (generator.random(400) < 0.1)
    paired = mean(better[None] * 1.0 - base, -1, 1)
    alone = mean(better[None] * 1.0, 0, 1)
    assert paired.high() - paired.low() < 0.75 * (alone.high() - alone.low())


@settings(deadline=None, max_examples=60)
@given(outcomes)
def test_the_estimate_lies_in_its_interval(values: np.ndarray) -> None:
    one = mean(values.astype(float), 0, 1)
    assert 0 <= one.low() <= one.value <= one.high() <= 1
    assert one.low() < one.high()
    assert one.value == pytest.approx(values.mean())


@settings(deadline=None, max_examples=30)
@given(outcomes)
def test_more_confidence_is_a_wider_interval(values: np.ndarray) -> None:
    one = mean(values.astype(float), 0, 1)
    ends = [one.low(tail) for tail in (0.1, 0.025, 0.001)]
    assert ends == sorted(ends, reverse=True)


def test_many_distinct_values_are_as_the_normal_distribution_has_them() -> None:
    values = np.random.default_rng(3).random((1, 3104))
    one = mean(values, 0, 1)
    half = 1.96 * values.std() / 3104**0.5
    assert (one.low(), one.high()) == pytest.approx((one.value - half, one.value + half), abs=0.05 * half)


@pytest.mark.parametrize("jump", [1e-12, 0.3, 0.999_999])
def test_an_end_where_the_probability_jumps_is_found_in_few_steps(jump: float) -> None:
    tried = []
    found = _secant(lambda end: tried.append(end) or (3.0 if end >= jump else -37.0), 0.0, 1.0, 1e-9)
    assert found == pytest.approx(jump, abs=2e-9)
    assert len(tried) < 150


def test_values_that_are_nearly_alike_end_the_search() -> None:
    """Between 1e6 and 1e6 + 4e-8 there are 344 numbers, and a billionth of that range is none."""
    values = 1e6 + np.array([[0.0, 1e-8, 4e-8, 2e-8]])
    one = mean(values, -float("inf"), float("inf"))
    assert values.min() <= one.low() <= one.value <= one.high() <= values.max()
