"""Signs that an attack is too weak, of cells worked by hand."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, rank, write_cell, write_ranked_cell

import checks
from avrobust.evaluation.checks import Made, clean_answers, findings, shares_of_terms, without_gradient
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import Answers, read_cells, read_several
from avrobust.spec.conditions import UNBOUNDED, Condition, Reading

CLIPS = 20
AUDIO, BOTH = ("audio", "small"), ("both", "small")
KEPT = {"ball": True, "range": True}


def right(count: int) -> list[int]:
    """Answers, of which so many are right: every label is 0."""
    return [0] * count + [1] * (CLIPS - count)


def made(folder: Path, identity: str, counts: Mapping[tuple, int], surrogate: str = "", **facts: object) -> Made:
    """A cell with so many right answers by condition; by itself it takes ten steps of pgd in float32."""
    predictions = {condition: right(count) for condition, count in counts.items()}
    (cell,) = read_cells(write_cell(folder, identity, [0] * CLIPS, predictions, surrogate=surrogate))
    own = {"spec": {"update": "pgd"}, "steps": 10, "step_size": 0.125, "keeps": KEPT, "precision": "float32"}
    own |= {"objective": "CrossEntropy", "clips": CLIPS}
    return Made(cell, own | {"modalities": ["audio", "visual"]} | facts)


def found(cells: Sequence[Made]) -> list[dict[str, object]]:
    """Return what is found beside the budgets that are not used: each of these cells is a line of those."""
    return [row for row in findings(cells).to_dict("records") if row["check"] != "unused_budget"]


def unused(cell: Made) -> dict[str, object]:
    (row,) = [row for row in findings([cell]).to_dict("records") if row["check"] == "unused_budget"]
    return row


FGSM = {"spec": {"update": "fgsm"}, "steps": 1, "step_size": 1.0}
NOISE = {"spec": {"update": "random_sign"}, "steps": 0, "step_size": None}


def test_a_single_step_that_leaves_less_than_several_is_a_sign(tmp_path: Path) -> None:
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 9, BOTH: 2}, **FGSM)
    several = made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, AUDIO: 10, BOTH: 2})
    (row,) = found([step, several])
    assert row == {
        "check": "single_step_stronger", "dataset": "music", "surrogate": "concat", "victim": "concat",
        "attack": "pgd", "beside": "fgsm", "comparisons": 2, "signs": 1, "worst": "audio at small",
        "unit": "percent", "accuracy": 45.0, "reference": 50.0, "n": CLIPS, "seeds": 1,
    }  # fmt: skip


def test_the_options_of_an_update_keep_none_from_comparison(tmp_path: Path) -> None:
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 9}, **FGSM)
    spec = {"update": "pgd", "steps": 40, "step_size": 0.05}
    several = made(tmp_path, "music/concat/0/pgd40", {CLEAN: 20, AUDIO: 10}, spec=spec, steps=40)
    (row,) = found([step, several])
    assert (row["check"], row["attack"], row["beside"], row["signs"]) == ("single_step_stronger", "pgd40", "fgsm", 1)


def test_of_equal_signs_the_worst_is_the_same_in_every_run(tmp_path: Path) -> None:
    """One condition says its steps, the other none, which no order is between; both lose a clip."""
    counts = [{CLEAN: 20, AUDIO: n, (*AUDIO, 20): n, BOTH: 2} for n in (9, 10)]
    step = made(tmp_path, "music/concat/0/fgsm", counts[0], **FGSM)
    (row,) = found([step, made(tmp_path, "music/concat/0/pgd", counts[1])])
    assert (row["comparisons"], row["signs"], row["worst"]) == (3, 2, "audio at small in 20 steps")


def test_one_that_leaves_its_ball_may_be_the_weaker(tmp_path: Path) -> None:
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 9}, **FGSM)
    spec = {"update": "mim_official", "batch_size": 8}
    several = made(
        tmp_path, "music/concat/0/mim_official", {CLEAN: 20, AUDIO: 10}, spec=spec, keeps=KEPT | {"ball": False}
    )
    (row,) = found([step, several])
    assert (row["attack"], row["beside"], row["signs"]) == ("mim_official", "fgsm", 1)


@pytest.mark.parametrize(
    ("identity", "facts"),
    [
        ("ave/concat/0/fgsm", FGSM),
        ("music/concat/1/fgsm", FGSM),
        ("music/sum/0/fgsm", FGSM),
        ("music/concat/0/fgsm_ce", {"spec": {"update": "fgsm", "objective": "cross_entropy"}, "steps": 1}),
        ("music/concat/0/fgsm", FGSM | {"keeps": KEPT | {"ball": False}}),
        ("music/concat/0/fgsm", FGSM | {"precision": "bfloat16"}),
        ("music/concat/0/fgsm", FGSM | {"objective": "MinusProbability"}),
        ("music/concat/0/fgsm_bypass", {"spec": {"update": "fgsm", "without_defences": True}, "steps": 1}),
    ],
    ids=[
        "dataset",
        "seed",
        "victim",
        "objective",
        "leaves its ball",
        "precision",
        "its own objective",
        "without defences",
    ],
)
def test_what_differs_in_more_than_its_update_is_not_compared(tmp_path: Path, identity, facts) -> None:
    step = made(tmp_path, identity, {CLEAN: 20, AUDIO: 1}, **facts)
    assert found([step, made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, AUDIO: 10})]) == []


def test_several_steps_may_pass_on_less_to_another_net(tmp_path: Path) -> None:
    step = made(tmp_path, "music/sum/0/fgsm", {CLEAN: 20, AUDIO: 9}, "concat", **FGSM)
    several = made(tmp_path, "music/sum/0/pgd", {CLEAN: 20, AUDIO: 10}, "concat")
    assert found([step, several]) == []


def test_cells_of_other_nets_change_no_count(tmp_path: Path) -> None:
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 9}, **FGSM)
    several = made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, AUDIO: 10})
    others = [made(tmp_path, f"{place}/fgsm", {CLEAN: 20, AUDIO: 1}, **FGSM) for place in ("ave/sum/0", "music/sum/0")]
    (row,) = found([step, several])
    assert found([*others, step, several]) == [row] and row["comparisons"] == 1


def test_gradients_from_elsewhere_that_leave_less_are_a_sign(tmp_path: Path) -> None:
    """Another net's, or those of the net without its defences; the net's own leave 5 clips."""
    spec = FGSM["spec"]
    own = made(tmp_path, "music/exfmem/0/fgsm", {CLEAN: 20, AUDIO: 5}, **FGSM)
    other = made(tmp_path, "music/exfmem/0/fgsm", {CLEAN: 20, AUDIO: 4}, "concat", **FGSM)
    bare = made(
        *(tmp_path, "music/exfmem/0/fgsm_bypass", {CLEAN: 20, AUDIO: 6}),
        **FGSM | {"spec": {**spec, "without_defences": True}},
    )
    told = [(row["check"], row["attack"], row["beside"], row["signs"]) for row in found([own, other, bare])]
    assert told == [
        ("black_box_stronger", "fgsm", "concat/fgsm", 1),
        ("black_box_stronger", "fgsm", "exfmem/fgsm_bypass", 0),
    ]


def test_accuracy_that_rises_over_the_points_of_a_sweep_is_a_sign(tmp_path: Path) -> None:
    """Named points of a grid alone are compared, each modality by itself, all seeds in one row."""
    first, second = (("audio", f"sweep/{number}") for number in (1, 2))
    counts = {
        CLEAN: 20,
        first: 8,
        second: 9,
        ("visual", "sweep/1"): 5,
        ("visual", "sweep/2"): 5,
        ("audio", "large"): 20,
    }
    (row,) = found([made(tmp_path, f"music/concat/{seed}/pgd", counts) for seed in (0, 1)])
    assert (row["check"], row["comparisons"], row["signs"], row["seeds"]) == ("rising_accuracy", 4, 2, 2)
    assert (row["worst"], row["accuracy"], row["reference"]) == ("audio at sweep/2", 45.0, 40.0)


@pytest.mark.parametrize(("left", "signs"), [(0, 0), (1, 1)])
def test_an_attack_without_bounds_leaves_no_clip(tmp_path: Path, left: int, signs: int, monkeypatch) -> None:
    monkeypatch.setitem(write_cell.__globals__["EPSILONS"], UNBOUNDED, 9.0)
    cell = made(tmp_path, "music/concat/0/mim", {CLEAN: 20, ("both", UNBOUNDED): left})
    (row,) = found([cell])
    assert (row["check"], row["signs"], row["accuracy"]) == ("unbounded_not_zero", signs, 5 * left)
    # Of fewer clips than there are, as it is in a run.
    few = Condition("both", UNBOUNDED)
    cell.cell.answers[few] = replace(cell.cell.answers[few], **_first(cell.cell.answers[few], 8))
    assert [one["n"] for one in found([cell])] == [8]


@pytest.mark.parametrize(("count", "signs"), [(10, 0), (14, 0), (16, 1), (4, 1)])
def test_a_precision_is_no_sign_within_the_interval_of_float32(tmp_path: Path, count: int, signs: int) -> None:
    """Of 20 clips 10: 27.2 to 72.8 % by Clopper & Pearson."""
    lower = made(tmp_path, "music/concat/0/mim", {CLEAN: 20, AUDIO: count}, precision="bfloat16")
    exact = made(tmp_path, "music/concat/0/mim_float32", {CLEAN: 20, AUDIO: 10})
    (row,) = found([lower, exact])
    assert (row["check"], row["attack"], row["beside"]) == ("precision", "mim", "mim_float32")
    assert (row["comparisons"], row["signs"]) == (2, signs)


def test_noise_that_leaves_less_than_an_attack_is_a_sign(tmp_path: Path) -> None:
    """Of one step or of several, but along the net's own gradients. Noise is not compared with the noise."""
    noise = made(tmp_path, "music/concat/0/random_sign", {CLEAN: 20, AUDIO: 12, BOTH: 12}, **NOISE)
    cells = [
        made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 12, BOTH: 11}, **FGSM),
        made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, AUDIO: 13, BOTH: 14}),
        made(tmp_path, "music/concat/0/mim", {CLEAN: 20, AUDIO: 13}, "sum", spec={"update": "mim"}),
        made(tmp_path, "music/sum/0/pgd", {CLEAN: 20, AUDIO: 20}),
    ]
    told = [row for row in found([noise, *cells]) if row["check"] == "noise_stronger"]
    assert [(row["surrogate"], row["attack"], row["comparisons"], row["signs"]) for row in told] == [
        ("concat", "fgsm", 2, 0),
        ("concat", "pgd", 2, 2),
    ]
    worst = told[1]
    assert (worst["beside"], worst["worst"], worst["accuracy"], worst["reference"]) == (
        "random_sign", "both at small", 60.0, 70.0,
    )  # fmt: skip


