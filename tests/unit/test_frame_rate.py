"""Which frames a constant rate shows, against the rule worked out by hand."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data.frame_rate import constant_rate, in_output_frames


def test_a_slot_is_filled_ahead_of_its_frame():
    # 25 frames a second to 8: frame k lies at 0.32 k and lasts 0.32. Frames 3 and 4 end 1.72 and 1.4 slots
    # before the next free one and are dropped, frame 5 ends 1.08 before and is not; 6 to 8 end 1.76, 1.44, 1.12
    # before, 9 ends 0.8 before.
    chosen = list(constant_rate((k, 0.32 * k, 0.32) for k in range(10)))
    assert chosen == [0, 1, 2, 5, 9]


def test_a_gap_repeats_the_frame_before_it():
    assert list(constant_rate([("a", 0.0, 1.0), ("b", 5.0, 1.0)])) == ["a", "a", "a", "a", "b", "b"]


def test_the_end_repeats_as_often_as_the_median_of_the_last_three():
    frames = [("a", 0.0, 1.0), ("b", 3.0, 1.0), ("c", 6.0, 1.0), ("d", 9.0, 1.0)]
    # b: 2 slots late and 3 long in all, of which round(1.4) = 1 is a's; so are c and d.
    assert list(constant_rate(frames)) == list("aabbbcccddd")


def test_a_single_late_frame_fills_what_was_before_it_and_is_not_repeated():
    # Of no frame before it and none behind it the median is 0.
    assert list(constant_rate([("a", 5.0, 1.0)])) == ["a"] * 6


@pytest.mark.parametrize(
    "frames", [[("a", 0.5, 3.0)], [("a", 0.5, 0.125), ("b", 5.0, 0.125)]], ids=["by its duration", "by the next one"]
)
def test_a_frame_from_before_is_shown_as_long_as_it_lasts(frames):
    """Seconds 1 to 3 at 8 frames a second, 16 of them."""
    assert list(in_output_frames(frames, Fraction(8), 1.0, 3.0, 8)) == [("a", 0.0, 16.0)]


def test_the_last_frame_before_a_pause_lasts_until_the_end_that_is_asked_for():
    frames = [("a", 0.0, 0.125), ("b", 5.0, 0.125)]
    (first, again) = in_output_frames(frames, Fraction(8), 0.0, 2.0, 8)
    assert first == ("a", pytest.approx(0, abs=1e-4), 1)
    assert again == ("a", pytest.approx(1, abs=1e-4), pytest.approx(15, abs=1e-4))
    assert list(constant_rate([first, again])) == ["a"] * 16


def test_no_frame_gives_none():
    assert list(constant_rate([])) == []


@given(
    st.lists(st.floats(0.05, 3.0), min_size=1, max_size=60),
    st.floats(0.0, 1.0),
)
def test_chosen_frames_keep_their_order_and_the_clock(gaps, duration):
    times = np.cumsum([0.0, *gaps])
    chosen = list(constant_rate((k, time, duration) for k, time in enumerate(times)))
    assert all(a <= b for a, b in pairwise(chosen))
    assert chosen[0] == 0
    # Never further from the true time than the 1.1 slots of slack and one repeated end.
    assert abs(len(chosen) - (times[-1] + duration)) <= 1.1 + 0.5 + 3.0


@pytest.mark.parametrize(("rate", "count"), [(30, 82), (25, 82), (24, 82), (28, 82)])
def test_ten_seconds_are_82_frames(rate, count):
    ticks = ((k / rate * 8, 8 / rate) for k in range(10 * rate))
    assert len(list(constant_rate((None, time, duration) for time, duration in ticks))) == count
