"""The two-level bootstrap against closed forms, degenerate cases and a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from avrobust.metrics.bootstrap import LEVEL, interval, resampled_means

outcomes = arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=12))


def proportion(successes: int, clips: int) -> np.ndarray:
    return (np.arange(clips) < successes)[None, None]


@pytest.mark.parametrize(("successes", "clips"), [(52, 104), (201, 402), (838, 3104), (300, 3104)])
def test_one_seed_gives_the_interval_of_a_proportion(successes: int, clips: int) -> None:
    p = successes / clips
    low, high = interval(resampled_means(proportion(successes, clips)))
    half = 1.959964 * np.sqrt(p * (1 - p) / clips)
    # A percentile of 2000 draws is off by about 5 % of the half width; accuracies have steps of 1 / clips.
    tolerance = 0.1 * half + 0.5 / clips
    assert low[0] == pytest.approx(p - half, abs=tolerance)
    assert high[0] == pytest.approx(p + half, abs=tolerance)


def test_variance_has_a_part_for_seeds_and_a_part_for_clips() -> None:
    # A value that is the sum of a seed's and a clip's effect: its variance is the sum of both levels'.
    seeds, clips = np.array([0.0, 1.0, 5.0]), np.arange(40.0)
    values = (seeds[:, None] + clips)[None]
    expected = seeds.var() / 3 + clips.var() / 40
    assert resampled_means(values, resamples=20_000).var() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("value", [False, True])
def test_unanimous_clips_have_no_width(value: bool) -> None:
    low, high = interval(resampled_means(np.full((2, 3, 104), value)))
    assert low.tolist() == high.tolist() == [value, value]


def test_equal_seeds_add_nothing() -> None:
    one = np.random.default_rng(1).random((3, 1, 50)) < 0.4
    assert np.array_equal(resampled_means(one), resampled_means(np.repeat(one, 4, axis=1)))


def test_clip_bootstrap_of_one_seed_is_a_plain_loop() -> None:
    values = np.random.default_rng(2).random((2, 1, 7))
    _, draws = np.random.default_rng(0).spawn(2)
    expected = [values[:, 0, picks].mean(axis=1) for picks in draws.integers(7, size=(100, 7))]
    assert resampled_means(values, resamples=100) == pytest.approx(np.array(expected))


def test_difference_of_identical_variants_is_exactly_zero() -> None:
    one = np.random.default_rng(3).random((4, 3, 104)) < 0.5
    replicates = resampled_means(np.concatenate([one, one]))
    assert not (replicates[:, :4] - replicates[:, 4:]).any()


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    generator = np.random.default_rng(4)
    base = generator.random(400) < 0.5
    better = base | (generator.random(400) < 0.1)
    replicates = resampled_means(np.stack([base, better])[:, None])
    paired = np.diff(replicates, axis=1).std()
    alone = np.hypot(*replicates.std(axis=0))
    assert paired < 0.5 * alone


@settings(deadline=None, max_examples=60)
@given(outcomes)
def test_the_estimate_lies_in_its_interval(values: np.ndarray) -> None:
    low, high = interval(resampled_means(values))
    estimate = values.mean(axis=(1, 2))
    assert (low <= estimate).all()
    assert (estimate <= high).all()


@settings(deadline=None, max_examples=30)
@given(outcomes, st.integers(0, 3))
def test_equal_input_gives_equal_bits(values: np.ndarray, seed: int) -> None:
    first = resampled_means(values, resamples=150, seed=seed)
    assert first.tobytes() == resampled_means(values, resamples=150, seed=seed).tobytes()


def test_blocks_of_draws_are_independent() -> None:
    replicates = resampled_means(proportion(50, 100), resamples=400)[:, 0]
    assert len(np.unique(replicates.reshape(4, 100), axis=0)) == 4


def test_interval_holds_the_stated_share() -> None:
    low, high = interval(np.arange(1001.0)[:, None])
    assert (low[0], high[0]) == pytest.approx((25.0, 975.0))
    assert LEVEL == 0.95