def test_clips_that_pass_on_less_than_the_noise_beside_them_are_a_sign(tmp_path: Path) -> None:
    """The noise that stands beside a surrogate's own clips is asked of each of its victims; another's is not."""
    noise = made(tmp_path, "music/sum/0/random_sign", {CLEAN: 20, BOTH: 12}, "concat", **NOISE)
    cells = [
        made(tmp_path, "music/sum/0/fgsm", {CLEAN: 20, BOTH: 11}, "concat", **FGSM),
        made(tmp_path, "music/sum/0/pgd", {CLEAN: 20, BOTH: 14}, "concat"),
        made(tmp_path, "music/sum/0/mim", {CLEAN: 20, BOTH: 20}, "film", spec={"update": "mim"}),
    ]
    told = [row for row in found([noise, *cells]) if row["check"] == "noise_stronger"]
    assert [(row["surrogate"], row["victim"], row["attack"], row["signs"]) for row in told] == [
        ("concat", "sum", "fgsm", 0),
        ("concat", "sum", "pgd", 1),
    ]


def test_an_ensemble_is_another_net_beside_the_victims_own_gradients(tmp_path: Path) -> None:
    own = made(tmp_path, "music/AcV/0/fgsm", {CLEAN: 20, BOTH: 5}, **FGSM)
    of_others = made(tmp_path, "music/AcV/0/fgsm", {CLEAN: 20, BOTH: 3}, "all-AcV", **FGSM)
    (row,) = found([own, of_others])
    assert (row["check"], row["surrogate"], row["beside"], row["signs"]) == (
        "black_box_stronger", "AcV", "all-AcV/fgsm", 1,
    )  # fmt: skip
    # Nor is one step of it compared with several: they may fit seven nets well and the eighth badly.
    several = made(tmp_path, "music/AcV/0/pgd", {CLEAN: 20, BOTH: 6}, "all-AcV")
    assert [row["check"] for row in found([own, of_others, several])] == ["black_box_stronger"]


