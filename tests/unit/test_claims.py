"""Claims: verdicts worked by hand, pairing, simultaneous intervals, mistakes, and the program as users run it."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, write_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.metrics.bootstrap import interval, resampled_means
from avrobust.metrics.rows import Cells, read_cell
from avrobust.metrics.scores import Scores, write_scores
from avrobust.program import UserError
from avrobust.report.claims import Judgement, claims, csv_of_claims, csv_of_tests, judge, markdown, verdict
from avrobust.report.stacking import stack
from avrobust.report.tables import layout, measure

SCRIPTS = Path(__file__).parents[2] / "scripts"
CLIPS = 100
AUDIO, VISUAL, BOTH = ("audio", 0.006), ("visual", 0.006), ("both", 0.006)


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


def as_read(*outcomes: np.ndarray) -> np.ndarray:
    """Outcomes clip by clip in the order of the clips' names, (outcomes, 1 seed, clips)."""
    return np.stack(outcomes)[:, None, sorted(range(CLIPS), key=str)]


def cells_of(folder: Path, answers: Mapping[str, Mapping] = ANSWERS, dataset: str = "music") -> list[Path]:
    return [
        write_cell(folder, f"{dataset}/{variant}/0/fgsm", [0] * CLIPS, predictions)
        for variant, predictions in answers.items()
    ]


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(map(read_cell, cells_of(tmp_path)))


def claim(*tests: Mapping, **more: object) -> dict:
    return {"name": "one", "section": "4.3", "sentence": "It is so.", "tests": list(tests), **more}


def spec(*given: Mapping) -> dict:
    return {"paper": "tian2021", "citation": "Hand et al", "claims": list(given), "sources": {"music": "lists"}}


def read(variant: str, of: str, **more: object) -> dict:
    return {"dataset": "music", "variant": variant, "attack": "fgsm", "epsilon": 0.006, "of": of, **more}


def score(variant: str, name: str, modality: str = "clean", **more: object) -> dict:
    place = {"dataset": "music", "variant": variant, "attack": "fgsm", "epsilon": 0.006, "modality": modality}
    return {**place, "score": name, **more}


def write_score(path: Path, values: Mapping[tuple[str, float, str], Sequence[float]], variant: str = "a") -> Path:
    """Values by (modality, epsilon, measure), clip by clip."""
    rows = [
        (f"clip{number}", 0, modality, epsilon, measure, value)
        for (modality, epsilon, measure), of_clips in values.items()
        for number, value in enumerate(of_clips)
    ]
    names = ("clip_id", "label", "modality", "epsilon", "measure", "value")
    identity = {"dataset": "music", "variant": variant, "seed": 0, "attack": "fgsm"}
    write_scores(path, identity, dict(zip(names, zip(*rows, strict=True), strict=True)))
    return path


def judged(cells: Cells, *tests: Mapping, scores: Sequence[Path] = (), **more: object) -> Judgement:
    (found,) = judge(claims(spec(claim(*tests, **more))), cells, Scores(scores))
    return found


def test_a_clear_difference_holds_and_the_reverse_fails(cells: Cells) -> None:
    forward = judged(cells, {"higher": read("concat", "clean"), "lower": read("minsim", "clean")})
    assert forward.overall.verdict == "holds"
    assert (forward.overall.effect, forward.overall.clips, forward.overall.seeds) == (60, 100, 1)
    # 60 of 100 clips differ: the interval is the binomial one.
    assert (forward.overall.low, forward.overall.high) == pytest.approx((50.4, 69.6), abs=1.1)
    backward = judged(cells, {"higher": read("minsim", "clean"), "lower": read("concat", "clean")})
    assert backward.overall.verdict == "fails"
    assert (backward.overall.low, backward.overall.high) == (-forward.overall.high, -forward.overall.low)


def test_measures_worked_by_hand(cells: Cells) -> None:
    def effect(of: str) -> float:
        return judged(cells, {"higher": read("concat", of), "lower": 0}).overall.effect

    assert [effect(of) for of in ("clean", "X_A", "X_V", "X_AV")] == [90, 60, 50, 0]
    assert effect("Avg") == pytest.approx(110 / 3)
    assert effect("total") == pytest.approx(90 + 110 / 3)
    assert effect("visual_bias") == 10


