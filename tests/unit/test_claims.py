"""Claims: verdicts worked by hand, corrections, what a verdict speaks of, mistakes, and the program as users run it."""

import csv
import io
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from artefacts import make, make_alone
from cell_files import CLEAN, write_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.metrics.interval import TAIL, mean
from avrobust.metrics.rows import Cells, cells_of
from avrobust.metrics.scores import Scores, write_scores
from avrobust.program import UserError
from avrobust.report.claims import Judgement, counted, judge, markdown, tidy_claims, tidy_tests
from avrobust.report.stack import stack
from avrobust.report.table import measure
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.claims import claims, needs
from avrobust.spec.artefacts.table import layout

SCRIPTS = Path(__file__).parents[2] / "scripts"
CLIPS = 100
AUDIO, VISUAL, BOTH = ("audio", "small"), ("visual", "small"), ("both", "small")
STRENGTHS = {"small": "0.006", "equal": "0.006", "large": "0.012"}


def right(*parts: range) -> list[int]:
    """Answers, of which those in `parts` are right: every label is 0."""
    known = {number for part in parts for number in part}
    return [0 if number in known else 1 for number in range(CLIPS)]


# By variant and condition, of 100 clips.
ANSWERS = {
    "concat": {CLEAN: right(range(90)), AUDIO: right(range(60)), VISUAL: right(range(50)), BOTH: right()},
    "maxsim": {
        CLEAN: right(range(20, 100)),
        AUDIO: right(range(61)),
        VISUAL: right(range(50, 100)),
        BOTH: right(),
    },
    "minsim": {CLEAN: right(range(30)), AUDIO: right(range(20)), VISUAL: right(range(10)), BOTH: right(range(2))},
}


def cell_paths(folder: Path, answers: Mapping[str, Mapping] = ANSWERS, dataset: str = "music") -> list[Path]:
    return [
        write_cell(folder, f"{dataset}/{variant}/0/fgsm", [0] * CLIPS, predictions)
        for variant, predictions in answers.items()
    ]


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return cells_of(cell_paths(tmp_path))


def claim(*tests: Mapping, **more: object) -> dict:
    return {"name": "one", "section": "4.3", "sentence": "It is so.", "tests": list(tests), **more}


def spec(*given: Mapping) -> dict:
    said = {"paper": "tian2021", "citation": "Hand et al", "sources": {"music": "lists"}, "strengths": STRENGTHS}
    return {**said, "claims": list(given)}


def read(variant: str, of: str, **more: object) -> dict:
    return {"dataset": "music", "variant": variant, "attack": "fgsm", "budget": "small", "of": of, **more}


def score(variant: str, name: str, modality: str = "clean", **more: object) -> dict:
    place = {"dataset": "music", "variant": variant, "attack": "fgsm", "budget": "small", "modality": modality}
    return {**place, "score": name, **more}


def write_score(path: Path, values: Mapping[tuple[str, str, str], Sequence[float]], variant: str = "a") -> Path:
    """Values by (modality, budget, measure), clip by clip."""
    rows = [
        (f"clip{number}", 0, modality, budget, measure, value)
        for (modality, budget, measure), of_clips in values.items()
        for number, value in enumerate(of_clips)
    ]
    names = ("clip_id", "label", "modality", "budget", "measure", "value")
    identity = {"dataset": "music", "variant": variant, "seed": 0, "attack": "fgsm"}
    write_scores(path, identity, dict(zip(names, zip(*rows, strict=True), strict=True)))
    return path


def judged(cells: Cells, *tests: Mapping, scores: Sequence[Path] = (), **more: object) -> Judgement:
    (found,) = judge(claims(spec(claim(*tests, **more))), cells, Scores(scores))
    return found


def test_a_clear_difference_holds_and_the_reverse_fails(cells: Cells) -> None:
    forward = judged(cells, {"higher": read("concat", "clean"), "lower": read("minsim", "clean")})
    assert (forward.overall.verdict, forward.overall.speaks_of) == ("holds here", "clips")
    assert (forward.overall.effect, forward.overall.n, forward.overall.seeds) == (60, 100, 1)
    # 60 of 100 clips differ, all one way, which has a chance of 2 ** -60; 49.7 to 69.7 if none could be worse.
    assert forward.overall.p_holds == pytest.approx(0.5**60, abs=1e-12)
    assert (forward.overall.low, forward.overall.high) == pytest.approx((48.2, 69.7), abs=0.1)
    backward = judged(cells, {"higher": read("minsim", "clean"), "lower": read("concat", "clean")})
    assert backward.overall.verdict == "fails here"
    assert (backward.overall.low, backward.overall.high) == (-forward.overall.high, -forward.overall.low)


