"""Figures of bars: values by hand, means that belong together, what stands beside them, drawings that are equal."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from artefacts import drawn_twice, make
from cell_files import CLEAN, write_cell
from drawings import check_drawing
from figures import BOTH, CLIPS, NETS, SPEC, factor, right, write_cells
from PIL import Image

from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError
from avrobust.report import drawing
from avrobust.report.bars import measure, tidy
from avrobust.report.points import COLUMNS, Point, said_of
from avrobust.spec.artefacts.bars import MOST_BARS, MOST_MARKS, Layout, Place, check_published, layout, needs
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.published import Published, read_published


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return cells_of(write_cells(tmp_path))


def lines_of(figure: Layout, cells: Cells, published: Mapping | None = None, scale: str = "demo") -> list[dict]:
    frame = tidy(figure, measure(figure, cells), published or {}, scale)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def value(lines: Sequence[Mapping], column: str = "success", **keys: str) -> float:
    (found,) = [one["ours"] for one in lines if one["column"] == column and keys.items() <= one.items()]
    return found


def test_values_by_hand(cells: Cells) -> None:
    lines = lines_of(layout(SPEC), cells)
    where = {"surrogate": "AcV", "victim": "AsV", "attack": "FGSM"}
    assert value(lines, **where) == 60, "12 of 20 are not recognised"
    assert value(lines, "success_if_recognised", **where) == 20, "of the 10 that are clean, 2 are not"
    assert value(lines, "clean_error", surrogate="RcR", victim="AsV") == 50
    assert value(lines, surrogate="RcR", victim="RcR", attack="Random signs") == 5
    assert {*lines[0]} == {"surrogate", "victim", "attack", *COLUMNS}


def test_means_are_over_the_nets_that_they_name(cells: Cells) -> None:
    lines = lines_of(layout(SPEC), cells)
    assert value(lines, surrogate="AcV", victim="others", attack="FGSM") == (60 + 10) / 2
    assert value(lines, surrogate="AsV", victim="others", attack="FGSM") == (40 + 20) / 2
    assert value(lines, surrogate="AsV", victim="two", attack="FGSM") == 30
    assert value(lines, surrogate="AcV", victim="two", attack="FGSM") == (80 + 10) / 2, (
        "the surrogate belongs to it too"
    )
    assert value(lines, "success_if_recognised", surrogate="AcV", victim="two", attack="FGSM") == (75 + 10) / 2
    assert value(lines, "clean_error", surrogate="AcV", victim="others") == 25


def test_a_clip_moves_all_victims_of_a_mean_together(tmp_path: Path) -> None:
    """Two victims that answer alike are one: their mean has the interval of each, not the narrower of 40 clips."""
    paths = [
        write_cell(tmp_path, f"music/{net}/0/fgsm", [0] * CLIPS, {CLEAN: right(20), BOTH: right(8)}, surrogate="AcV")
        for net in ("AcV", "AsV")
    ]
    nets = factor("victim", "AcV", "AsV")
    spec = {**SPEC, "read": {**SPEC["read"], "surrogate": "AcV"}, "ticks": nets, "bars": factor("attack", fgsm="FGSM")}
    spec |= {"controls": [], "also": {"both": "mean(victim)"}}
    del spec["panels"]
    found = measure(layout(spec), cells_of(paths))
    one, mean = (found[Place("", "fgsm", tick), "success"] for tick in ("AcV", "both"))
    assert mean[:3] == pytest.approx(one[:3])


def test_clean_clips_stand_once_for_all_that_they_are_the_same_for(cells: Cells) -> None:
    lines = [one for one in lines_of(layout(SPEC), cells) if one["column"] == "clean_error"]
    assert [(one["surrogate"], one["victim"], one["attack"]) for one in lines] == [
        ("AcV", "AcV", ""), ("AcV", "AsV", ""), ("AcV", "RcR", ""), ("AcV", "others", ""), ("AcV", "two", ""),
        ("AsV", "AcV", ""), ("AsV", "AsV", ""), ("AsV", "RcR", ""), ("AsV", "others", ""), ("AsV", "two", ""),
        ("RcR", "AcV", ""), ("RcR", "AsV", ""), ("RcR", "RcR", ""), ("RcR", "others", ""), ("RcR", "two", ""),
    ]  # fmt: skip
    assert {one["sizes"] for one in lines} == {""}


PUBLISHED = {
    ("AcV", "AcV", "FGSM", "success"): Published(78.3, ""),
    ("AcV", "others", "FGSM", "success"): Published(31.7, "section 3"),
    ("AsV", "others", "FGSM", "success"): Published(99.0, ""),
}


def test_published_values_are_set_beside_and_judged_at_the_paper_scale_only(cells: Cells) -> None:
    for scale, judged in (("demo", ("", "")), ("paper", ("yes", "no"))):
        lines = [one for one in lines_of(layout(SPEC), cells, PUBLISHED, scale) if one["published"] is not None]
        calibrated, others, far = lines
        assert (calibrated["published"], calibrated["inside"], calibrated["note"]) == (78.3, "", "calibrated")
        assert (others["inside"], far["inside"]) == judged
        assert (others["difference"], others["note"]) == (3.3, "section 3")
    rendered = layout({**SPEC, "sources": {"music": "render"}})
    assert {one["inside"] for one in lines_of(rendered, cells, PUBLISHED, "paper")} == {""}


def test_sizes_of_the_attacks_stand_beside_their_values(cells: Cells) -> None:
    lines = [one for one in lines_of(layout(SPEC), cells) if one["column"] == "success"]
    assert {(one["attack"], one["sizes"]) for one in lines} == {
        ("FGSM", "copies 2 (5), steps 3 (10)"), ("Random signs", ""),
    }  # fmt: skip


def test_marks_and_columns_beside_read_something_else(tmp_path: Path) -> None:
    """Of a defended net: noise, the undefended net, and the worst of two attacks, clip by clip."""
    undefended, defended = {"tma": right(2), "pgd": right(5)}, {"tma": right(9), "pgd": [1] * 4 + [0] * 10 + [1] * 6}
    paths = [
        write_cell(tmp_path, f"music/{net}/0/{attack}", [0] * CLIPS, {CLEAN: right(18), BOTH: answers})
        for net, told in (("AcV", undefended), ("AcV+at", defended))
        for attack, answers in told.items()
    ]
    figure = layout(
        {
            "title": "Figure 7",
            "measure": "success",
            "read": {
                "dataset": "music",
                "modality": "both",
                "budget": "small",
                "variant": "<net>+<defence>",
                "attack": "tma",
            },
            "ticks": factor("net", "AcV"),
            "bars": factor("defence", at="AT"),
            "marks": {"undefended": {"variant": "<net>"}},
            "beside": {"PGD": {"attack": "pgd"}, "worst": {"attack": ["tma", "pgd"]}},
        }
    )
    lines = lines_of(figure, cells_of(paths))
    assert [(one["column"], one["ours"]) for one in lines] == [
        ("success", 55.0), ("success_if_recognised", 50.0), ("clean_error", 10.0), ("undefended", 90.0), ("PGD", 50.0),
        # Recognised under both: clips 4 to 8.
        ("worst", 75.0),
    ]  # fmt: skip
    assert {(one["net"], one["defence"]) for one in lines} == {("AcV", "AT")}
    asked = {need.reading[1:4] for need in needs(figure)}
    assert asked == {("AcV+at", "AcV+at", "tma"), ("AcV+at", "AcV+at", "pgd"), ("AcV", "AcV", "tma")}


def test_white_box_is_who_answers_its_own_clips_where_others_answer_too() -> None:
    def white_box(figure: Layout) -> list[tuple[str, str]]:
        places = ((one, net) for one in figure.panels.values for net in (*figure.ticks.values, *figure.also))
        return [place for place in places if figure.is_white_box(*place)]

    assert white_box(layout(SPEC)) == [(net, net) for net in NETS]
    alone = {**SPEC, "panels": factor("surrogate", NETS[0]), "ticks": factor("victim", NETS[0]), "also": {}}
    assert white_box(layout(alone)) == []


def test_a_surrogate_may_be_called_after_the_victim() -> None:
    spec = {**SPEC, "read": {**SPEC["read"], "surrogate": "all-<victim>"}, "also": {}}
    del spec["panels"]
    figure = layout(spec)
    (one,) = figure.readings(Place("", "fgsm", "RcR"))
    assert one == Reading("music", "all-RcR", "RcR", "fgsm", Condition("both", "small"))
    assert len({need.reading for need in needs(figure)}) == 3 * 2 * 2, "clean and attacked"


def test_printed_values_that_no_bar_reads_are_told(tmp_path: Path, cells: Cells) -> None:
    path = tmp_path / "figure5.csv"
    assert check_published(layout(SPEC), path) == []
    path.write_text(
        "surrogate,victim,attack,column,value,note\nAcV,others,FGSM,success,31.7,\nAcV,others,PGD,success,1,\n"
    )
    assert check_published(layout(SPEC), path) == ["AcV others PGD success"]
    path.write_text("surrogate,victim,attack,column,value,note\nany,others,FGSM,gain,3.6,said\n")
    figure = layout({**SPEC, "printed": ["gain"]})
    assert check_published(figure, path) == []
    *_, line = lines_of(figure, cells, read_published(path, figure.keys))
    assert (line["surrogate"], line["column"], line["published"], line["ours"], line["note"]) == (
        "any", "gain", 3.6, None, "said",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "loss"}, "'loss' is none of success, accuracy"),
        ({"bars": factor("victim", "AcV")}, "one factor each, got surrogate, victim, victim"),
        ({"also": {"x": "median(victim)"}}, r"also: x: 'median\(victim\)' is no mean"),
        ({"also": {"x": "mean(attack)"}}, "a mean is over victim, not over attack"),
        ({"also": {"x": "mean(victim in VcV)"}}, "'VcV' is none of AcV, AsV, RcR"),
        ({"also": {"AcV": "mean(victim)"}}, "AcV is the name of a victim, too"),
        ({"controls": ["pgd"]}, "controls: 'pgd' is none of fgsm, noise"),
        ({"groups": {"A": ["AsV"]}}, "AsV are not the ticks AcV, AsV, RcR"),
        ({"beside": {"clean_error": {"attack": "noise"}}}, "clean_error is a column of its own"),
        ({"read": {**SPEC["read"], "variant": "<net>"}}, "variant: <net> is none of its factors: surrogate, attack"),
        ({"colour": "red"}, "unknown colour"),
    ],
)  # fmt: skip
def test_mistakes_in_a_layout_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(needs(layout({**SPEC, **change})))


def test_a_mean_of_nothing_is_an_error() -> None:
    spec = {**SPEC, "ticks": factor("victim", "AcV")}
    spec["also"] = {"others": "mean(victim != surrogate)"}
    with pytest.raises(UserError, match="others: no victim belongs to it where AcV is read"):
        layout(spec).readings(Place("AcV", "fgsm", "others"))


def test_program_draws_equal_bytes_twice_and_says_what_it_shows(tmp_path: Path) -> None:
    cells = write_cells(tmp_path / "cells")
    published = tmp_path / "published.csv"
    published.write_text("surrogate,victim,attack,column,value,note\nAcV,others,FGSM,success,31.7,\n")
    text, data = drawn_twice("bars", SPEC, tmp_path, cells=cells, published=[published])
    for words in (
        "Figure 5. Success", "scale demo, n = 20 clips, of the paper's clips at scale `demo`, seeds: 1",
        "(c) surrogate RcR", "FGSM", "Random signs",
        "clean error", "published", "white-box", "success (%)", "copies 2 (5) of fgsm",
    ):  # fmt: skip
        assert words in text, words
    rows = list(csv.DictReader(data.splitlines()))
    assert len(rows) == 3 * 5 * 2 * 2 + 3 * 5
    assert [row["published"] for row in rows if row["published"]] == ["31.70"]


@pytest.mark.parametrize(
    ("source", "scale", "words"),
    [
        ("render", "paper", "scale paper, n = 20 clips, of rendered clips, seeds: 1; "),
        ("local", "paper", "scale paper, n = 20 clips, of the user's own clips, seeds: 1; "),
        ("lists", "paper", "scale paper, n = 20 clips, seeds: 1; "),
    ],
)
def test_whose_clips_a_figure_is_of(source: str, scale: str, words: str) -> None:
    figure = layout({**SPEC, "sources": {"music": source}})
    assert said_of(figure, [Point(1, 0, 2, 20, 1)], scale).startswith(words)


def grey(fill: str) -> float:
    """How light a colour is, from 0 to 1, as printers in grey have it (ITU-R BT.601)."""
    red, green, blue = bytes.fromhex(fill[1:])
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_neighbouring_bars_stay_apart_without_colour() -> None:
    """By lightness, or by a pattern where the one has it and the other has not."""
    for (one, pattern, _), (other, other_pattern, _) in zip(drawing.FILLS, drawing.FILLS[1:], strict=False):
        assert abs(grey(one) - grey(other)) > 0.1 or bool(pattern) != bool(other_pattern)
    looks = [(round(grey(fill), 1), pattern) for fill, pattern, _ in drawing.FILLS]
    assert len({*looks}) == len(looks)


def test_more_bars_or_marks_than_can_be_told_apart_are_an_error_before_anything_is_made() -> None:
    assert (len(drawing.FILLS), len(drawing.MARKERS)) == (MOST_BARS, MOST_MARKS)
    many = {f"a{number}": f"a{number}" for number in range(MOST_BARS + 1)}
    with pytest.raises(UserError, match=r"bars: 12 are drawn \(a0, .*\), and no more than 11 can be told apart"):
        layout({**SPEC, "bars": {"name": "attack", "values": many}, "controls": []})
    marks = {f"m{number}": {"attack": "noise"} for number in range(MOST_MARKS + 1)}
    with pytest.raises(UserError, match="marks: 7 are drawn"):
        layout({**SPEC, "marks": marks})


def test_a_figure_without_panels_has_groups_below_its_ticks(tmp_path: Path) -> None:
    cells = [
        write_cell(tmp_path, f"music/{net}/0/tma", [0] * CLIPS, {CLEAN: right(18), BOTH: right(9)})
        for net in ("RsV+none", "RsV+dm5", "RsV+linear")
    ]
    spec = {
        "title": "Figure 12",
        "measure": "accuracy",
        "read": {"dataset": "music", "modality": "both", "budget": "small", "variant": "<schedule>"},
        "ticks": factor("schedule", **{"RsV+none": "None", "RsV+dm5": "D*M: 5%", "RsV+linear": "Linear"}),
        "bars": factor("attack", tma="TMA"),
        "groups": {"Constant": ["RsV+none", "RsV+dm5"], "Curriculum": ["RsV+linear"]},
    }
    made = make("bars", spec, tmp_path / "figure", cells=cells)
    assert made.returncode == 0, made.stderr
    check_drawing("bars in groups", tmp_path / "figure.svg")
    text = "".join(ElementTree.parse(tmp_path / "figure.svg").getroot().itertext())
    assert all(words in text for words in ("Curriculum", "D*M: 5%", "accuracy (%)", "clean accuracy"))
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size[0] == 1440
    # Two that are trained alike are one bar, and a note says so.
    beside = {"alike": {"RsV+dm5": "RsV+none"}, "shares": {"RsV+linear": "1 to 2 of 10 steps"}}
    made = make("bars", {**spec, **beside}, tmp_path / "alike", cells=cells)
    assert made.returncode == 0, made.stderr
    text = "".join(ElementTree.parse(tmp_path / "alike.svg").getroot().itertext())
    assert "One bar, of as many steps, features and attack steps at this scale: D*M: 5% comes to None." in text
    assert "Shares that are no whole number of steps at this scale: Linear 1 to 2 of 10 steps." in text
    rows = list(csv.DictReader((tmp_path / "alike.csv").read_text().splitlines()))
    assert {row["schedule"] for row in rows} == {"None", "Linear"}


def test_sizes_of_attacks_are_of_each_and_those_of_defended_nets_of_their_training() -> None:
    crmt = {"steps": [4, 10], "measured_clips": [27, "all"]}
    sizes = {
        "AcV+at": {"steps": [4, 10]},
        "AcV+crmt": crmt,
        "RsV+mixup": {"densest": [0.5, 0.2]},
        "RsV+ours": {"steps": [4, 10]},
        "tma": {"copies": [2, 5], "steps": [3, 10]},
    }
    assert drawing.sizes_note(sizes, {"attack": {"tma": "TMA"}}) == (
        "steps 4 (10) of adversarial training; measured clips 27 (all) of the table of a loss; "
        "densest 0.5 (0.2) of mix-up; copies 2 (5) of TMA; steps 3 (10) of TMA"
    )