def test_noise_is_no_attack_to_be_beaten_by_a_step_by_other_gradients_or_by_more_noise(tmp_path: Path) -> None:
    """A sweep of noise may rise, one step may leave less, and another net's noise is noise."""
    points = {("audio", "sweep/1"): 8, ("audio", "sweep/2"): 9}
    noise = made(tmp_path, "music/concat/0/random_sign", {CLEAN: 20, **points}, **NOISE)
    others = made(tmp_path, "music/concat/0/random_sign", {CLEAN: 20, ("audio", "sweep/1"): 1}, "sum", **NOISE)
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, ("audio", "sweep/1"): 2}, **FGSM)
    assert {row["check"] for row in found([noise, others, step])} == {"noise_stronger"}


def moved(cell: Made, condition: tuple, **norms: list[float]) -> Made:
    """The same cell, whose clips moved by these under a condition."""
    answers = cell.cell.answers[Condition(*condition)]
    answers.norms.update({name: np.array(values) for name, values in norms.items()})
    return cell


def _first(answers: Answers, count: int) -> dict[str, np.ndarray]:
    return {name: getattr(answers, name)[:count] for name in ("clips", "labels", "predictions")}


def say(cell: Made, **clean: list[int]) -> None:
    """Let the cell's clean clips have these labels or predictions."""
    answers = cell.cell.answers
    arrays = {name: np.array(values) for name, values in clean.items()}
    answers[Condition("clean")] = replace(answers[Condition("clean")], **arrays)


