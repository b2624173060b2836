"""Schedules of adversarial training, by hand."""

import pytest

from avrobust.spec.schedules import Stage, count_sampled, half_up, stage


@pytest.mark.parametrize(
    ("epoch", "told", "made"),
    [
        (1, {}, Stage(5, 5, 1)),
        # A fifth of the way: (1 - cos 36 degrees) / 2 = 0.0955 of 15; 1 + 9 / 5 = 2.8 steps.
        (2, {}, Stage(pytest.approx(6.4324, abs=1e-4), pytest.approx(6.4324, abs=1e-4), 3)),
        (6, {}, Stage(5, 5, 1)),
        (2, {"schedule": "linear"}, Stage(8, 8, 3)),
        (2, {"schedule": "linear", "cycle": 2, "steps": 4}, Stage(12.5, 12.5, 3)),
        (2, {"cycle": 2, "steps": 4}, Stage(pytest.approx(12.5), pytest.approx(12.5), 3)),
        (9, {"schedule": "constant", "sampled": 20, "dropped": 0, "steps": 7}, Stage(20, 0, 7)),
    ],
)
def test_what_an_epoch_crafts_with(epoch: int, told: dict, made: Stage) -> None:
    assert stage(epoch, **told) == made


def test_shares_of_steps_are_rounded_over_the_whole_clip() -> None:
    assert [count_sampled(share, 20) for share in (5, 10, 20, 25)] == [1, 2, 4, 5]
    assert [count_sampled(share, 10) for share in (1, 5, 20, 25)] == [1, 1, 2, 3]
    assert [half_up(number) for number in (0.5, 1.5, 2.4999)] == [1, 2, 2]
