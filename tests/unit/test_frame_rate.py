"""Which frames a constant rate shows, against the rule worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data.frame_rate import constant_rate


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