def test_measures_worked_by_hand(cells: Cells) -> None:
    def effect(of: str) -> float:
        return judged(cells, {"higher": read("concat", of), "lower": 0}).overall.effect

    assert [effect(of) for of in ("clean", "X_A", "X_V", "X_AV")] == [90, 60, 50, 0]
    assert effect("Avg") == pytest.approx(110 / 3)
    assert effect("total") == pytest.approx(90 + 110 / 3)
    assert effect("visual_bias") == 10


def transferred(folder: Path) -> Cells:
    """What three victims answer to clips of concat's gradients, and concat itself."""
    return cells_of(
        write_cell(folder, f"music/{victim}/0/fgsm", [0] * CLIPS, predictions, surrogate="concat")
        for victim, predictions in ANSWERS.items()
    )


def mean_of(of: str, others: bool = True, **more: object) -> dict:
    nets = {"mean": "nets", "of": list(ANSWERS), "others": others}
    return {**read("concat", of, **more), "surrogate": "concat", "victim": nets} | {"variant": nets}


def test_a_black_box_mean_leaves_out_the_surrogate(tmp_path: Path) -> None:
    """Of the sound: maxsim errs in 39 clips, minsim in 80, concat in 40."""
    cells = transferred(tmp_path)

    def overall(higher: Mapping, lower: object = 0) -> tuple[float, str]:
        found = judged(cells, {"higher": higher, "lower": lower})
        return found.overall.effect, found.claim.tests[0].label

    said = "music, fgsm: mean of other nets success audio at 0.006 (of concat) > 0"
    assert overall(mean_of("success", modality="audio")) == (pytest.approx((39 + 80) / 2), said)
    assert overall(mean_of("success", False, modality="audio"))[0] == pytest.approx((40 + 39 + 80) / 3)
    # Clean: 20 and 70 err, whatever is attacked.
    assert overall(mean_of("success", modality="audio"), mean_of("clean_error", budget=""))[0] == pytest.approx(14.5)
    assert {one.reading.victim for one in needs(claims(spec(claim({"higher": mean_of("success"), "lower": 0}))))} == {
        "maxsim", "minsim",
    }  # fmt: skip


def test_a_ratio_is_tested_on_resampled_clips(tmp_path: Path) -> None:
    """Of 90 that concat recognises 30 are lost by the sound, of 80 of maxsim 39: 33.3 and 48.75 %."""
    cells = transferred(tmp_path)
    ratio = {name: {**read(name, "success_if_recognised", modality="audio"), "surrogate": "concat"} for name in ANSWERS}
    one = judged(cells, {"higher": ratio["maxsim"], "lower": ratio["concat"]}).overall
    assert (one.effect, one.verdict) == (pytest.approx(48.75 - 100 / 3), "holds here")
    # By the delta method, of what each clip has to do with both ratios.
    recognised = {name: np.array(ANSWERS[name][CLEAN]) == 0 for name in ANSWERS}
    lost = {name: recognised[name] & (np.array(ANSWERS[name][AUDIO]) == 1) for name in ANSWERS}
    shares = {name: (lost[name] - lost[name].sum() / recognised[name].sum() * recognised[name]) for name in ANSWERS}
    parts = [shares[name] / recognised[name].mean() for name in ("maxsim", "concat")]
    half = 1.96 * 100 * np.std(parts[0] - parts[1]) / 10
    assert (one.low, one.high) == pytest.approx((one.effect - half, one.effect + half), abs=1)
    clear = judged(cells, {"higher": ratio["maxsim"], "lower": 10, "by": 5}).overall
    assert (clear.effect, clear.verdict, clear.n) == (pytest.approx(33.75), "holds here", 100)
    # No replicate is below 0, of which a thousand can tell.
    assert clear.p_holds == pytest.approx(1 / 1001) and 20 < clear.low < 33.75 < clear.high < 50
    assert judged(cells, {"higher": 10, "lower": ratio["maxsim"]}).overall.verdict == "fails here"


def test_a_measure_with_modalities_of_its_own_is_read_under_no_other() -> None:
    with pytest.raises(UserError, match=r"X_A\[visual\]: it is of modalities of its own"):
        claims(spec(claim({"higher": read("concat", "X_A", modality="visual"), "lower": 0})))


