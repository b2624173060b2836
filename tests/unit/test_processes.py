"""Work in several processes: in order, never far ahead, and with nothing left behind."""

import os
from functools import partial

import pytest

from avrobust.processes import UNDER_WAY, in_order
from avrobust.program import UserError


def test_items_are_taken_no_faster_than_they_are_used():
    taken = []

    def given():
        for number in range(50):
            taken.append(number)
            yield number

    made = in_order(partial(pow, 2), given(), 2)
    assert [next(made) for _ in range(3)] == [(0, 1), (1, 2), (2, 4)]
    assert len(taken) <= 3 + 2 * UNDER_WAY
    assert list(made)[-1] == (49, 2**49)
    assert taken == list(range(50))


def test_an_error_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        list(in_order(partial(divmod, 1), [1, 0], 2))


def test_a_process_that_dies_is_an_error_that_names_its_clips():
    with pytest.raises(UserError, match=r"died.* at one of: 3"):
        list(in_order(os._exit, [3], 2))
