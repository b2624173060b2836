"""Claims that are read clip by clip or of trainings: cosines, the best of several attacks, counts. By hand."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, write_cell, write_training

from avrobust.metrics.rows import Cells, cells_of
from avrobust.metrics.scores import Scores
from avrobust.program import UserError
from avrobust.report.claims import Judgement, judge
from avrobust.report.sides import chosen_on_others
from avrobust.report.trainings import Spent, spent
from avrobust.spec import notation
from avrobust.spec.artefacts.claims import claims, needs
from avrobust.spec.kind import TRAININGS, Need

CLIPS = 40
BOTH = ("both", "small")
LISTS = {"nets": ["AcV", "AsV", "RcR"], "masks": ["mask10", "mask20"]}


def judged(tests: str | Sequence[str], cells: Cells, trainings: Spent | None = None, **claim: object) -> Judgement:
    told = {"name": "one", "section": "1", "sentence": "It is so.", "datasets": ["music"], "tests": tests, **claim}
    given = claims({"paper": "zhang2025", "claims": notation.claims([told], {}, LISTS)})
    (found,) = judge(given, cells, Scores([]), trainings or {})
    return found


def asked(tests: str) -> list[Need]:
    told = {"name": "one", "section": "1", "sentence": "It is so.", "datasets": ["music"], "tests": tests}
    return list(needs(claims({"paper": "zhang2025", "claims": notation.claims([told], {}, LISTS)})))


def right(count: int) -> list[int]:
    return [0] * count + [1] * (CLIPS - count)


def test_cosines_are_compared_clip_by_clip(tmp_path: Path) -> None:
    """Means over two victims of 0.3 and of 0.1: the difference is 0.2 for every clip."""
    paths = [
        write_cell(
            tmp_path, f"music/{net}/0/{attack}", [0] * CLIPS, {CLEAN: right(40), BOTH: right(9)}, surrogate="AcV",
            cosines={BOTH: [shift + side + 0.01 * (clip % 3) for clip in range(CLIPS)]},
        )
        for attack, shift in (("i_fgsm", 0.3), ("mi_fgsm", 0.1))
        for net, side in (("AsV", 0.1), ("RcR", -0.1))
    ]  # fmt: skip
    one = judged("$nets!<AcV/i_fgsm.cosine@small > $nets!<AcV/mi_fgsm.cosine@small", cells_of(paths))
    assert one.overall.effect == pytest.approx(0.2) and one.claim.unit == "score"
    assert one.overall.verdict == "holds here" and 0 < one.overall.low < 0.2 < one.overall.high
    reverse = judged("$nets!<AcV/mi_fgsm.cosine@small > 0.5", cells_of(paths))
    assert (reverse.overall.verdict, reverse.overall.effect) == ("fails here", pytest.approx(-0.4 + 0.01 * 39 / 40))


def test_the_best_of_several_is_chosen_on_other_clips() -> None:
    """Each of two candidates is right about one half alone: each half is read by the one that is wrong about it."""
    ids = [f"clip{number}" for number in range(CLIPS)]
    half = np.array([sha256(name.encode()).digest()[0] % 2 for name in ids], bool)
    assert 0 < half.sum() < CLIPS
    values = np.stack([[half * 100.0], [~half * 100.0]])
    assert chosen_on_others(values, ids).tolist() == [[0.0] * CLIPS], "the luck of a choice is not read"
    # One that is better everywhere is taken for all.
    better = np.stack([np.full((2, CLIPS), 10.0), np.full((2, CLIPS), 30.0)])
    assert chosen_on_others(better, ids).tolist() == [[30.0] * CLIPS] * 2
    assert chosen_on_others(better[:, :, :1], ids[:1]).shape == (2, 1), "one clip is no half"


def test_a_claim_reads_the_best_attack_of_a_list(tmp_path: Path) -> None:
    left = {"fgsm": 30, "mask10": 26, "mask20": 10}
    answers = {attack: {CLEAN: right(40), BOTH: right(count)} for attack, count in left.items()}
    paths = [
        write_cell(tmp_path, f"music/{net}/0/{attack}", [0] * CLIPS, answers[attack], surrogate="AcV")
        for attack in left
        for net in ("AsV", "RcR")
    ]
    cells = cells_of(paths)
    one = judged("$nets!<AcV/best(masks).success@small > $nets!<AcV/fgsm.success@small", cells)
    assert (one.overall.verdict, one.overall.effect) == ("holds here", 50)
    assert one.claim.tests[0].label.endswith(
        "(best of masks of AcV) > mean of other nets success at small (fgsm of AcV)"
    )
    assert {need.reading.attack for need in asked("AsV<AcV/best(masks).success@small > 1")} == {"mask10", "mask20"}
    near = judged("AsV<AcV/best(masks).success@small > AsV<AcV/mask20.success@small - 1.5", cells)
    assert (near.overall.verdict, near.overall.effect) == ("undecided", 1.5), "40 clips leave more than 1.5 points open"


def test_each_net_has_a_test_with_the_same_net_on_both_sides(tmp_path: Path) -> None:
    told = {
        "name": "a",
        "section": "1",
        "sentence": "s",
        "each": {"net": "$nets"},
        "tests": "{net}<all-{net}.success@b > {net}.clean_error",
    }
    (made,) = notation.claims([told], {}, LISTS)
    sides = [
        (test["higher"]["surrogate"], test["higher"]["variant"], test["lower"]["variant"]) for test in made["tests"]
    ]
    assert sides == [("all-AcV", "AcV", "AcV"), ("all-AsV", "AsV", "AsV"), ("all-RcR", "RcR", "RcR")]
    assert "each" not in made
    with pytest.raises(notation.NotationError, match=r"claims\.a: each: no test has a place \{other\}"):
        notation.claims([{**told, "each": {"other": ["x"]}}], {}, LISTS)


def test_lists_may_be_written_with_braces() -> None:
    told = {"defended": ["{A,R}+{at,crmt}", "B"]}
    assert notation.listed("defended", told) == ["A+at", "A+crmt", "R+at", "R+crmt", "B"]


def test_counts_of_trainings_have_no_interval_and_no_doubt(tmp_path: Path) -> None:
    known = spent(
        write_training(tmp_path, "music", f"{net}+{defence}", seed, gradients_a_clip=10.0 * count + seed)
        for net in ("AcV", "AsV", "RcR")
        for defence, count in (("at", 2), ("ours", 1))
        for seed in (0, 1)
    )
    one = judged("$nets+at.gradients_a_clip > $nets+ours.gradients_a_clip", Cells([]), known)
    assert (one.overall.verdict, one.overall.effect) == ("holds here", 10)
    assert (one.overall.low, one.overall.high, one.overall.p_holds, one.overall.p_fails) == (10, 10, 0, 1)
    assert one.claim.unit == "count" and one.overall.n == 0 and one.overall.seeds == 2
    other = judged("$nets+ours.gradients_a_clip > AcV+at.gradients_a_clip - 5", Cells([]), known)
    assert (other.overall.verdict, other.overall.effect) == ("fails here", -5)
    assert {need.family for need in asked("AcV+at.gradients_a_clip > 1")} == {TRAININGS}
    with pytest.raises(UserError, match=r"claim one: no training of music/RcR among those given"):
        judged("RcR.gradients_a_clip > 1", Cells([]), known)


def test_percentages_and_counts_have_no_common_test(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be compared clip by clip"):
        judged("AcV.gradients_a_clip > AcV/fgsm.success@small", Cells([]))