def test_clips_that_moved_by_less_than_half_of_their_budget_are_a_sign(tmp_path: Path) -> None:
    """0.006 is allowed: the least that is enough is 0.003, of either modality."""
    counts = {CLEAN: 20, AUDIO: 15, BOTH: 16}
    cell = made(tmp_path, "music/concat/0/pgd", counts)
    assert (unused(cell)["comparisons"], unused(cell)["signs"]) == (2, 0)
    still = [0.0029] * 5 + [0.0031] * (CLIPS - 5)
    row = unused(moved(cell, BOTH, visual=still))
    assert (row["comparisons"], row["signs"], row["worst"]) == (2, 1, "both at small")
    assert (row["accuracy"], row["reference"]) == (80.0, 100.0)


def test_a_budget_is_used_as_far_as_the_steps_reach_and_in_the_modalities_that_the_surrogate_takes(
    tmp_path: Path,
) -> None:
    """Two steps of an eighth reach a quarter of 0.006, noise or steps that share it all; a net of sounds no frame."""
    two = (*AUDIO, 2)
    far, near = ([size] * CLIPS for size in (0.0008, 0.0007))
    cell = made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, two: 15})
    assert [unused(moved(cell, two, audio=sizes))["signs"] for sizes in (far, near)] == [0, 1]
    shared = made(tmp_path, "music/concat/0/i_fgsm", {CLEAN: 20, two: 15}, step_size=None)
    assert [unused(moved(shared, two, audio=[size] * CLIPS))["signs"] for size in (0.0031, 0.0029)] == [0, 1]
    noise = made(tmp_path, "music/concat/0/random_sign", {CLEAN: 20, AUDIO: 15}, **NOISE)
    assert unused(moved(noise, AUDIO, audio=[0.0029] * CLIPS))["signs"] == 1
    sounds = made(tmp_path, "music/audio/0/pgd", {CLEAN: 20, BOTH: 15}, modalities=["audio"])
    assert unused(moved(sounds, BOTH, visual=[0.0] * CLIPS))["signs"] == 0


