"""Figures of curves: points by hand, means over victims, cosines and costs, drawings that are equal byte for byte."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from artefacts import drawn_twice, make
from cell_files import CLEAN, write_cell, write_training
from drawings import check_drawing
from figures import CLIPS, factor, right

from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError
from avrobust.report import curves
from avrobust.report.curves import measure, tidy
from avrobust.report.trainings import mean_spent, spent
from avrobust.spec.artefacts.curves import MOST_CURVES, MOST_FLAT, check_published, layout, needs
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.kind import CELLS, TRAININGS
from avrobust.spec.published import Published

ONE, FOUR = ("both", "small", 1), ("both", "small", 4)
# What is recognised of the clips that AcV's gradients make, in one step and in four.
LEFT: Mapping[str, Mapping[str, Sequence[int]]] = {
    "i_fgsm": {"AcV": (6, 0), "AsV": (12, 14), "RcR": (14, 18)},
    "tma": {"AcV": (6, 0), "AsV": (12, 4), "RcR": (14, 6)},
}
SPEC = {
    "title": "Figure 8. Steps",
    "read": {"dataset": "music", "modality": "both", "budget": "small", "surrogate": "AcV"},
    "x": factor("steps", "1", "4"),
    "label": "attack steps",
    "panels": [{"y": "success (%)", "measure": "success"}],
    "series": [
        {"name": "I-FGSM", "read": {"attack": "i_fgsm"}},
        {"name": "TMA", "read": {"attack": "tma"}},
        {"name": "clean error", "read": {"attack": "tma", "modality": "clean"}, "flat": True},
    ],
    "over": factor("victim", "AcV", "AsV", "RcR"),
    "mean": "mean(victim != surrogate)",
    "sizes": {"tma": {"copies": [2, 5], "steps": [3, 10]}},
    "labels": {"attack": {"tma": "TMA"}},
    "sources": {"music": "lists"},
}


def write_cells(folder: Path) -> list[Path]:
    return [
        write_cell(
            *(folder, f"music/{victim}/0/{attack}", [0] * CLIPS),
            {CLEAN: right(18), ONE: right(one), FOUR: right(four)},
            surrogate="AcV",
        )
        for attack, of_victims in LEFT.items()
        for victim, (one, four) in of_victims.items()
    ]


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return cells_of(write_cells(tmp_path))


def test_points_are_means_over_the_other_nets(cells: Cells) -> None:
    found = measure(layout(SPEC), cells)
    values = {place[1:]: one.value for place, one in found.items()}
    assert values == {
        ("I-FGSM", "1"): pytest.approx((40 + 30) / 2), ("I-FGSM", "4"): pytest.approx((30 + 10) / 2),
        ("TMA", "1"): pytest.approx(35), ("TMA", "4"): pytest.approx((80 + 70) / 2),
        ("clean error", ""): pytest.approx(10),
    }  # fmt: skip
    asked = {need.reading for need in needs(layout(SPEC))}
    assert Reading("music", "AcV", "RcR", "tma", Condition("both", "small", 4)) in asked
    assert not any(one.victim == "AcV" for one in asked)


def test_steps_that_are_named_are_no_size_of_the_scale(cells: Cells) -> None:
    figure = layout(SPEC)
    lines = tidy(figure, measure(figure, cells), {}, "demo").to_dict("records")
    assert {(one["series"], one["sizes"]) for one in lines} == {
        ("I-FGSM", ""), ("TMA", "copies 2 (5)"), ("clean error", ""),
    }  # fmt: skip


def test_at_a_value_something_else_may_be_read(tmp_path: Path) -> None:
    """Nothing is masked where the masked share is 0."""
    paths = [
        write_cell(tmp_path, "music/AsV/0/masked20", [0] * CLIPS, {CLEAN: right(18), ("audio", "small"): right(9)}),
        write_cell(tmp_path, "music/AsV/0/masked5", [0] * CLIPS, {CLEAN: right(18), ("audio", "small"): right(15)}),
    ]
    figure = layout(
        {
            "title": "Figure 1",
            "read": {"dataset": "music", "variant": "AsV", "budget": "small"},
            "x": factor("p", "0", "5", "20"),
            "label": "p",
            "panels": [{"y": "accuracy", "measure": "accuracy"}],
            "series": [{"name": "sound", "read": {"attack": "masked<p>", "modality": "audio"}}],
            "at": {"0": {"attack": "masked5", "modality": "clean"}},
        }
    )
    found = measure(figure, cells_of(paths))
    assert [one.value for one in found.values()] == [90, 75, 45] and figure.along == [0, 5, 20]


def test_cosines_of_attacked_clips(tmp_path: Path) -> None:
    """The mean over victims is taken clip by clip; the names of attacks stand at equal distances."""
    paths = [
        write_cell(
            *(tmp_path, f"music/{victim}/0/{attack}", [0] * 4), {CLEAN: [0] * 4, ("both", "small"): [0] * 4},
            surrogate="AcV", cosines={("both", "small"): cosines},
        )
        for attack in ("fgsm", "mi_fgsm")
        for victim, cosines in (("AsV", (0.5, 0.5, 0.5, 0.1)), ("RcR", (0.1, 0.3, -0.1, -0.3)))
    ]  # fmt: skip
    figure = layout(
        {
            **SPEC,
            "x": factor("attack", fgsm="FGSM", mi_fgsm="MI-FGSM"),
            "panels": [{"y": "cosine", "measure": "cosine"}],
            "series": [{"name": "attack"}],
        }
    )
    found = measure(figure, cells_of(paths))
    (one, _) = found.values()
    assert one.value == pytest.approx((0.4 + 0.0) / 2) and one.unit == "score" and one.clips == 4
    assert -1 <= one.low < one.value < one.high <= 1
    assert figure.along == [0, 1]


def test_costs_are_counts_without_an_interval(tmp_path: Path) -> None:
    paths, trainings = [], []
    for k, steps in ((10, (24.0, 26.0)), (20, (48.0, 52.0))):
        for seed in (0, 1):
            net = f"RsV+sample{k}"
            answers = {CLEAN: right(18), ("both", "small"): right(9)}
            paths.append(write_cell(tmp_path, f"music/{net}/{seed}/tma", [0] * CLIPS, answers))
            trainings.append(write_training(tmp_path, "music", net, seed, encoder_steps_a_clip=steps[seed]))
    read = {"dataset": "music", "variant": "RsV+sample<k>", "attack": "tma", "modality": "both", "budget": "small"}
    spec = {
        "title": "Figure 9",
        "read": read,
        "x": factor("k", **{"10": "1", "20": "2"}),
        "label": "factor",
        "panels": [{"y": "accuracy", "measure": "accuracy"}, {"y": "steps", "cost": "encoder_steps_a_clip"}],
        "series": [{"name": "Ours"}],
        "printed": ["hours"],
    }
    figure = layout(spec)
    printed = {("Ours", "1", "hours"): Published(8.5, "approximate"), ("Ours", "1", "gradients"): Published(1, "")}
    lines = tidy(figure, measure(figure, cells_of(paths), spent(trainings)), printed, "demo")
    shown = lines[["k", "column", "unit", "ours", "low", "published", "n", "seeds", "note"]]
    rows = list(shown.astype(object).where(shown.notna(), "").itertuples(index=False, name=None))
    assert rows == [
        ("1", "accuracy", "percent", 45.0, 23.06, "", 20, 2, ""),
        ("2", "accuracy", "percent", 45.0, 23.06, "", 20, 2, ""),
        ("1", "encoder_steps_a_clip", "count", 25.0, 25.0, "", "", 2, ""),
        ("2", "encoder_steps_a_clip", "count", 50.0, 50.0, "", "", 2, ""),
        ("1", "hours", "", "", "", 8.5, "", "", "approximate"),
    ]  # fmt: skip
    assert {need.reading.victim for need in needs(figure) if need.family == TRAININGS} == {
        "RsV+sample10",
        "RsV+sample20",
    }
    made = make("curves", spec, tmp_path / "figure", cells=paths, trainings=trainings)
    assert made.returncode == 0, made.stderr
    path = tmp_path / "figure9.csv"
    path.write_text("series,k,column,value,note\nOurs,1,hours,8.5,approximate\nOurs,3,hours,26,\nOurs,1,days,1,\n")
    assert check_published(figure, path) == ["Ours 1 days"]


TWO = {
    "title": "Figure 9",
    "read": {"dataset": "music", "variant": "RsV+sample<k>", "attack": "tma", "modality": "both", "budget": "small"},
    "x": factor("k", "10", "20"),
    "label": "k",
    "panels": [{"y": "accuracy", "measure": "accuracy"}, {"y": "steps", "cost": "encoder_steps_a_clip"}],
    "series": [
        {"name": "TMA"},
        {"name": "PGD-20", "read": {"attack": "pgd20"}},
        {"name": "no attack", "read": {"modality": "clean"}},
    ],
    "beside": {"worst of both": {"attack": ["tma", "pgd20"]}},
}


def test_series_of_one_net_have_one_cost_and_the_worst_of_two_attacks_is_in_the_data_alone(tmp_path: Path) -> None:
    """TMA leaves the first nine and PGD-20 the last twelve of twenty, of which one is left by both."""
    paths, trainings = [], []
    for k, steps in ((10, 24.0), (20, 48.0)):
        net = f"RsV+sample{k}"
        for attack, left in (("tma", right(9)), ("pgd20", right(12)[::-1])):
            answers = {CLEAN: right(18), ("both", "small"): left}
            paths.append(write_cell(tmp_path, f"music/{net}/0/{attack}", [0] * CLIPS, answers))
        trainings.append(write_training(tmp_path, "music", net, 0, encoder_steps_a_clip=steps))
    figure = layout(TWO)
    found = measure(figure, cells_of(paths), spent(trainings))
    lines = tidy(figure, found, {}, "demo")
    assert dict(zip(zip(lines["series"], lines["k"], strict=True), lines["ours"], strict=True)) == {
        ("TMA", "10"): 45, ("TMA", "20"): 45, ("PGD-20", "10"): 60, ("PGD-20", "20"): 60,
        ("no attack", "10"): 90, ("no attack", "20"): 90, ("worst of both", "10"): 5, ("worst of both", "20"): 5,
        ("training", "10"): 24, ("training", "20"): 48,
    }  # fmt: skip
    wanted = {need.reading.attack for need in needs(figure) if need.family == CELLS}
    assert wanted == {"tma", "pgd20"}
    made = make("curves", TWO, tmp_path / "figure", cells=paths, trainings=trainings)
    assert made.returncode == 0, made.stderr
    check_drawing("curves and costs", tmp_path / "figure.svg")
    text = "".join(ElementTree.parse(tmp_path / "figure.svg").getroot().itertext())
    assert "PGD-20" in text and "no attack" in text and "worst" not in text and "training" not in text


def test_series_of_several_nets_have_a_cost_each() -> None:
    other = {"name": "Other", "read": {"variant": "RsV+m<k>"}}
    figure = layout({**TWO, "series": [{"name": "Ours"}, other], "beside": {}})
    assert [one.name for one in figure.series_of(figure.panels[1])] == ["Ours", "Other"]


def test_a_cost_without_its_training_is_an_error(tmp_path: Path) -> None:
    known = spent([write_training(tmp_path, "music", "RsV", 0)])
    assert mean_spent(known, "music", "RsV", "gradients_a_clip") == (0.0, 1), "a training that crafts nothing"
    with pytest.raises(UserError, match=r"no training of ave/RsV among those given \(music/RsV\)"):
        mean_spent(known, "ave", "RsV", "gradients_a_clip")
    (tmp_path / "train.json").write_text("[]")
    with pytest.raises(UserError, match="is no train.json of a training".replace(".", r"\.")):
        spent([tmp_path / "train.json"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panels": [{"y": "", "measure": "loss"}]}, "panel 1: measure: 'loss' is none of clean, X_A"),
        ({"panels": [{"y": ""}]}, "panel 1: either measure or cost must be given"),
        ({"series": [{"name": "a"}, {"name": "a"}]}, "series: a occurs twice"),
        ({"at": {"7": {}}}, "at: 7 is none of steps: 1, 4"),
        ({"series": [{"name": "a"}], "beside": {"a": {"attack": "tma"}}}, "series: a occurs twice"),
        (
            {"panels": [{"y": "", "measure": "cosine"}], "beside": {"w": {"attack": ["tma", "i_fgsm"]}}},
            "series: w: the worst of several attacks has no cosine; give one attack",
        ),
        ({"mean": "mean(net)"}, "mean: is over victim, not over net"),
        ({"mean": None}, "over and mean go together"),
        ({"over": factor("victim", "AcV")}, "I-FGSM: none of AcV is left for the mean"),
        ({"series": [{"name": "a", "read": {"attack": "a<p>"}}]}, "attack: <p> is none of its factors: steps, victim"),
        ({"panels": [{"y": "", "cost": "hours"}]}, "panel 1: cost: 'hours' is none of gradients_a_clip, encoder"),
    ],
)
def test_mistakes_in_a_layout_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(needs(layout({**SPEC, **change})))


def test_program_draws_equal_bytes_twice(tmp_path: Path) -> None:
    text, data = drawn_twice("curves", SPEC, tmp_path, cells=write_cells(tmp_path / "cells"))
    for words in ("Figure 8. Steps", "attack steps", "success (%)", "I-FGSM", "clean error", "copies 2 (5) of TMA",
                  "n = 20 clips, of the paper's clips at scale `demo`"):  # fmt: skip
        assert words in text, words
    assert data.splitlines()[1].startswith("I-FGSM,1,success,percent,,35.00,")


def test_more_series_than_can_be_told_apart_are_an_error_before_anything_is_made() -> None:
    looks = (curves.COLOURS, curves.MARKERS, curves.LINES)
    assert {len(of) for of in looks} == {MOST_CURVES} and len(curves.FLAT) == MOST_FLAT
    for count, flat, words in ((9, False, "series: 9 are drawn"), (4, True, "series that are flat: 4 are drawn")):
        many = [{"name": f"{number}", "read": {"attack": "tma"}, "flat": flat} for number in range(count)]
        with pytest.raises(UserError, match=words):
            layout({**SPEC, "series": many})