@pytest.mark.parametrize(("better", "worse"), [(41, 40), (40, 41)])
def test_one_clip_decides_nothing(tmp_path: Path, better: int, worse: int) -> None:
    """40 of 88 against 41 of 88, all other clips alike: a chance of one in two, whichever way."""
    answers = [[int(number >= known) for number in range(88)] for known in (better, worse)]
    cells = cells_of(
        write_cell(tmp_path, f"music/{variant}/0/fgsm", [0] * 88, {CLEAN: of_variant})
        for variant, of_variant in zip(("concat", "minsim"), answers, strict=True)
    )
    one = judged(cells, {"higher": read("concat", "clean"), "lower": read("minsim", "clean")}).overall
    assert (one.verdict, one.effect) == ("undecided", pytest.approx(100 * (better - worse) / 88))
    assert one.low < 0 < one.high
    assert (one.p_holds, one.p_fails) == pytest.approx((0.5, 1) if better > worse else (1, 0.5), abs=0.25)


@pytest.mark.parametrize(("differing", "found"), [(5, "undecided"), (6, "holds here")])
def test_six_clips_that_all_differ_one_way_decide(tmp_path: Path, differing: int, found: str) -> None:
    """McNemar's exact test: 1 in 2 ** 5 is more than 2.5 %, 1 in 2 ** 6 is less."""
    answers = {"concat": {CLEAN: right(range(50 + differing))}, "minsim": {CLEAN: right(range(50))}}
    cells = cells_of(cell_paths(tmp_path, answers))
    forward = judged(cells, {"higher": read("concat", "clean"), "lower": read("minsim", "clean")}).overall
    backward = judged(cells, {"higher": read("minsim", "clean"), "lower": read("concat", "clean")}).overall
    assert (forward.verdict, forward.p_holds) == (found, pytest.approx(0.5**differing))
    assert (backward.verdict, backward.p_fails) == (found.replace("holds", "fails"), forward.p_holds)
    assert (backward.low, backward.high) == (-forward.high, -forward.low)
    assert (forward.low > 0) is (found != "undecided")


def test_a_small_difference_is_undecided_and_a_margin_moves_it(cells: Cells) -> None:
    test = {"higher": read("maxsim", "X_A"), "lower": read("concat", "X_A")}
    one = judged(cells, test)
    assert (one.overall.verdict, one.overall.effect) == ("undecided", 1)
    # None of 100 clips is lost: 2 % could be, with a chance of 13 %, 5 % with one of less than 1 %.
    assert judged(cells, {**test, "by": -2}).overall.verdict == "undecided"
    assert judged(cells, {**test, "by": -5}).overall.verdict == "holds here"
    assert judged(cells, {**test, "by": -5}).overall.p_holds < 0.95**100
    assert judged(cells, {**test, "by": 8}).overall.verdict == "fails here"
    assert judged(cells, {**test, "by": 8}).overall.effect == -7


def test_a_tie_is_undecided(cells: Cells) -> None:
    nothing = judged(cells, {"higher": read("concat", "X_AV"), "lower": read("maxsim", "X_AV")})
    # 0 of 100 on both sides: each could be 3.62 %, which leaves 2.5 %.
    assert nothing.overall.verdict == "undecided"
    assert (nothing.overall.effect, nothing.overall.low) == (0, pytest.approx(-100 * (1 - TAIL**0.01), abs=1e-6))
    assert nothing.overall.high == -nothing.overall.low
    itself = judged(cells, {"higher": read("concat", "X_A"), "lower": read("concat", "X_A")})
    assert (itself.overall.verdict, itself.overall.low, itself.overall.high) == ("undecided", 0, 0)


def test_nothing_recognised_may_still_be_something(cells: Cells) -> None:
    """2 of 100 against 0 of 100 is a chance of 1 in 4."""
    one = judged(cells, {"higher": read("minsim", "X_AV"), "lower": read("concat", "X_AV")}).overall
    assert (one.verdict, one.effect, one.p_holds) == ("undecided", 2, pytest.approx(0.25))
    # An average of three, clip by clip: 50 clips have two of three right, 10 have one.
    plain = judged(cells, {"higher": read("concat", "Avg"), "lower": 0}).overall
    thirds = mean(np.repeat([200 / 3, 100 / 3, 0], [50, 10, 40])[None], 0, 100)
    assert (plain.low, plain.high) == pytest.approx((thirds.low(), thirds.high()))
    # 0 of 100 is more than -2, whatever it is elsewhere.
    sure = judged(cells, {"higher": read("maxsim", "X_AV"), "lower": -2}).overall
    assert (sure.low, sure.high, sure.verdict) == (pytest.approx(2), pytest.approx(5.62, abs=0.01), "holds here")


def test_everything_recognised_may_miss_something(tmp_path: Path) -> None:
    cells = cells_of(cell_paths(tmp_path, {"concat": {CLEAN: right(range(CLIPS))}}))
    one = judged(cells, {"higher": read("concat", "clean"), "lower": 98}).overall
    assert (one.effect, one.low, one.high, one.verdict) == (2, pytest.approx(-1.62, abs=0.01), 2, "undecided")
    one = judged(cells, {"higher": 98, "lower": read("concat", "clean")}).overall
    assert (one.effect, one.low, one.high, one.verdict) == (-2, -2, pytest.approx(1.62, abs=0.01), "undecided")


