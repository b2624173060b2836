"""Mean and deviation of features, measured in parts: whatever the parts and their order, those of all together."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.data.moments import merged, moments_of, read_moments, read_part, write_moments, write_part
from avrobust.program import UserError


def vectors(count: int, seed: int = 0) -> np.ndarray:
    """Far from zero, as decibels are: a sum of squares would lose what varies."""
    return np.random.default_rng(seed).normal([-80, 1e4, 0.5], [10, 1e-3, 0], (count, 3))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_parts_in_any_order_are_the_whole(sizes: list[int], random) -> None:
    whole = vectors(sum(sizes))
    parts = [moments_of(part) for part in np.split(whole, np.cumsum(sizes)[:-1])]
    random.shuffle(parts)
    found = merged(parts)
    assert found.count == len(whole)
    if len(whole):
        np.testing.assert_allclose(found.mean, whole.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.deviation, whole.std(axis=0), rtol=1e-6, atol=1e-9)


def test_everything_before_the_last_axis_counts_the_vectors() -> None:
    """(clips, steps, D), stored as float16: sums of the values as they are stored, in float64."""
    features = vectors(24).reshape(4, 6, 3).astype(np.float16)
    found, stored = moments_of(features), features.astype(np.float64).reshape(24, 3)
    assert found.count == 24 and found.mean.dtype == np.float64
    np.testing.assert_allclose(found.mean, stored.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.squares, np.square(stored - stored.mean(axis=0)).sum(axis=0))


def test_two_numbers_by_hand() -> None:
    """1 and 3, then 8: mean 4, squares 9 + 1 + 16; the first two have 2 and 2."""
    first, second = moments_of(np.array([[1.0], [3.0]])), moments_of(np.array([[8.0]]))
    assert (first.mean, first.squares) == (2, 2)
    both = merged([first, second])
    assert (both.count, both.mean, both.squares, both.deviation) == (3, 4, 26, pytest.approx((26 / 3) ** 0.5))


def test_what_is_written_is_read_to_the_bit(tmp_path: Path) -> None:
    of = {"audio": moments_of(vectors(50)), "visual": moments_of(vectors(7, 1)[:, :2])}
    write_part(tmp_path / "part.json", of)
    for name, read in read_part(tmp_path / "part.json").items():
        assert read.count == of[name].count
        assert np.array_equal(read.mean, of[name].mean) and np.array_equal(read.squares, of[name].squares)
    write_moments(tmp_path / "moments.json", of)
    for name, (mean, deviation) in read_moments(tmp_path / "moments.json").items():
        assert mean.dtype == deviation.dtype == np.float64
        assert np.array_equal(mean, of[name].mean) and np.array_equal(deviation, of[name].deviation)
    assert json.loads((tmp_path / "moments.json").read_text())["audio"]["count"] == 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"audio": 3}',
        '{"audio": {"count": 1, "mean": [1], "deviation": [1, 2]}}',
        '{"audio": {"count": -5, "mean": [1], "deviation": [1]}}',
        '{"audio": {"count": 1, "mean": [NaN], "deviation": [1]}}',
    ],
)
def test_a_file_that_holds_no_moments_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "moments.json"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{path}: not moments of features, count, mean and deviation")):
        read_moments(path)
    with pytest.raises(UserError, match="no such file"):
        read_moments(tmp_path / "none.json")
