"""Success, success if recognised, clean error and their means over victims, of cells worked by hand."""

from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, write_cell

from avrobust.metrics.estimate import Estimate
from avrobust.metrics.interval import Mean, mean
from avrobust.metrics.measured import estimated, measured
from avrobust.metrics.rows import Cells, cells_of
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.measures import MEASURES
from avrobust.spec.nets import Nets, pairs

CLIPS = 20
BOTH, AUDIO = ("both", "small"), ("audio", "small")
# How many of the first clips each victim recognises, clean and under attack.
COUNTS = {"AcV": (16, 4), "AsV": (10, 9), "RcR": (20, 20)}


def right(count: int) -> list[int]:
    return [0] * count + [1] * (CLIPS - count)


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    """Three victims of what AcV's gradients make; the sound alone leaves one clip more than both."""
    return cells_of(
        write_cell(
            *(tmp_path, f"music/{victim}/{seed}/fgsm", [0] * CLIPS),
            {CLEAN: right(clean), BOTH: right(attacked), AUDIO: right(min(attacked + 1, CLIPS))},
            surrogate="AcV",
        )
        for victim, (clean, attacked) in COUNTS.items()
        for seed in (0, 1)
    )


def on(victim: str, modality: str = "both") -> Reading:
    return Reading("music", "AcV", victim, "fgsm", Condition(modality, "small"))


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("accuracy", 20), ("success", 80), ("success_if_recognised", 75), ("clean_error", 20), ("clean", 80),
        ("X_A", 25), ("X_AV", 20),
    ],
)  # fmt: skip
def test_measures_of_one_victim_by_hand(cells: Cells, measure: str, value: float) -> None:
    """16 of 20 clips are recognised clean, and 4 of these under attack."""
    assert measured(cells, measure, [on("AcV")]).value == pytest.approx(value)
    assert estimated(cells, measure, [on("AcV")]).value == pytest.approx(value)


def test_what_is_read_under_one_modality_is_read_under_that(cells: Cells) -> None:
    assert measured(cells, "success", [on("AcV", "audio")]).value == 75
    assert measured(cells, "success_if_recognised", [on("AcV", "audio")]).value == pytest.approx(100 * 11 / 16)
    assert measured(cells, "clean_error", [on("AcV", "audio")]).value == 20


def test_a_mean_over_victims_is_a_mean_over_clips_that_move_all_of_them(cells: Cells) -> None:
    """Of clip n: how many of the victims are wrong. The first four clips are right of all, the next five of two."""
    two = measured(cells, "success", [on("AsV"), on("RcR")])
    assert isinstance(two, Mean) and (two.clips, two.seeds) == (20, 2)
    assert two.value == pytest.approx((55 + 0) / 2)
    by_clip = np.array([0.0] * 9 + [50.0] * 11)
    assert two.ends == pytest.approx(mean(by_clip[None], 0, 100).ends)
    # As if there were twice as many clips it would be narrower.
    assert two.high() - two.low() > 1.2 * (mean(np.array([[0.0] * 29 + [100.0] * 11]), 0, 100).high() - 27.5)


def test_a_mean_of_ratios_goes_replicate_by_replicate(cells: Cells) -> None:
    one, other = (measured(cells, "success_if_recognised", [on(name)]) for name in ("AcV", "AsV"))
    both = measured(cells, "success_if_recognised", [on("AcV"), on("AsV")])
    assert isinstance(both, Estimate) and (both.clips, both.seeds) == (20, 2)
    assert both.value == pytest.approx((75 + 10) / 2)
    np.testing.assert_allclose(both.replicates, (one.replicates + other.replicates) / 2)


def test_every_measure_is_within_its_bounds_and_reads_the_clean_clips_once() -> None:
    for name, measure in MEASURES.items():
        read, constant = measure.over([on("AcV"), on("AsV")])
        if name not in ("total", "visual_bias"):
            ends = (sum(one for one in read.values() if sign * one > 0) + constant for sign in (-1, 1))
            assert list(ends) == pytest.approx([0, 1])
    assert len(MEASURES["clean_error"].over([on("AcV"), on("AcV", "audio")])[0]) == 1


def test_pairs_of_nets() -> None:
    three = ("AcV", "AsV", "RcR")
    every, others = Nets("nets", three), Nets("nets", three, others=True)
    assert pairs("AcV", "RcR") == [("AcV", "RcR")]
    assert pairs("AcV", others) == [("AcV", "AsV"), ("AcV", "RcR")]
    assert pairs("AcV", every) == [("AcV", name) for name in three]
    # White-box: each net by its own gradients; all by all, and by all but themselves.
    assert pairs("<victim>", every) == [(name, name) for name in three]
    assert len(pairs(every, every)) == 9
    assert len(pairs(every, others)) == 6 and ("AcV", "AcV") not in pairs(every, others)
    assert pairs("all-<victim>", every) == [(f"all-{name}", name) for name in three]
    with pytest.raises(ValueError, match="no net is left of mean of other x beside AcV"):
        pairs("AcV", Nets("x", ("AcV",), others=True))


@pytest.mark.parametrize(("left", "low", "high"), [(0, 79.41, 100), (16, 0, 20.59)])
def test_a_ratio_of_which_all_clips_are_alike_has_the_width_of_an_exact_rate(tmp_path: Path, left, low, high) -> None:
    """Of 16 recognised clips all are lost, or none: 0.025 ** (1 / 16) is 0.7941, as Clopper & Pearson have it."""
    predictions = {CLEAN: right(16), BOTH: right(left)}
    cells = cells_of([write_cell(tmp_path, "music/AcV/0/fgsm", [0] * CLIPS, predictions)])
    one = Reading("music", "AcV", "AcV", "fgsm", Condition("both", "small"))
    found = measured(cells, "success_if_recognised", [one])
    assert found.ends == pytest.approx((100 * (left == 0), low, high), abs=2.5)
    # And so has what is computed of it: a difference from nothing, a mean of twice the same, the other way round.
    for same in (found - 0.0, found * 1.0, measured(cells, "success_if_recognised", [one, one])):
        assert same.ends == pytest.approx(found.ends)
    assert (-found).ends == pytest.approx((-found.value, -found.high(), -found.low()))
    assert (found - found).low() < 0 < (found - found).high()


def test_an_estimate_of_a_rate_has_nearly_the_interval_of_the_exact_mean(cells: Cells) -> None:
    for readings in ([on("AcV")], [on("AcV"), on("RcR")], [on("RcR")]):
        exact = measured(cells, "success", readings).ends
        assert estimated(cells, "success", readings).ends == pytest.approx(exact, abs=3)