def test_pairing_matters(tmp_path: Path) -> None:
    """The same two accuracies, 50 and 58 %: on nested clips the difference is sure, on others it is not."""
    base = {CLEAN: right(range(50))}
    nested, apart = {CLEAN: right(range(58))}, {CLEAN: right(range(42, 100))}
    paths = cell_paths(tmp_path, {"concat": base, "maxsim": nested, "minsim": apart})
    both = cells_of(paths)

    def against(variant: str) -> Judgement:
        return judged(both, {"higher": read(variant, "clean"), "lower": read("concat", "clean")})

    assert against("maxsim").overall.effect == against("minsim").overall.effect == 8
    assert [against(name).overall.verdict for name in ("maxsim", "minsim")] == ["holds here", "undecided"]


def test_an_improvement_is_that_of_the_tables(cells: Cells) -> None:
    names = {"AV_clean": "clean", "X_A": "audio", "X_V": "visual", "X_AV": "both"}
    columns = [
        {"name": name, "condition": {"modality": modality, "budget": "small"}} for name, modality in names.items()
    ]
    columns += [
        {"name": "Avg", "mean": ["X_A", "X_V", "X_AV"]},
        {"name": "RI", "sum": ["AV_clean", "Avg"], "against": {"variant": "concat"}},
    ]
    place = {"dataset": "music", "variant": "maxsim", "attack": "fgsm"}
    rows = [{"keys": {"defence": "MaxSim"}, "read": place, "ours_only": True}]
    table = layout({"title": "", "caption": "", "keys": ["defence"], "columns": columns, "rows": rows})
    *_, entry = measure(table, cells, {}, scale="paper").itertuples()
    one = judged(cells, {"higher": read("maxsim", "total"), "lower": read("concat", "total")}).overall
    assert (entry.ours, entry.low, entry.high) == tuple(round(value, 2) for value in (one.effect, one.low, one.high))


def test_a_claim_is_as_strong_as_its_weakest_test(cells: Cells) -> None:
    strong = {"higher": read("concat", "clean"), "lower": read("minsim", "clean")}
    less = {"higher": read("concat", "X_A"), "lower": read("minsim", "X_A")}
    weak = {"higher": read("maxsim", "X_A"), "lower": read("concat", "X_A")}
    wrong = {"higher": read("minsim", "clean"), "lower": read("concat", "clean")}
    together = judged(cells, strong, less)
    assert (together.overall.verdict, together.overall.effect, together.weakest) == ("holds here", 40, 1)
    assert (together.held, together.overall.low) == ("2 of 2 here", min(result.low for result in together.tests))
    assert together.overall.p_holds == max(result.p_holds for result in together.tests)
    undecided = judged(cells, strong, weak)
    assert (undecided.overall.verdict, undecided.overall.effect, undecided.held) == ("undecided", 1, "1 of 2 here")
    failing = judged(cells, strong, weak, wrong)
    assert (failing.overall.verdict, failing.overall.effect) == ("fails here", -60)
    assert failing.overall.high < 0


@pytest.mark.parametrize(("number", "found"), [(1, "fails here"), (3, "fails here"), (4, "undecided")])
def test_a_failing_test_is_corrected_for_their_number(tmp_path: Path, number: int, found: str) -> None:
    """7 of 7 clips differ the wrong way: 1 in 128, 0.78 %. Thrice that is less than 2.5 %, four times is not."""
    answers = {"concat": {CLEAN: right(range(50))}, "minsim": {CLEAN: right(range(57)), AUDIO: right()}}
    cells = cells_of(cell_paths(tmp_path, answers))
    wrong = {"higher": read("concat", "clean"), "lower": read("minsim", "clean")}
    others = [{"higher": read("concat", "clean"), "lower": number} for number in (20, 21, 22)]
    of_claim = judged(cells, wrong, *others[: number - 1])
    assert of_claim.tests[0].verdict == "fails here"
    assert of_claim.tests[0].p_fails == pytest.approx(1 / 128)
    assert of_claim.overall.p_fails == of_claim.tests[0].p_fails_holm == pytest.approx(number / 128)
    assert of_claim.overall.verdict == found
    assert (of_claim.overall.high < 0) is (found != "undecided")