def test_clean_clips_that_a_net_answers_otherwise_in_another_cell_are_a_sign(tmp_path: Path) -> None:
    """As when it was another net, in another mode; equal accuracy is not enough."""
    cells = [made(tmp_path, f"music/{net}/0/{attack}", {CLEAN: 19}) for net in ("a", "b") for attack in ("fgsm", "mim")]
    rows = clean_answers(cells).to_dict("records")
    assert [(row["victim"], row["comparisons"], row["signs"], row["n"]) for row in rows] == [
        ("a", 2, 0, CLIPS), ("b", 2, 0, CLIPS),
    ]  # fmt: skip
    say(cells[3], predictions=[1] + [0] * (CLIPS - 1))
    same, other = clean_answers(cells).to_dict("records")
    assert (same["signs"], other["signs"], other["beside"]) == (0, 1, "b/mim")
    assert (other["check"], other["accuracy"], other["reference"], other["seeds"]) == ("clean_differs", 95.0, 95.0, 1)


def test_other_labels_or_clips_than_those_of_the_datasets_first_cell_are_a_sign(tmp_path: Path) -> None:
    """Of each seed by itself; nets of other datasets have other clips."""
    identities = ("music/a/0/fgsm", "music/a/1/fgsm", "music/b/0/fgsm", "ave/a/0/fgsm")
    cells = [made(tmp_path, identity, {CLEAN: 20}) for identity in identities]
    for cell in (cells[1], cells[3]):
        say(cell, labels=[1] * CLIPS)
    assert clean_answers(cells)["signs"].tolist() == [0, 0, 0]
    say(cells[2], labels=[0, 0, 0, 2] + [0] * (CLIPS - 4))
    assert clean_answers(cells)["signs"].tolist() == [0, 0, 1]


def test_a_cell_of_some_clips_is_compared_on_these(tmp_path: Path) -> None:
    """Its clean clips are no other ones, unless it attacked more than it has; what is beside it is read on these."""
    own = made(tmp_path, "music/a/0/pgd", {CLEAN: 20, BOTH: 10})
    black_box = made(tmp_path, "music/a/0/pgd", {CLEAN: 20, BOTH: 8}, surrogate="all", clips=5)
    some = replace(black_box, cell=black_box.cell.of(own.cell.clips[:5]))
    rights = [own.cell.answers[Condition(*BOTH)].of(some.cell.clips), some.cell.answers[Condition(*BOTH)]]
    accuracy = [100 * float((answers.predictions == answers.labels).mean()) for answers in rights]
    (row,) = [row for row in found([own, some]) if row["check"] == "black_box_stronger"]
    assert (row["n"], row["reference"], row["accuracy"]) == (5, *accuracy)
    assert clean_answers([own, some])["signs"].tolist() == [0]
    lost = replace(some, cell=some.cell.of(own.cell.clips[:4]))
    assert clean_answers([own, lost])["signs"].tolist() == [1]
    say(some, labels=[1] * 5)
    assert clean_answers([some, own])["signs"].tolist() == [1]