def test_a_small_difference_is_undecided_and_a_margin_moves_it(cells: Cells) -> None:
    test = {"higher": read("maxsim", "X_A"), "lower": read("concat", "X_A")}
    one = judged(cells, test)
    # One clip of 100, drawn or not drawn.
    assert (one.overall.verdict, one.overall.effect, one.overall.low) == ("undecided", 1, 0)
    assert judged(cells, {**test, "by": -2}).overall.verdict == "holds"
    assert judged(cells, {**test, "by": 8}).overall.verdict == "fails"
    assert judged(cells, {**test, "by": 8}).overall.effect == -7


def test_a_tie_is_undecided(cells: Cells) -> None:
    nothing = judged(cells, {"higher": read("concat", "X_AV"), "lower": read("maxsim", "X_AV")})
    # 0 of 100 on both sides: each could be 3 %.
    assert nothing.overall.verdict == "undecided"
    assert (nothing.overall.effect, nothing.overall.low, nothing.overall.high) == (0, -3, 3)
    itself = judged(cells, {"higher": read("concat", "X_A"), "lower": read("concat", "X_A")})
    assert (itself.overall.verdict, itself.overall.low, itself.overall.high) == ("undecided", 0, 0)


def test_nothing_recognised_may_still_be_something(cells: Cells) -> None:
    """2 of 100 against 0 of 100: the next clips could be 3 of the latter."""
    one = judged(cells, {"higher": read("minsim", "X_AV"), "lower": read("concat", "X_AV")})
    # Resampled, the former go down to 0; then the latter could still be 3.
    assert (one.overall.verdict, one.overall.effect, one.overall.low) == ("undecided", 2, -3)
    # In an average of three it weighs a third: 1 point on top of what the others resample to.
    plain = judged(cells, {"higher": read("concat", "Avg"), "lower": 0}).overall
    outcomes = as_read(np.arange(CLIPS) < 60, np.arange(CLIPS) < 50)
    third = 100 / 3 * resampled_means(outcomes).sum(axis=1)
    low, high = interval(third)
    assert (plain.low, plain.high) == pytest.approx((low, high + 1))
    # All right on one side: up to 3 of them might be wrong.
    sure = judged(
        cells, {"higher": 99, "lower": read("minsim", "X_AV")}, {"higher": read("maxsim", "X_AV"), "lower": -2}
    )
    assert (sure.tests[1].low, sure.tests[1].high, sure.tests[1].verdict) == (2, 5, "holds")


def test_everything_recognised_may_miss_something(tmp_path: Path) -> None:
    cells = Cells(map(read_cell, cells_of(tmp_path, {"concat": {CLEAN: right(range(CLIPS))}})))
    one = judged(cells, {"higher": read("concat", "clean"), "lower": 98}).overall
    assert (one.effect, one.low, one.high, one.verdict) == (2, -1, 2, "undecided")
    one = judged(cells, {"higher": 98, "lower": read("concat", "clean")}).overall
    assert (one.effect, one.low, one.high, one.verdict) == (-2, -2, 1, "undecided")


@pytest.mark.parametrize(
    ("effect", "low", "high", "expected"),
    [
        (1, 0.1, 2, "holds"),
        (1, 0, 2, "undecided"),
        (0, 0, 0, "undecided"),
        (-1, -2, 0, "fails"),
        (-1, -2, 0.1, "undecided"),
        (0, -1, 0, "undecided"),
    ],
)
def test_ends_of_intervals_decide(effect: float, low: float, high: float, expected: str) -> None:
    assert verdict(effect, low, high) == expected


def test_pairing_matters(tmp_path: Path) -> None:
    """The same two accuracies, 50 and 58 %: on nested clips the difference is sure, on others it is not."""
    base = {CLEAN: right(range(50))}
    nested, apart = {CLEAN: right(range(58))}, {CLEAN: right(range(42, 100))}
    paths = cells_of(tmp_path, {"concat": base, "maxsim": nested, "minsim": apart})
    both = Cells(map(read_cell, paths))

    def against(variant: str) -> Judgement:
        return judged(both, {"higher": read(variant, "clean"), "lower": read("concat", "clean")})

    assert against("maxsim").overall.effect == against("minsim").overall.effect == 8
    assert [against(name).overall.verdict for name in ("maxsim", "minsim")] == ["holds", "undecided"]