def test_corrections_step_down(cells: Cells) -> None:
    """Holm: the smallest of three thrice, the next twice, and none below the one before."""
    tests = [{"higher": read("concat", "clean"), "lower": number} for number in (97, 98, 10)]
    first, second, third = judged(cells, *tests).tests
    assert second.p_fails < first.p_fails < 0.1 < third.p_fails
    assert second.p_fails_holm == pytest.approx(3 * second.p_fails)
    assert first.p_fails_holm == pytest.approx(2 * first.p_fails)
    assert third.p_fails_holm == 1


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ([90, 90], ("holds here", "clips")),
        ([90, 89, 88], ("holds", "clips and trainings")),
        # Better by 25 on average, by clips beyond doubt; t = 4.3 times 10 of three trainings is not.
        ([99, 86, 40], ("holds here", "clips")),
        ([60, 50, 40], ("undecided", "clips and trainings")),
    ],
)
def test_a_verdict_says_what_it_speaks_of(tmp_path: Path, known: list[int], found: tuple[str, str]) -> None:
    for seed, number in enumerate(known):
        write_cell(tmp_path, f"music/concat/{seed}/fgsm", [0] * CLIPS, {CLEAN: right(range(number))})
    cells = cells_of(sorted(tmp_path.rglob("*.parquet")))
    one = judged(cells, {"higher": read("concat", "clean"), "lower": 50}).overall
    assert (one.verdict, one.speaks_of) == found
    assert (one.effect, one.seeds) == (pytest.approx(sum(known) / len(known) - 50), len(known))
    assert (one.low > 0) is (found[0] != "undecided")
    mirrored = judged(cells, {"higher": 50, "lower": read("concat", "clean")}).overall
    assert (mirrored.verdict, mirrored.speaks_of) == (found[0].replace("holds", "fails"), found[1])
    assert (mirrored.low, mirrored.high) == pytest.approx((-one.high, -one.low))


def test_tests_are_read_with_every_dataset_and_attack() -> None:
    clean, attacked = {"variant": "visual", "attack": "fgsm", "of": "clean"}, {"variant": "concat", "of": "X_A"}
    test = {"higher": clean, "lower": {**attacked, "budget": "large"}}
    (one,) = claims(spec(claim(test, datasets=["music", "ave"], attacks=["fgsm", "mim"]))).claims
    assert [test.label for test in one.tests] == [
        f"{dataset}, {attack}: visual clean > concat X_A at 0.012"
        for dataset in ("music", "ave")
        for attack in ("fgsm", "mim")
    ]
    assert {test.higher.attack for test in one.tests} == {"fgsm"}
    assert {test.higher.budget for test in one.tests} == {""}
    # What differs by neither is one test.
    fixed = {"higher": read("concat", "clean"), "lower": read("concat", "X_A"), "by": 5}
    (one,) = claims(spec(claim(fixed, attacks=["fgsm", "mim"]))).claims
    assert [test.label for test in one.tests] == ["music, fgsm: concat clean > concat X_A at 0.006 + 5"]
    attacks = {"higher": read("concat", "X_A"), "lower": read("concat", "X_A", attack="mim")}
    (one,) = claims(spec(claim(attacks))).claims
    assert one.tests[0].label == "music: concat X_A at 0.006 (fgsm) > concat X_A at 0.006 (mim)"


def test_scores_are_tested_as_they_are(tmp_path: Path) -> None:
    clean, attacked = [0.75] * 30 + [0.25] * 10, [0.5] * 30 + [0.25] * 10
    path = write_score(tmp_path / "a.parquet", {("clean", "", "iou"): clean, ("audio", "small", "iou"): attacked})
    one = judged(Cells([]), {"higher": score("a", "iou"), "lower": score("a", "iou", "audio")}, scores=[path])
    assert (one.overall.verdict, one.overall.effect, one.overall.n) == ("holds here", 0.1875, 40)
    assert one.claim.tests[0].label == "music, fgsm: a iou clean > a iou audio at 0.006"
    # A quarter on 30 of 40 clips; no score has a known range here. Clopper & Pearson: 58.8 to 87.3 %.
    assert (one.overall.low, one.overall.high) == pytest.approx((0.25 * 0.588, 0.25 * 0.873), abs=1e-4)


