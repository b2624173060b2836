"""What a number is measured under, and how far an attack may go, as a layout and a paper's file say it."""

import pytest

from avrobust.attacks import norms
from avrobust.spec import budgets
from avrobust.spec.conditions import CLEAN, Condition, Reading, place, reading

SMALL = {"norm": "linf", "epsilon": 0.006}


def test_a_variant_is_short_for_surrogate_and_victim():
    read = {"dataset": "music", "attack": "fgsm", "modality": "audio", "budget": "small"}
    condition = Condition("audio", "small")
    assert reading({**read, "variant": "concat"}) == Reading("music", "concat", "concat", "fgsm", condition)
    transferred = Reading("music", "concat", "exfmem", "fgsm", condition)
    assert reading({**read, "surrogate": "concat", "victim": "exfmem"}) == transferred
    assert reading({**read, "variant": "exfmem", "surrogate": "concat"}) == transferred
    # What comes later wins, whichever way it is said.
    row = {"surrogate": "concat", "victim": "exfmem"}
    assert place(row) | place({"variant": "sum"}) == {"surrogate": "sum", "victim": "sum"}
    assert place({"variant": "sum"}) | place(row) == row


def test_what_is_measured_whatever_is_attacked_has_no_budget():
    read = {"dataset": "music", "attack": "fgsm", "variant": "concat", "budget": "small", "steps": 3}
    assert reading({**read, "modality": "clean"}).condition == CLEAN
    assert reading({**read, "modality": "majority"}).condition == Condition("majority")
    assert reading({**read, "modality": "both"}).condition == Condition("both", "small", 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": ""}, "attack must be given"),
        ({"variant": ""}, "surrogate, victim must be given"),
        ({"modality": "touch"}, "'touch' is none of clean, audio"),
        ({"budget": ""}, "modality audio needs a budget"),
        ({"epsilon": 0.1}, "unknown epsilon"),
    ],
)
def test_what_names_no_number_is_refused(change, message):
    read = {"dataset": "music", "variant": "concat", "attack": "fgsm", "modality": "audio", "budget": "small"}
    with pytest.raises(ValueError, match=message):
        reading({**read, **change})


def test_what_is_read_is_said_in_words():
    read = {"dataset": "ave", "attack": "mim", "modality": "both", "budget": "sweep/2"}
    assert str(reading({**read, "variant": "sum"})) == "ave/sum/mim, both at sweep/2"
    assert str(reading({**read, "victim": "sum", "surrogate": "film", "steps": 4})) == (
        "ave/film/sum/mim, both at sweep/2 in 4 steps"
    )


def test_a_budget_has_a_long_form():
    told = {
        "small": 0.006,
        "sweep": [0.002, {"audio": 0.1}],
        "l2": {"norm": "l2_clip", "epsilon": 1.5, "range": [0, 1]},
        "quiet": {"audio": {"norm": "l2_clip", "snr": -3}, "visual": 0.006},
        "calibrated": {"from": "nearest"},
    }
    l2 = {"norm": "l2_clip", "epsilon": 1.5, "range": [0, 1]}
    assert budgets.named(told) == {
        "small": {"audio": SMALL, "visual": SMALL},
        "sweep/1": {"audio": {"norm": "linf", "epsilon": 0.002}, "visual": {"norm": "linf", "epsilon": 0.002}},
        "sweep/2": {"audio": {"norm": "linf", "epsilon": 0.1}},
        "l2": {"audio": l2, "visual": l2},
        "quiet": {"audio": {"norm": "l2_clip", "snr": -3}, "visual": SMALL},
        "calibrated": {"from": "nearest"},
    }
    assert budgets.points("sweep", told) == ["sweep/1", "sweep/2"]
    assert budgets.points("small", told) == ["small"]


def test_a_caption_prints_the_one_number_of_a_budget():
    told = budgets.named(
        {
            "a": 0.06,
            "b": {"audio": 0.1, "visual": 0.2},
            "c": {"from": "c"},
            "d": {"norm": "l2_clip", "snr": 3},
            "e": 1e-5,
        }
    )
    assert {name: budgets.printed(value) for name, value in told.items()} == {
        "a": "0.06", "b": None, "c": None, "d": None, "e": "1e-05",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"audio": 0.1, "sound": 0.2}, r"wrong: unknown audio, sound; known are audio, visual, norm"),
        ({"norm": "linf"}, "either epsilon or snr must be given"),
        ({"norm": "l3", "epsilon": 1}, "norm: 'l3' is not allowed; allowed are linf, l2_step, l2_clip"),
        ({"snr": 30}, "snr = 30 needs norm l2_clip, got linf"),
        ({"epsilon": 1, "range": [0]}, r"range: \[0\] is not allowed; give \[lowest, highest\]"),
        ({"epsilon": 1, "range": [1, 0]}, r"range: \[1, 0\] is not allowed"),
        ({"epsilon": 0.1, "snr": 3}, "either epsilon or snr must be given"),
        (-0.1, "-0.1 is no strength"),
        (True, "True is no strength"),
        ("much", "'much' is no strength"),
        ({"from": "a", "norm": "linf"}, "stands alone"),
        ([0.1, "x"], "wrong/2: 'x' is no strength"),
    ],
)
def test_what_is_no_budget_is_named(value, message):
    with pytest.raises(ValueError, match=message):
        budgets.named({"wrong": value})


def test_a_budget_has_the_norms_of_attacks():
    assert tuple(norms.NORMS) == budgets.NORMS