def test_an_improvement_is_that_of_the_tables(cells: Cells) -> None:
    names = {"AV_clean": "clean", "X_A": "audio", "X_V": "visual", "X_AV": "both"}
    columns = [
        {"name": name, "condition": {"modality": modality, "epsilon": 0.0 if modality == "clean" else 0.006}}
        for name, modality in names.items()
    ]
    columns += [
        {"name": "Avg", "mean": ["X_A", "X_V", "X_AV"]},
        {"name": "RI", "sum": ["AV_clean", "Avg"], "against": {"variant": "concat"}},
    ]
    place = {"dataset": "music", "variant": "maxsim", "attack": "fgsm"}
    rows = [{"keys": {"defence": "MaxSim"}, "read": place, "ours_only": True}]
    table = layout({"title": "", "caption": "", "keys": ["defence"], "columns": columns, "rows": rows})
    entry = measure(table, cells, {})[-1]
    one = judged(cells, {"higher": read("maxsim", "total"), "lower": read("concat", "total")}).overall
    # 0 of 100 with both attacked, on both sides, moves both ends of the claim's interval by a third of 3 points.
    ends = one.effect, one.low + 1, one.high - 1
    assert (entry.ours, entry.low, entry.high) == tuple(round(value, 2) for value in ends)


def test_a_claim_is_as_strong_as_its_weakest_test(cells: Cells) -> None:
    strong = {"higher": read("concat", "clean"), "lower": read("minsim", "clean")}
    less = {"higher": read("concat", "X_A"), "lower": read("minsim", "X_A")}
    weak = {"higher": read("maxsim", "X_A"), "lower": read("concat", "X_A")}
    wrong = {"higher": read("minsim", "clean"), "lower": read("concat", "clean")}
    together = judged(cells, strong, less)
    assert (together.overall.verdict, together.overall.effect, together.weakest) == ("holds", 40, 1)
    assert together.overall.low <= min(result.low for result in together.tests)
    assert together.overall.high == min(result.high for result in together.tests)
    undecided = judged(cells, strong, weak)
    assert (undecided.overall.verdict, undecided.overall.effect, undecided.holding) == ("undecided", 1, 1)
    failing = judged(cells, strong, weak, wrong)
    assert (failing.overall.verdict, failing.overall.effect) == ("fails", -60)
    assert failing.overall.high < 0


def test_the_minimum_is_resampled_together(tmp_path: Path) -> None:
    """Two tests of one dataset see the same draws; of two datasets of equal size, different ones."""
    generator = np.random.default_rng(5)
    first, second = (generator.random(CLIPS) < 0.6 for _ in range(2))
    answers = {"concat": {CLEAN: [int(not one) for one in first], AUDIO: [int(not one) for one in second]}}
    paths = [*cells_of(tmp_path, answers), *cells_of(tmp_path, answers, "ave")]
    both = Cells(map(read_cell, paths))
    same = judged(both, {"higher": read("concat", "clean"), "lower": 0}, {"higher": read("concat", "X_A"), "lower": 0})
    draws = 100 * resampled_means(as_read(first, second))
    assert same.overall.low == pytest.approx(interval(draws.min(axis=1))[0])
    apart = judged(
        both,
        {"higher": read("concat", "clean"), "lower": 0},
        {"higher": read("concat", "clean", dataset="ave"), "lower": 0},
    )
    alone = [100 * resampled_means(as_read(first), seed=seed)[:, 0] for seed in (0, 1)]
    assert apart.overall.low == pytest.approx(interval(np.minimum(*alone))[0])
    # Equal data in both: had they shared their draws, the minimum would be each of them.
    assert apart.overall.low < interval(alone[0])[0]