def test_clips_without_gradient_are_counted_over_the_seeds_but_not_of_noise() -> None:
    def said(seed: int, count: int) -> dict:
        cell = {"surrogate": "concat", "attack": "fgsm", "clips_without_gradient": count, "steps": 1}
        noise = {"surrogate": "concat", "attack": "random_sign", "clips_without_gradient": 0, "steps": 0}
        return {"dataset": "music", "seed": seed, "clips": CLIPS, "cells": [cell, noise]}

    (row,) = without_gradient([said(0, 3), said(1, 4)]).to_dict("records")
    assert (row["check"], row["surrogate"], row["attack"]) == ("zero_gradients", "concat", "fgsm")
    assert (row["comparisons"], row["signs"], row["n"], row["seeds"]) == (2 * CLIPS, 7, CLIPS, 2)


def test_a_term_that_makes_nothing_or_all_of_the_gradient_is_a_sign() -> None:
    """Over all seeds; the worst is the one nearest to either end. An attack without terms has no line."""

    def said(seed: int, **audio: float) -> dict:
        shares = {"audio": audio, "visual": {"cross_entropy": 0.5, "variance": 0.5}}
        cells = [
            {"surrogate": "AcV", "attack": "tia", "term_shares": shares}, {"surrogate": "AcV", "attack": "fgsm"},
        ]  # fmt: skip
        return {"dataset": "music", "seed": seed, "cells": cells}

    good = said(0, cross_entropy=0.989, variance=0.011)
    (row,) = shares_of_terms([good]).to_dict("records")
    assert (row["check"], row["surrogate"], row["attack"]) == ("term_shares", "AcV", "tia")
    assert (row["comparisons"], row["signs"], row["seeds"]) == (4, 0, 1)
    assert row["worst"] == "1.1 % by variance in audio"
    (row,) = shares_of_terms([good, said(1, cross_entropy=0.995, variance=0.005)]).to_dict("records")
    assert (row["comparisons"], row["signs"], row["seeds"]) == (8, 2, 2)
    assert row["worst"] == "0.5 % by variance in audio"
    assert shares_of_terms([{"dataset": "music", "seed": 0, "cells": [{"surrogate": "a", "attack": "fgsm"}]}]).empty


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, told = [], []
    shares = {"term_shares": {"audio": {"cross_entropy": 0.5, "variance": 0.5}}}
    iterated = {"spec": {"update": "pgd"}, "steps": 10, **shares}
    for attack, count, facts in (("fgsm", 9, FGSM), ("pgd", 10, iterated)):
        answers = {CLEAN: right(20), AUDIO: right(count)}
        paths.append(write_cell(tmp_path, f"music/concat/0/{attack}", [0] * CLIPS, answers))
        cell = {"surrogate": "concat", "attack": attack, "clips_without_gradient": 0, "keeps": KEPT, "step_size": 1 / 8}
        cells = [
            cell
            | {"precision": "float32", "modalities": ["audio", "visual"], "objective": "CrossEntropy", "clips": CLIPS}
            | facts
        ]
        told.append(tmp_path / f"{attack}.json")
        told[-1].write_text(json.dumps({"dataset": "music", "seed": 0, "cells": cells}), encoding="utf-8")
    output = tmp_path / "checks.csv"
    given = ["--cells", *paths, "--provenances", *told, "--scale", "demo", "--output", output]

    def lines_of(*more: str) -> list[dict[str, str]]:
        monkeypatch.setattr(sys, "argv", ["checks.py", *map(str, given), *more])
        checks.main()
        return list(csv.DictReader(output.read_text(encoding="utf-8").splitlines()))

    lines = lines_of()
    own = lines_of("--names", json.dumps({"music": "my takes", "ave": "others"}))
    # Counts stay whole numbers where a line, of shares, has none.
    assert {line["n"] for line in lines if line["check"] != "term_shares"} == {str(CLIPS)}
    assert own == [line | {"dataset": "my takes"} for line in lines] and {line["dataset"] for line in lines} == {
        "music"
    }
    assert [(line["check"], line["attack"], line["signs"]) for line in lines] == [
        ("zero_gradients", "fgsm", "0"),
        ("zero_gradients", "pgd", "0"),
        ("term_shares", "pgd", "0"),
        ("clean_differs", "", "0"),
        ("single_step_stronger", "pgd", "1"),
        ("unused_budget", "fgsm", "0"),
        ("unused_budget", "pgd", "0"),
    ]