def test_scores_that_are_not_there_leave_a_test_undecided(tmp_path: Path) -> None:
    nan = float("nan")
    values = {
        ("clean", "", "pointing"): [nan] * 40,
        ("clean", "", "iou"): [1.0] * 20 + [nan] * 20,
        ("clean", "", "rare"): [1.0] + [nan] * 39,
        ("clean", "", "five"): [1.0] * 5 + [nan] * 35,
        ("clean", "", "six"): [1.0] * 6 + [nan] * 34,
        ("audio", "small", "iou"): [0.5] * 40,
    }
    path = write_score(tmp_path / "a.parquet", values)

    def one(*names: str, **more: object) -> Judgement:
        tests = [{"higher": score("a", name), "lower": 0.25, **more} for name in names]
        return judged(Cells([]), *tests, scores=[path])

    empty = one("pointing")
    assert (empty.overall.verdict, str(empty.overall.effect), empty.weakest) == ("undecided", "nan", None)
    assert empty.overall.note == "1 of 1 tests without a result: no clip has a value of a pointing clean"
    assert "was not measured" in one("ciou").tests[0].note
    # Six clips of which each is above: by chance in 1 of 64 cases. One clip, or five, are in more than 2.5 % of them.
    assert (one("six").overall.verdict, one("six").overall.n) == ("holds here", 6)
    for name, clips in (("rare", 1), ("five", 5)):
        few = one(name).overall
        assert (few.verdict, str(few.effect)) == ("undecided", "nan")
        assert f"too few clips to tell of a score without an end: {clips}, and 6 are needed" in few.note
    absent = judged(Cells([]), {"higher": score("b", "iou"), "lower": 0})
    assert "no scores of music/b/fgsm among those given" in absent.overall.note
    # A half of the clips has values, and the other half is left out.
    half = one("iou")
    assert (half.overall.verdict, half.overall.effect, half.overall.n) == ("holds here", 0.75, 20)
    partly = judged(
        Cells([]), {"higher": score("a", "iou"), "lower": score("a", "iou", "audio")}, scores=[path]
    ).overall
    assert (partly.effect, partly.n) == (0.5, 20)
    # What was measured does not make up for what was not, and a failure stays one.
    assert (one("iou", "pointing").overall.verdict, one("iou", "pointing").overall.effect) == ("undecided", 0.75)
    assert one("iou", "pointing", by=2).overall.verdict == "fails here"


def test_what_the_scale_lacks_is_skipped_with_the_reason(cells: Cells) -> None:
    told = claim(
        {"higher": read("concat", "clean"), "lower": read("pcl", "clean")},
        {"higher": read("concat", "clean"), "lower": read("minsim", "clean")},
        skipped="scale mine: 'pcl' is none of the paper's variants: concat, minsim",
        note="by hand",
    )
    given = claims(spec(told))
    assert not list(needs(given))
    found = judge(given, cells, Scores([]))
    printed = tidy_claims(given, found, "mine")
    (row,) = lines(csv_of(printed))
    assert [row[name] for name in ("verdict", "effect", "p_holds", "n", "holding", "note")] == [
        "skipped", "", "", "", "0 of 2", f"by hand; {told['skipped']}",
    ]  # fmt: skip
    assert {row["verdict"] for row in lines(csv_of(tidy_tests(given, found, "mine")))} == {"skipped"}
    counts = "1 claim about the paper's clips at scale `mine`: 1 skipped. Scale `mine`."
    assert counts in markdown(given, printed, "mine")


def test_clips_of_another_nets_gradients_are_named(tmp_path: Path) -> None:
    side = {"dataset": "music", "attack": "fgsm", "budget": "small", "steps": 4, "of": "X_A"}
    test = {"higher": {**side, "surrogate": "concat", "variant": "minsim"}, "lower": {**side, "variant": "concat"}}
    given = claims(spec(claim(test)))
    assert given.claims[0].tests[0].label == (
        "music, fgsm: minsim X_A at 0.006 in 4 steps (of concat) > concat X_A at 0.006 in 4 steps"
    )
    assert [str(need.reading) for need in needs(given)] == [
        "music/concat/minsim/fgsm, audio at small in 4 steps", "music/concat/fgsm, audio at small in 4 steps",
    ]  # fmt: skip


def test_a_missing_cell_is_the_users_mistake(cells: Cells) -> None:
    missing = {"higher": read("concat", "clean"), "lower": read("pcl", "clean")}
    with pytest.raises(UserError, match=r"claim one: no cell of music/pcl/fgsm among those given .*add its file"):
        judged(cells, missing)
    strength = {"higher": read("concat", "clean"), "lower": read("concat", "X_A", budget="half")}
    with pytest.raises(UserError, match=r"claim one: .* audio at half was not measured .*add the budget"):
        judged(cells, strength)