def test_seeds_are_resampled_too(tmp_path: Path) -> None:
    for seed, known in ((0, range(90)), (1, range(40))):
        write_cell(tmp_path, f"music/concat/{seed}/fgsm", [0] * CLIPS, {CLEAN: right(known)})
    cells = Cells(map(read_cell, sorted(tmp_path.rglob("*.parquet"))))
    one = judged(cells, {"higher": read("concat", "clean"), "lower": 50}).overall
    assert (one.effect, one.seeds, one.verdict) == (15, 2, "undecided")


def test_tests_are_read_with_every_dataset_and_attack() -> None:
    clean, attacked = {"variant": "visual", "attack": "fgsm", "of": "clean"}, {"variant": "concat", "of": "X_A"}
    test = {"higher": clean, "lower": {**attacked, "epsilon": 0.012}}
    (one,) = claims(spec(claim(test, datasets=["music", "ave"], attacks=["fgsm", "mim"]))).claims
    assert [test.label for test in one.tests] == [
        f"{dataset}, {attack}: visual clean > concat X_A at 0.012"
        for dataset in ("music", "ave")
        for attack in ("fgsm", "mim")
    ]
    assert {test.higher.attack for test in one.tests} == {"fgsm"}
    assert {test.higher.epsilon for test in one.tests} == {0}
    # What differs by neither is one test.
    fixed = {"higher": read("concat", "clean"), "lower": read("concat", "X_A"), "by": 5, "label": "drop"}
    (one,) = claims(spec(claim(fixed, attacks=["fgsm", "mim"]))).claims
    assert [test.label for test in one.tests] == ["music, fgsm: drop"]
    named = claims(spec(claim({**fixed, "label": ""}))).claims[0].tests[0].label
    assert named == "music, fgsm: concat clean > concat X_A at 0.006 + 5"
    attacks = {"higher": read("concat", "X_A"), "lower": read("concat", "X_A", attack="mim")}
    (one,) = claims(spec(claim(attacks))).claims
    assert one.tests[0].label == "music: concat X_A at 0.006 (fgsm) > concat X_A at 0.006 (mim)"


def test_scores_are_tested_as_they_are(tmp_path: Path) -> None:
    clean, attacked = [0.75] * 30 + [0.25] * 10, [0.5] * 30 + [0.25] * 10
    path = write_score(tmp_path / "a.parquet", {("clean", 0, "iou"): clean, ("audio", 0.006, "iou"): attacked})
    one = judged(Cells([]), {"higher": score("a", "iou"), "lower": score("a", "iou", "audio")}, scores=[path])
    assert (one.overall.verdict, one.overall.effect, one.overall.clips) == ("holds", 0.1875, 40)
    assert one.claim.tests[0].label == "music, fgsm: a iou clean > a iou audio at 0.006"
    # A quarter on 30 of 40 clips: binomial.
    half = 0.25 * 1.96 * (0.75 * 0.25 / 40) ** 0.5
    assert (one.overall.low, one.overall.high) == pytest.approx((0.1875 - half, 0.1875 + half), abs=0.008)


def test_scores_that_are_not_there_leave_a_test_undecided(tmp_path: Path) -> None:
    nan = float("nan")
    values = {
        ("clean", 0, "pointing"): [nan] * 40,
        ("clean", 0, "iou"): [1.0] * 20 + [nan] * 20,
        ("clean", 0, "rare"): [1.0] + [nan] * 39,
        ("audio", 0.006, "iou"): [0.5] * 40,
    }
    path = write_score(tmp_path / "a.parquet", values)

    def one(*names: str, **more: object) -> Judgement:
        tests = [{"higher": score("a", name), "lower": 0.25, **more} for name in names]
        return judged(Cells([]), *tests, scores=[path])

    empty = one("pointing")
    assert (empty.overall.verdict, empty.overall.effect, empty.weakest) == ("undecided", None, None)
    assert empty.overall.reason == "1 of 1 tests without a result: no clip has a value of a pointing clean"
    assert "was not measured" in one("ciou").tests[0].reason
    assert "only 1 of 40 clips have a value" in one("rare").tests[0].reason
    absent = judged(Cells([]), {"higher": score("b", "iou"), "lower": 0})
    assert "no scores of music/b/fgsm among those given" in absent.overall.reason
    # A half of the clips has values, and the other half is left out.
    half = one("iou")
    assert (half.overall.verdict, half.overall.effect, half.overall.clips) == ("holds", 0.75, 20)
    partly = judged(
        Cells([]), {"higher": score("a", "iou"), "lower": score("a", "iou", "audio")}, scores=[path]
    ).overall
    assert (partly.effect, partly.clips) == (0.5, 20)
    # What was measured does not make up for what was not, and a failure stays one.
    assert (one("iou", "pointing").overall.verdict, one("iou", "pointing").overall.effect) == ("undecided", 0.75)
    assert one("iou", "pointing", by=2).overall.verdict == "fails"