def several(folder: Path, attack: str, known: float, norm: float = 0.006, **facts: object) -> tuple[Made, Path]:
    """A cell of clips of several labels, clean and under AUDIO, where logits know `known` times the labels."""
    targets = np.random.default_rng(0).random((CLIPS, 4)) < 0.4
    noise = np.random.default_rng(1).normal(size=targets.shape)
    logits = {CLEAN: 3 * targets + noise, AUDIO: known * targets + noise}
    labels = [np.flatnonzero(of).tolist() for of in targets]
    norms = {AUDIO: {"norm_audio": norm}}
    path = write_ranked_cell(folder, f"sounds/csn/0/{attack}", labels, logits, norms=norms)
    (cell,) = read_several(path)
    own = {"spec": {"update": "pgd"}, "steps": 10, "step_size": 0.125, "keeps": KEPT, "precision": "float32"}
    own |= {"objective": "BinaryCrossEntropy", "clips": CLIPS, "modalities": ["audio"]}
    return Made(cell, own | facts, Ranked([rank(path)])), path


def test_of_clips_of_several_labels_the_mean_average_precision_is_compared(tmp_path: Path) -> None:
    (step, _), (pgd, _) = several(tmp_path, "fgsm", 1.0, **FGSM), several(tmp_path, "pgd", 1.5)
    (row,) = found([step, pgd])
    wanted = [100 * one.ranked.measured("map", [Reading(*one.place, Condition(*AUDIO))]).value for one in (step, pgd)]
    assert (row["check"], row["attack"], row["signs"], row["worst"]) == (
        "single_step_stronger", "pgd", 1, "audio at small",
    )  # fmt: skip
    assert [row["accuracy"], row["reference"]] == pytest.approx(wanted) and wanted[0] < wanted[1]
    low = unused(several(tmp_path, "weak", 1.5, norm=0.001)[0])
    assert (low["signs"], low["worst"]) == (1, "audio at small")


def test_noise_that_leaves_its_ball_is_compared_with_what_went_as_far(tmp_path: Path) -> None:
    """As random directions of the norm that a universal perturbation has come to."""
    leaving = {"keeps": KEPT | {"ball": False}}
    noise, _ = several(tmp_path, "noise", 0.5, norm=2.0, **NOISE | leaving)
    fitted, _ = several(tmp_path, "fitted", 1.0, norm=2.0, **leaving)
    (row,) = found([noise, fitted])
    assert (row["check"], row["attack"], row["signs"]) == ("noise_stronger", "fitted", 1)
    projected, _ = several(tmp_path, "projected", 1.0, norm=0.1)
    assert found([noise, projected]) == []


def test_what_is_added_to_all_clips_need_not_do_what_an_attack_on_each_does(tmp_path: Path) -> None:
    """It is weaker than a step on each clip, and short where clips disagree; noise as long is still no stronger."""
    step = made(tmp_path, "music/concat/0/fgsm", {CLEAN: 20, AUDIO: 9}, **FGSM)
    universal = made(
        tmp_path, "music/concat/0/released", {CLEAN: 20, AUDIO: 15}, steps=20, step_size=None, fitted="released"
    )
    noise = made(tmp_path, "music/concat/0/noise", {CLEAN: 20, AUDIO: 14}, **NOISE, fitted="released")
    (row,) = (
        findings([step, universal, noise]).query("check != 'unused_budget' and attack != 'fgsm'").to_dict("records")
    )
    assert (row["check"], row["attack"], row["beside"], row["signs"]) == ("noise_stronger", "released", "noise", 1)
    assert set(findings([step, universal, noise]).query("check == 'unused_budget'").attack) == {"fgsm"}
    assert findings([universal]).empty
    cell = {"surrogate": "concat", "attack": "released", "clips": 9, "clips_without_gradient": 0, "steps": 20}
    assert without_gradient([{"dataset": "music", "seed": 0, "cells": [cell | {"fitted": "released"}]}]).empty