CLEAN_OF_CONCAT, X_A = read("concat", "clean"), read("concat", "X_A")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spec(claim({"higher": 1, "lower": 2})), "claim one: a test of two numbers, 1 and 2, reads nothing"),
        (spec(claim({"higher": CLEAN_OF_CONCAT})), "claim one: lower must be given"),
        (spec(*[claim({"higher": X_A, "lower": 0})] * 2), "claim one: occurs twice"),
        (spec(claim({"higher": {**X_A, "of": "X_B"}, "lower": 0})), "'X_B' is none of clean, X_A"),
        (
            spec(claim({"higher": {name: X_A[name] for name in ("dataset", "variant", "attack", "of")}, "lower": 0})),
            "budget must be given",
        ),
        (spec(claim({"higher": {"variant": "concat", "of": "clean"}, "lower": 0})), "attack, dataset must be given"),
        (
            spec(claim({"higher": X_A, "lower": {**X_A, "dataset": "ave"}})),
            "concat X_A at 0.006 .fgsm. on music and concat X_A at 0.006 .fgsm. on ave cannot be compared",
        ),
        (spec(claim({"higher": X_A, "lower": score("a", "iou")})), "cannot be compared clip by clip"),
        (
            spec(claim({"higher": X_A, "lower": 0}, {"higher": score("a", "iou"), "lower": 0})),
            "percentages and scores",
        ),
        (
            spec(claim(*({"higher": read("a", "X_A", budget=name), "lower": 0} for name in ("small", "equal")))),
            "two tests are called 'music, fgsm: a X_A at 0.006 > 0'",
        ),
        ({"claims": []}, "claims: paper must be given"),
        (spec({"name": "one"}), "claim 1: section, sentence, tests must be given"),
        (
            spec(claim({"higher": score("a", "iou", surrogate="b"), "lower": 0})),
            "claim one: a score is of a net's own gradients, not of b's",
        ),
    ],
)
def test_mistakes_are_named(given: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        claims(given)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=3, max_size=30))
def test_a_claim_holds_only_if_all_its_tests_do(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[bool, bool, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("cells")
    columns = [[int(one) for one in column] for column in zip(*answers, strict=True)]
    predictions = dict(zip((CLEAN, AUDIO, VISUAL), columns, strict=True))
    cells = cells_of([write_cell(folder, "music/concat/0/fgsm", [0] * len(answers), predictions)])
    pairs = (("clean", "X_A"), ("X_A", "X_V"), ("clean", "X_V"))
    one = judged(cells, *({"higher": read("concat", a), "lower": read("concat", b)} for a, b in pairs))
    verdicts = {result.verdict for result in one.tests}
    assert one.overall.low <= one.overall.effect <= one.overall.high
    assert all(result.low <= result.effect <= result.high for result in one.tests)
    assert (one.overall.verdict == "holds here") is (verdicts == {"holds here"}) is (one.overall.low > 0)
    corrected = min(result.p_fails_holm for result in one.tests)
    assert (one.overall.verdict == "fails here") is (corrected <= TAIL) is (one.overall.high < 0)


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


TWO = spec(
    claim({"higher": read("concat", "clean"), "lower": read("minsim", "clean")}, note="by hand"),
    claim({"higher": score("a", "iou"), "lower": 0}, name="two", sentence="This | that."),
)


def test_csv_and_markdown(cells: Cells) -> None:
    given = claims(TWO)
    found = judge(given, cells, Scores([]))
    rows = lines(csv_of(tidy_claims(given, found, "demo")))
    fields = "claim,section,sentence,verdict,speaks_of,effect,low,high,unit,p_holds,p_fails,weakest,holding"
    fields += ",n,seeds,scale,source,note"
    assert ",".join(rows[0]) == fields
    assert rows[0] == {
        "claim": "one",
        "section": "4.3",
        "sentence": "It is so.",
        "verdict": "holds here",
        "speaks_of": "clips",
        "effect": "60.00",
        "low": rows[0]["low"],
        "high": rows[0]["high"],
        "unit": "points",
        "p_holds": rows[0]["p_holds"],
        "p_fails": "1",
        "weakest": "music: concat clean > minsim clean",
        "holding": "1 of 1 here",
        "n": "100",
        "seeds": "1",
        "scale": "demo",
        "source": "lists",
        "note": "by hand",
    }
    assert [rows[1][name] for name in ("verdict", "effect", "weakest", "n")] == ["undecided", "", "", ""]
    assert rows[1]["holding"] == "0 of 1"
    assert rows[1]["note"].startswith("1 of 1 tests without a result: no scores of music/a/fgsm")
    tests = lines(csv_of(tidy_tests(given, found, "demo")))
    assert [(row["claim"], row["dataset"], row["verdict"]) for row in tests] == [
        ("one", "music", "holds here"),
        ("two", "music", "undecided"),
    ]
    text = markdown(given, tidy_claims(given, found, "paper"), "paper")
    assert text.startswith("# Claims of Hand et al\n\n2 claims: 1 holds here, 1 undecided. Scale `paper`.\n")
    assert "| 4.3 | holds here | clips | It is so. | 60.00 [" in text
    assert "This \\| that." in text
    assert "- one: by hand\n- two: 1 of 1 tests without" in text
    assert "no verdicts on the paper" not in text


@pytest.mark.parametrize(
    ("source", "scale", "clips"),
    [
        ("lists", "demo", "the paper's clips at scale `demo`"),
        ("render", "paper", "rendered clips"),
        ("local", "paper", "the user's own clips"),
    ],
)
def test_a_page_of_verdicts_says_which_clips_they_are_about(cells: Cells, source: str, scale: str, clips: str) -> None:
    given = claims({**TWO, "sources": {"music": source}})
    text = markdown(given, tidy_claims(given, judge(given, cells, Scores([])), scale), scale)
    assert f"2 claims about {clips}: 1 holds here, 1 undecided. Scale `{scale}`." in text
    assert f"verdicts about {clips} are no verdicts on the paper" in text


def test_a_dataset_of_the_users_own_has_its_name_in_labels_and_ledgers(cells: Cells) -> None:
    given = claims({**TWO, "names": {"music": "my clips"}, "sources": {"music": "local"}})
    found = judge(given, cells, Scores([]))
    (row, _) = lines(csv_of(tidy_tests(given, found, "demo")))
    assert (row["test"], row["dataset"]) == ("my clips: concat clean > minsim clean", "my clips")
    assert "my clips: concat clean > minsim clean" in markdown(given, tidy_claims(given, found, "demo"), "demo")


def test_verdicts_about_the_papers_clips_are_counted_apart_from_others() -> None:
    """A claim that reads both is one about the others."""
    verdicts = [("holds", "lists"), ("fails here", "lists, render"), ("holds", "render"), ("undecided", "lists")]
    frame = pd.DataFrame(verdicts, columns=["verdict", "source"]).assign(scale="paper")
    assert counted(frame) == "2 claims: 1 holds, 1 undecided; 2 claims about rendered clips: 1 holds, 1 fails here"
    assert counted(frame[:0]) == "0 claims: "
    # Clips that a scale does not have are nobody's.
    frame = pd.DataFrame([("skipped", ""), ("holds", "render")], columns=["verdict", "source"]).assign(scale="paper")
    assert counted(frame) == "1 claim about rendered clips: 1 holds; 1 claim about clips that were not made: 1 skipped"


def test_the_program(tmp_path: Path) -> None:
    values = {("clean", "", "iou"): [0.5] * 9 + [0.25]}
    given = {
        "cells": cell_paths(tmp_path / "cells"),
        "scores": [write_score(tmp_path / "scores" / "a.parquet", values)],
    }

    def run(folder: Path, program: Callable = make, **more: list[Path]) -> subprocess.CompletedProcess:
        return program("claims", TWO, folder / "claims", **given | more)

    made = run(tmp_path / "out")
    assert made.returncode == 0, made.stderr
    assert "tian2021: 2 claims about the paper's clips at scale `demo`: 2 holds here" in made.stderr
    assert [row["effect"] for row in lines((tmp_path / "out/claims.csv").read_text())] == ["60.00", "0.4750"]
    assert len(lines((tmp_path / "out/claims_tests.csv").read_text())) == 2
    assert run(tmp_path / "again", make_alone).returncode == 0
    for name in ("claims.csv", "claims_tests.csv", "claims.md"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()

    stacked = lines(stack(["tian2021", "li2022"], 2 * [tmp_path / "out/claims.csv"]))
    assert [(row["paper"], row["claim"]) for row in stacked] == [
        (paper, name) for paper in ("tian2021", "li2022") for name in ("one", "two")
    ]

    failed = run(tmp_path / "nothing", cells=[tmp_path / "absent.parquet"])
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "nothing").exists()


def test_yes_and_no_scores_that_are_all_alike_may_be_otherwise(tmp_path: Path) -> None:
    """Three of three clips point right, none does attacked: a chance of 1 in 8."""
    columns = {
        "clip_id": ["a", "b", "c"] * 2,
        "label": [0] * 6,
        "modality": ["clean"] * 3 + ["audio"] * 3,
        "budget": [""] * 3 + ["small"] * 3,
        "measure": ["pointing"] * 6,
        "value": [1.0] * 3 + [0.0] * 3,
    }
    path = tmp_path / "scores.parquet"
    write_scores(path, {"dataset": "music", "variant": "concat", "seed": 1, "attack": "fgsm"}, columns)
    where = {"dataset": "music", "variant": "concat", "attack": "fgsm", "score": "pointing"}
    test = {"higher": {**where, "modality": "clean"}, "lower": {**where, "modality": "audio", "budget": "small"}}
    one = judged(Cells([]), test, scores=[path]).overall
    assert (one.verdict, one.effect, one.p_holds) == ("undecided", 1, pytest.approx(0.125))