def test_a_missing_cell_is_the_users_mistake(cells: Cells) -> None:
    missing = {"higher": read("concat", "clean"), "lower": read("pcl", "clean")}
    with pytest.raises(UserError, match=r"claim one: no cell of music/pcl/fgsm among those given .*add its file"):
        judged(cells, missing)
    strength = {"higher": read("concat", "clean"), "lower": read("concat", "X_A", epsilon=0.5)}
    with pytest.raises(UserError, match=r"claim one: .* audio at epsilon 0.5 was not measured .*add the budget"):
        judged(cells, strength)


CLEAN_OF_CONCAT, X_A = read("concat", "clean"), read("concat", "X_A")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spec(claim({"higher": 1, "lower": 2})), "claim one: a test of two numbers, 1 and 2, reads nothing"),
        (spec(claim()), "claim one: has no tests"),
        (spec(claim({"higher": CLEAN_OF_CONCAT})), "claim one: lower must be given"),
        (spec(*[claim({"higher": X_A, "lower": 0})] * 2), "claim one: occurs twice"),
        (spec(claim({"higher": "X_A", "lower": 0})), "compares numbers and JSON objects, got 'X_A'"),
        (spec(claim({"higher": {**X_A, "of": "X_B"}, "lower": 0})), "'X_B' is none of clean, X_A"),
        (spec(claim({"higher": {**X_A, "score": "iou"}, "lower": 0})), "either `of` or `score`"),
        (spec(claim({"higher": {**X_A, "modality": "audio"}, "lower": 0})), "a score, and nothing else, needs"),
        (spec(claim({"higher": {**X_A, "epsilon": "small"}, "lower": 0})), "epsilon must be a number, got 'small'"),
        (
            spec(claim({"higher": {name: X_A[name] for name in ("dataset", "variant", "attack", "of")}, "lower": 0})),
            "epsilon must be given",
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
            spec(claim({"higher": X_A, "lower": 0, "label": "a"}, {"higher": X_A, "lower": 1, "label": "a"})),
            "two tests are called 'music, fgsm: a'",
        ),
        ({"claims": []}, "claims: paper must be given"),
        (spec({"name": "one"}), "claim 1: section, sentence, tests must be given"),
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
    cells = Cells([read_cell(write_cell(folder, "music/concat/0/fgsm", [0] * len(answers), predictions))])
    pairs = (("clean", "X_A"), ("X_A", "X_V"), ("clean", "X_V"))
    one = judged(cells, *({"higher": read("concat", a), "lower": read("concat", b)} for a, b in pairs))
    verdicts = {result.verdict for result in one.tests}
    assert one.overall.low <= one.overall.effect <= one.overall.high
    assert all(result.low <= result.effect <= result.high for result in one.tests)
    if one.overall.verdict == "holds":
        assert verdicts == {"holds"}
    assert (one.overall.verdict == "fails") is ("fails" in verdicts)


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


TWO = spec(
    claim({"higher": read("concat", "clean"), "lower": read("minsim", "clean")}, note="by hand"),
    claim({"higher": score("a", "iou"), "lower": 0}, name="two", sentence="This | that."),
)