def test_clips_attacked_through_an_extractor_are_compared_with_their_own_kind(tmp_path: Path) -> None:
    """In other units noise as large is another thing, and features are rounded where they are stored."""
    stored = made(tmp_path, "music/concat/0/pgd", {CLEAN: 20, AUDIO: 15})
    through = made(tmp_path, "music/concat/0/deep", {CLEAN: 19, AUDIO: 10}, **NOISE, through_extractor="windows")
    assert found([stored, through]) == [] and (clean_answers([stored, through])["signs"] == 0).all()
    other = made(tmp_path, "music/concat/0/other", {CLEAN: 18, AUDIO: 11}, through_extractor="windows")
    (row,) = found([stored, through, other])
    assert (row["attack"], row["beside"]) == ("other", "deep")
    assert clean_answers([stored, through, other])["signs"].tolist() == [1]


def test_other_answers_to_clean_clips_of_several_labels_are_seen_by_their_precision(tmp_path: Path) -> None:
    (one, _), (two, _) = several(tmp_path, "fgsm", 1.0), several(tmp_path, "pgd", 1.0)
    (row,) = clean_answers([one, two]).to_dict("records")
    assert (row["comparisons"], row["signs"]) == (2, 0)
    answers = two.cell.answers[Condition(*CLEAN)]
    other = replace(two, cell=replace(two.cell, answers={Condition("clean"): replace(answers, labels=-answers.labels)}))
    (row,) = clean_answers([one, other]).to_dict("records")
    assert (row["signs"], row["beside"]) == (1, "csn/pgd")
    logits = {CLEAN: np.random.default_rng(2).normal(size=(CLIPS, 4)), AUDIO: np.zeros((CLIPS, 4))}
    path = write_ranked_cell(tmp_path / "other", "sounds/csn/0/pgd", [[0, 1]] * 9 + [[2]] * 11, logits)
    (row,) = clean_answers([one, replace(two, ranked=Ranked([rank(path)]))]).to_dict("records")
    assert row["signs"] == 1 and row["accuracy"] != row["reference"]


def test_the_program_reads_cells_of_one_label_and_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = several(tmp_path, "pgd", 1.0)
    plain = write_cell(tmp_path, "music/concat/0/fgsm", [0, 1], {CLEAN: [0, 1], AUDIO: [1, 1]})
    files = []
    for number, (dataset, net, attack) in enumerate((("sounds", "csn", "pgd"), ("music", "concat", "fgsm"))):
        facts = {
            "surrogate": net,
            "attack": attack,
            "steps": 1,
            "step_size": 1.0,
            "keeps": KEPT,
            "spec": {"update": "x"},
        }
        facts |= {"precision": "float32", "objective": "x", "clips": 2 if number else CLIPS, "modalities": ["audio"]}
        files.append(tmp_path / f"{number}.json")
        told = {"dataset": dataset, "seed": 0, "cells": [facts | {"clips_without_gradient": 0}]}
        files[-1].write_text(json.dumps(told))
    words = ["--cells", str(path), str(plain), "--provenances", *map(str, files), "--rankings", str(rank(path))]
    monkeypatch.setattr(sys, "argv", ["checks.py", *words, "--scale", "demo", "--output", str(tmp_path / "checks.csv")])
    checks.main()
    lines = list(csv.DictReader((tmp_path / "checks.csv").open()))
    assert {line["dataset"] for line in lines} == {"sounds", "music"}
