"""Some of many clips: of all classes alike, by the ids alone."""

from collections import Counter
from itertools import pairwise

import numpy as np

from avrobust.data.stratified import stratified

IDS = [f"clip{number:02}" for number in range(20)]
# Of three classes 12, 6 and 2.
LABELS = [(0,)] * 12 + [(1,)] * 6 + [(2,)] * 2


def counted(count: int) -> list[int]:
    of = Counter(LABELS[place][0] for place in stratified(IDS, LABELS, count))
    return [of[label] for label in range(3)]


def test_classes_have_as_many_as_each_other_as_far_as_they_have_clips():
    assert counted(3) == [1, 1, 1] and counted(6) == [2, 2, 2]
    assert counted(9) in ([4, 3, 2], [3, 4, 2]) and counted(14) == [6, 6, 2] and counted(18) == [10, 6, 2]
    assert sum(counted(2)) == 2 and max(counted(2)) == 1


def test_they_stay_in_order_and_the_more_are_taken_the_fewer_are_left():
    chosen = [stratified(IDS, LABELS, count) for count in range(21)]
    assert all(one == sorted(set(one)) and len(one) == count for count, one in enumerate(chosen))
    assert all(set(one) < set(more) for one, more in pairwise(chosen))
    assert stratified(IDS, LABELS, 99) == list(range(20))


def test_which_they_are_goes_by_the_ids_whatever_their_order():
    order = np.random.default_rng(0).permutation(20).tolist()
    shuffled = stratified([IDS[place] for place in order], [LABELS[place] for place in order], 7)
    assert {order[place] for place in shuffled} == set(stratified(IDS, LABELS, 7))
    others = [f"other{number:02}" for number in range(20)]
    assert stratified(others, LABELS, 7) != stratified(IDS, LABELS, 7), "else the first ones are always taken"


def test_a_clip_of_several_classes_counts_for_one():
    assert len(stratified(list("abc"), [(0, 1), (1, 2), (2,)], 2)) == 2