def test_csv_and_markdown(cells: Cells) -> None:
    given = claims(TWO)
    found = judge(given, cells, Scores([]))
    rows = lines(csv_of_claims(given, found, "demo"))
    fields = "claim,section,sentence,verdict,effect,low,high,unit,weakest,holding,n,seeds,scale,source,note"
    assert ",".join(rows[0]) == fields
    assert rows[0] == {
        "claim": "one",
        "section": "4.3",
        "sentence": "It is so.",
        "verdict": "holds",
        "effect": "60.00",
        "low": rows[0]["low"],
        "high": rows[0]["high"],
        "unit": "points",
        "weakest": "music: concat clean > minsim clean",
        "holding": "1 of 1",
        "n": "100",
        "seeds": "1",
        "scale": "demo",
        "source": "lists",
        "note": "by hand",
    }
    assert [rows[1][name] for name in ("verdict", "effect", "weakest", "n")] == ["undecided", "", "", ""]
    assert rows[1]["holding"] == "0 of 1"
    assert rows[1]["note"].startswith("1 of 1 tests without a result: no scores of music/a/fgsm")
    tests = lines(csv_of_tests(given, found, "demo"))
    assert [(row["claim"], row["dataset"], row["verdict"]) for row in tests] == [
        ("one", "music", "holds"),
        ("two", "music", "undecided"),
    ]
    text = markdown(given, found, "demo")
    assert text.startswith("# Claims of Hand et al\n\n2 claims: 1 holds, 0 fails, 1 undecided. Scale `demo`.\n")
    assert "| 4.3 | holds | It is so. | 60.00 [" in text
    assert "This \\| that." in text
    assert "- one: by hand\n- two: 1 of 1 tests without" in text
    assert "not comparable" not in text
    rendered = claims({**TWO, "sources": {"music": "render"}})
    assert "The clips are rendered: these numbers are not comparable" in markdown(rendered, found, "demo")


def test_the_program(tmp_path: Path) -> None:
    values = {("clean", 0, "iou"): [0.5] * 9 + [0.25]}
    arguments = ["--spec", json.dumps(TWO), "--scale", "demo", "--cells", *map(str, cells_of(tmp_path / "cells"))]
    arguments += ["--scores", str(write_score(tmp_path / "scores" / "a.parquet", values))]
    names = {"--csv": "claims.csv", "--tests-csv": "claims_tests.csv", "--markdown": "claims.md"}

    def run(folder: Path, *more: str) -> subprocess.CompletedProcess:
        outputs = [part for option, name in names.items() for part in (option, str(folder / name))]
        command = [sys.executable, str(SCRIPTS / "claims.py"), *arguments, *outputs, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    made = run(tmp_path / "out")
    assert made.returncode == 0, made.stderr
    assert "tian2021: 2 claims: 2 holds, 0 fails, 0 undecided" in made.stderr
    assert [row["effect"] for row in lines((tmp_path / "out/claims.csv").read_text())] == ["60.00", "0.4750"]
    assert len(lines((tmp_path / "out/claims_tests.csv").read_text())) == 2
    assert run(tmp_path / "again").returncode == 0
    for name in names.values():
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()

    stacked = lines(stack(["tian2021", "li2022"], 2 * [tmp_path / "out/claims.csv"]))
    assert [(row["paper"], row["claim"]) for row in stacked] == [
        (paper, name) for paper in ("tian2021", "li2022") for name in ("one", "two")
    ]

    failed = run(tmp_path / "nothing", "--cells", str(tmp_path / "absent.parquet"))
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "nothing").exists()


def test_yes_and_no_scores_that_are_all_alike_may_be_otherwise(tmp_path: Path) -> None:
    """Three of three clips point right, none does attacked: each rate could be 3 / 3 elsewhere."""
    columns = {
        "clip_id": ["a", "b", "c"] * 2,
        "label": [0] * 6,
        "modality": ["clean"] * 3 + ["audio"] * 3,
        "epsilon": [0.0] * 3 + [0.006] * 3,
        "measure": ["pointing"] * 6,
        "value": [1.0] * 3 + [0.0] * 3,
    }
    path = tmp_path / "scores.parquet"
    write_scores(path, {"dataset": "music", "variant": "concat", "seed": 1, "attack": "fgsm"}, columns)
    where = {"dataset": "music", "variant": "concat", "attack": "fgsm", "score": "pointing"}
    test = {"higher": {**where, "modality": "clean"}, "lower": {**where, "modality": "audio", "epsilon": 0.006}}
    one = judged(Cells([]), test, scores=[path]).overall
    assert (one.verdict, one.effect, one.low) == ("undecided", 1, -1)
