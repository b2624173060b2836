"""Tables: a small one worked by hand, the layout's mistakes, stacking, and the programs as users run them."""

import csv
import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import preloaded
import pytest
from artefacts import make
from cell_files import CLEAN, write_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError
from avrobust.report.entries import COLUMNS, compared
from avrobust.report.stack import merged_order, stack
from avrobust.report.table import columns, markdown, measure, rounded
from avrobust.report.terminal import compact, inventory, listed
from avrobust.report.text import csv_of
from avrobust.spec.any_of import AnyOf
from avrobust.spec.artefacts.table import check_published, combination, layout, needs
from avrobust.spec.published import Published, read_published

SCRIPTS = Path(__file__).parents[2] / "scripts"
LABELS = [0, 0, 0, 1]
AUDIO, VISUAL, BOTH = ("audio", "large"), ("visual", "large"), ("both", "small")
READ = {"dataset": "music", "variant": "concat", "attack": "fgsm"}
SPEC = {
    "title": "Table 9",
    "citation": "Hand et al",
    "sources": {"music": "lists"},
    "caption": "By hand.",
    "keys": ["dataset", "attack"],
    "columns": [
        {"name": "AV_clean", "header": "✓AV", "condition": {"modality": "clean"}},
        {"name": "X_A", "header": "✗A", "condition": {"modality": "audio", "budget": "large"}},
        {"name": "X_V", "header": "✗V", "condition": {"modality": "visual", "budget": "large"}},
        {"name": "X_AV", "header": "✗AV", "condition": {"modality": "both", "budget": "small"}},
        {"name": "Avg", "header": "Avg.", "mean": ["X_A", "X_V", "X_AV"]},
        {"name": "RI", "sum": ["AV_clean", "Avg"], "against": {"variant": "sum"}, "ours_only": True},
        {"name": "majority_class", "condition": {"modality": "majority"}, "ours_only": True},
    ],
    "rows": [
        {"keys": {"dataset": "MUSIC", "attack": "FGSM"}, "read": READ},
        {
            "keys": {"dataset": "MUSIC", "attack": "none"},
            "read": {**READ, "variant": "sum"},
            "ours_only": True,
        },
    ],
}
PUBLISHED = {
    ("MUSIC", "FGSM", "AV_clean"): Published(75.0, ""),
    ("MUSIC", "FGSM", "X_A"): Published(50.5, "misprint"),
    ("MUSIC", "FGSM", "X_V"): Published(99.0, ""),
    ("MUSIC", "FGSM", "X_AV"): Published(None, ""),
    ("MUSIC", "FGSM", "Avg"): Published(30.0, ""),
}
# Right answers of concat: 4 + 2 (two seeds), 2 + 2, 1 + 3, 0 + 0 of 4; of sum: 3, 1, 1, 1 in both seeds.
CONCAT = [
    {CLEAN: [0, 0, 0, 1], AUDIO: [0, 0, 1, 0], VISUAL: [0, 1, 1, 0], BOTH: [1, 1, 1, 0]},
    {CLEAN: [0, 0, 1, 0], AUDIO: [0, 0, 1, 0], VISUAL: [0, 0, 0, 0], BOTH: [1, 1, 1, 0]},
]
SUM = {CLEAN: [0, 0, 0, 0], AUDIO: [0, 1, 1, 0], VISUAL: [1, 0, 1, 0], BOTH: [1, 1, 0, 0]}


def write_cells(folder: Path) -> list[Path]:
    return [
        write_cell(folder, f"music/{variant}/{seed}/fgsm", LABELS, predictions)
        for seed in (0, 1)
        for variant, predictions in (("concat", CONCAT[seed]), ("sum", SUM))
    ]


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return cells_of(write_cells(tmp_path))


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_values_worked_by_hand(cells: Cells) -> None:
    entries = [*measure(layout(SPEC), cells, PUBLISHED, scale="paper").itertuples()]
    found = {(entry.attack, entry.column): entry for entry in entries}
    assert [found["FGSM", name].ours for name in ("AV_clean", "X_A", "X_V", "X_AV")] == [75, 50, 50, 0]
    assert found["FGSM", "Avg"].ours == 33.33
    assert found["none", "Avg"].ours == 25
    # (75 + 33.33) - (75 + 25), and a variant against itself.
    assert found["FGSM", "RI"].ours == 8.33
    itself = found["none", "RI"]
    assert (itself.ours, itself.low, itself.high) == (0, 0, 0)
    assert found["FGSM", "majority_class"].ours == 75
    assert (found["FGSM", "X_A"].difference, found["FGSM", "X_A"].inside) == (-0.5, "yes")
    assert (found["FGSM", "X_V"].difference, found["FGSM", "X_V"].inside) == (-49, "no")
    assert (found["FGSM", "Avg"].difference, found["FGSM", "Avg"].inside) == (3.33, "yes")
    assert np.isnan(found["FGSM", "X_AV"].difference) and found["FGSM", "X_AV"].inside == ""
    assert {(entry.n, entry.seeds, entry.clips_of) for entry in entries} == {(4, 2, "music")}
    assert all(entry.low <= entry.ours <= entry.high for entry in entries)


MEASURED = [
    {"name": "success", "condition": {"modality": "audio", "budget": "large"}, "measure": "success"},
    {"name": "recognised", "condition": {"modality": "audio", "budget": "large"}, "measure": "success_if_recognised"},
    {"name": "error", "condition": {"modality": "clean"}, "measure": "clean_error"},
    {"name": "both", "mean": ["success", "error"]},
    {"name": "beyond", "condition": {"modality": "audio", "budget": "large"}, "measure": "success",
     "against": {"variant": "sum"}},
]  # fmt: skip


def test_measures_of_success_by_hand(cells: Cells) -> None:
    """Concat: of the sound 2 of 4 are lost in each seed; clean 0 and 2 errors. Of 4 recognised 2, and of 2 none."""
    spec = layout({**SPEC, "columns": [one | {"ours_only": True} for one in MEASURED]})
    found = {(one.attack, one.column): one for one in measure(spec, cells, {}, scale="paper").itertuples()}
    values = [found["FGSM", column["name"]].ours for column in MEASURED]
    # sum loses 3 of 4.
    assert values == [50, 25, 25, 37.5, -25] and found["none", "beyond"].ours == 0
    assert [found["none", name].ours for name in ("success", "recognised", "error")] == [75, 66.67, 25]
    assert found["FGSM", "success"].low < 50 < found["FGSM", "success"].high
    assert found["FGSM", "recognised"].low < 25 < found["FGSM", "recognised"].high
    assert {found["FGSM", name].unit for name in ("success", "both")} == {"percent"}
    assert found["FGSM", "beyond"].unit == "points"


def test_a_ratio_needs_all_clips_of_a_dataset(cells: Cells) -> None:
    row = {**SPEC["rows"][0], "read": {**READ, "clips": "unseen"}, "ours_only": True}
    spec = layout({**SPEC, "columns": [MEASURED[1] | {"ours_only": True}], "rows": [row]})
    with pytest.raises(UserError, match="MUSIC FGSM: a ratio is of all clips of a dataset"):
        measure(spec, cells, {}, {"music": set()}, scale="paper")


def test_interval_of_a_column_of_equal_seeds_is_binomial(tmp_path: Path) -> None:
    answers = {CLEAN: [0] * 60 + [1] * 40}
    cells = cells_of([write_cell(tmp_path, "music/concat/0/fgsm", [0] * 100, answers)])
    spec = {**SPEC, "columns": SPEC["columns"][:1], "rows": SPEC["rows"][:1]}
    published = {("MUSIC", "FGSM", "AV_clean"): Published(70.0, "")}
    (entry,) = measure(layout(spec), cells, published, scale="paper").itertuples()
    # Clopper & Pearson's interval of 60 of 100.
    assert (entry.low, entry.high) == (49.72, 69.67)
    assert entry.inside == "no"


def test_a_rate_of_nothing_tells_what_the_clips_allow(cells: Cells) -> None:
    """0 of 4 clips: a rate p leaves that (1 - p) ** 4 of the time, 2.5 % at 60.24 %."""
    measured = measure(layout(SPEC), cells, PUBLISHED, scale="paper")
    entries = {(one.attack, one.column): one for one in measured.itertuples()}
    nothing = entries["FGSM", "X_AV"]
    assert (nothing.ours, nothing.low, nothing.high) == (0.0, 0.0, 60.24)
    assert [place for place, entry in entries.items() if entry.note] == [("FGSM", "X_A")]


def test_rows_of_unseen_clips_leave_out_those_whose_video_was_trained_on(cells: Cells) -> None:
    """Clips 0 and 3 were seen: of 1 and 2, two seeds, sound attacked: 1 and 0 of 2 are right with each."""
    rows = [{**SPEC["rows"][0], "read": {**READ, "clips": "unseen"}, "ours_only": True}]
    table = layout({**SPEC, "rows": rows})
    found = measure(table, cells, {}, {"music": {"clip0", "clip3"}}, scale="paper").set_index("column")
    # Clean: 1 and 2 are right with the first seed, 1 alone with the second; both attacked: none.
    assert list(found.loc[["AV_clean", "X_A", "X_V", "X_AV"], "ours"]) == [75, 50, 50, 0]
    assert set(found["n"]) == {2}
    last = measure(table, cells, {}, {"music": {"clip0", "clip1", "clip2"}}, scale="paper").set_index("column")
    assert set(last["n"]) == {1}
    # Clip 3, of label 1: recognised clean by the first seed only, under attack by neither.
    assert list(last.loc[["AV_clean", "X_A", "X_V", "X_AV"], "ours"]) == [50, 0, 0, 0]
    nothing = measure(table, cells, {}, {"music": {f"clip{number}" for number in range(4)}}, scale="paper")
    assert nothing[["published", "ours", "low", "high", "difference"]].isna().all(axis=None)
    assert set(nothing["n"]) == {0} and set(nothing["note"]) == {"no clip is left"}
    assert "| MUSIC | FGSM | – | – |" in markdown(table, nothing)


def test_csv_has_the_papers_order_and_every_field(cells: Cells) -> None:
    table = layout(SPEC)
    entries = measure(table, cells, PUBLISHED, scale="paper")
    rows = lines(csv_of(entries[[*table.keys, *COLUMNS]]))
    fields = "dataset,attack,column,unit,published,ours,low,high,difference,inside,n,seeds,scale,source,note"
    assert ",".join(rows[0]) == fields
    assert [row["column"] for row in rows] == 2 * [column["name"] for column in SPEC["columns"]]
    assert rows[0] == {
        "dataset": "MUSIC",
        "attack": "FGSM",
        "column": "AV_clean",
        "unit": "percent",
        "published": "75.00",
        "ours": "75.00",
        "low": rows[0]["low"],
        "high": rows[0]["high"],
        "difference": "0.00",
        "inside": "yes",
        "n": "4",
        "seeds": "2",
        "scale": "paper",
        "source": "lists",
        "note": "",
    }
    assert [row["unit"] for row in rows] == 2 * [*5 * ["percent"], "points", "percent"]
    assert [rows[7][name] for name in ("published", "difference", "inside")] == ["", "", ""]


def test_markdown_reads_as_the_paper(cells: Cells) -> None:
    table = layout(SPEC)
    text = markdown(table, measure(table, cells, PUBLISHED, scale="paper"))
    assert text.startswith("# Table 9\n\nBy hand.\n")
    assert "| dataset | attack | ✓AV | ✗A | ✗V | ✗AV | Avg. | RI | majority_class |" in text
    assert "| 0.00 [0.00, 0.00] |" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| MUSIC | FGSM |")]
    shown = [cell.split(" [")[0].strip() for cell in line.strip("|").split("|")[2:]]
    assert shown == ["75.00", "50.00", "50.00", "0.00", "33.33", "8.33", "75.00"]
    assert "(99.00) |" in text
    assert "music: n = 4 clips, 2 seeds; one clip is 25.00 points." in text
    many, fewer = (measure(table, cells, PUBLISHED, scale="paper").assign(n=n) for n in (1000, 999))
    assert "music: n = 1000 clips, 2 seeds." in markdown(table, many)
    assert "music: n = 999 clips, 2 seeds; one clip is 0.10 points." in markdown(table, fewer)
    assert "Published values: Hand et al. In %" in text
    assert "not comparable" not in text
    own = dataclasses.replace(table, sources={"music": "local", "ave": "render"})
    assert "The clips are the user's own and rendered: these numbers are not comparable" in markdown(
        own, measure(own, cells, PUBLISHED, scale="paper")
    )
    assert "- MUSIC, FGSM, ✗A: misprint" in text


def test_a_table_of_which_the_paper_has_nothing_needs_no_file_and_says_so(cells: Cells, tmp_path: Path) -> None:
    """Any other one does."""
    nowhere = tmp_path / "table9.csv"
    with pytest.raises(UserError, match=r"table9\.csv"):
        check_published(layout(SPEC), nowhere)
    own = layout({**SPEC, "rows": [{**row, "ours_only": True} for row in SPEC["rows"]]})
    assert check_published(own, nowhere) == []
    text = markdown(own, measure(own, cells, {}, scale="paper"))
    assert "No published values. In %" in text and "Hand et al" not in text


# Of concat: the clips that each attack leaves recognised, of four with the labels 0, 0, 0, 1.
LEFT = {
    "fgsm": {CLEAN: [0, 0, 0, 1], AUDIO: [0, 0, 1, 1], VISUAL: [0, 1, 0, 1], BOTH: [0, 1, 1, 0]},
    "pgd": {CLEAN: [0, 0, 0, 1], AUDIO: [0, 1, 0, 1], VISUAL: [0, 1, 0, 1], BOTH: [1, 0, 1, 0]},
    "sum/fgsm": {CLEAN: [0, 0, 0, 1], AUDIO: [0, 0, 0, 0], VISUAL: [1, 0, 0, 1], BOTH: [0, 0, 0, 1]},
}
MEMBERS = [
    {"attack": "fgsm", "name": "FGSM"},
    {"attack": "fgsm_ce", "name": "FGSM, cross-entropy"},
    {"attack": "pgd", "name": "PGD"},
    {"surrogate": "sum", "attack": "fgsm", "name": "FGSM of Sum"},
]
UNDER_ANY = {
    **SPEC,
    "columns": SPEC["columns"][:5] + SPEC["columns"][6:],
    "rows": [
        *(
            {"keys": {"dataset": "MUSIC", "attack": name}, "read": {**READ, "attack": name}, "ours_only": True}
            for name in ("fgsm", "pgd")
        ),
        {
            "keys": {"dataset": "MUSIC", "attack": "transferred"},
            "read": {"dataset": "music", "surrogate": "sum", "victim": "concat", "attack": "fgsm"},
            "ours_only": True,
        },
        {"keys": {"dataset": "MUSIC", "attack": "any"}, "read": {**READ, "attack": "any"}, "ours_only": True},
    ],
    "any": MEMBERS,
    "same": {"music/concat": {"fgsm_ce": "fgsm"}},
}


@pytest.fixture
def under_any(tmp_path: Path) -> pd.DataFrame:
    paths = [
        write_cell(tmp_path, "music/concat/0/fgsm", LABELS, LEFT["fgsm"]),
        write_cell(tmp_path, "music/concat/0/pgd", LABELS, LEFT["pgd"]),
        write_cell(tmp_path, "music/concat/0/fgsm", LABELS, LEFT["sum/fgsm"], surrogate="sum"),
    ]
    return measure(layout(UNDER_ANY), cells_of(paths), {}, scale="demo")


def test_under_any_attack_is_recognised_what_is_under_each(under_any: pd.DataFrame) -> None:
    """Sound: 0, 1, 3 and 0, 2, 3 and 0, 1, 2 leave 0. Frame: 0, 2, 3 twice and 1, 2, 3 leave 2, 3. Both: none."""
    ours = under_any.pivot(index="attack", columns="column", values="ours")
    columns = ["AV_clean", "X_A", "X_V", "X_AV", "Avg", "majority_class"]
    assert [*ours.loc["any", columns]] == [100, 25, 50, 0, 25, 75]
    assert [*ours.loc["fgsm", columns[:5]]] == [100, 75, 75, 25, 58.33]
    # By attack, of X_A, X_V, X_AV and Avg; nothing is said of what nothing attacks, nor of the worst itself.
    above = under_any.pivot(index="attack", columns="column", values="above_any")[columns]
    assert [*above.loc["fgsm"].dropna()] == [50, 25, 25, 33.33]
    assert [*above.loc["pgd"].dropna()] == [50, 25, 25, 33.33]
    assert [*above.loc["transferred"].dropna()] == [50, 25, 100, 58.33]
    assert above[["AV_clean", "majority_class"]].isna().all(axis=None) and above.loc["any"].isna().all()
    apart = under_any.dropna(subset=["above_any"])
    # No clip is recognised under any attack and not under one of them.
    assert (apart["above_any_low"] >= 0).all()
    assert (apart["above_any_low"] <= apart["above_any"]).all() and (
        apart["above_any"] <= apart["above_any_high"]
    ).all()
    assert set(under_any[under_any["attack"] == "any"]["attacks"]) == {"fgsm fgsm_ce pgd sum/fgsm"}
    assert under_any[under_any["attack"] != "any"]["attacks"].isna().all()


def test_an_attack_that_is_none_of_them_can_be_below_any(tmp_path: Path) -> None:
    """One that leaves its ball stands beside them: of four clips it leaves none, any attack one."""
    rows = [{**UNDER_ANY["rows"][0], "read": {**READ, "attack": "official"}}, UNDER_ANY["rows"][-1]]
    table = layout({**UNDER_ANY, "rows": rows, "any": [MEMBERS[0], MEMBERS[2]], "columns": SPEC["columns"][1:2]})
    left = {"fgsm": [0, 0, 1, 0], "pgd": [0, 1, 0, 0], "official": [1, 1, 1, 0]}
    paths = [write_cell(tmp_path, f"music/concat/0/{name}", LABELS, {AUDIO: said}) for name, said in left.items()]
    official, _ = measure(table, cells_of(paths), {}, scale="demo").itertuples()
    assert (official.above_any, official.above_any_low < -25) == (-25, True)


def test_a_difference_under_any_attack_is_of_the_same_attacks_on_both_sides() -> None:
    """RI of any attack subtracts what the undefended net has under any of them, its own gradients and the other's."""
    table = layout({**UNDER_ANY, "columns": SPEC["columns"]})
    (column,) = [one for one in table.columns if one.name == "RI"]
    weights = combination(table, column, table.rows[-1].place)
    found = {
        (one.surrogate, one.attack): weight
        for condition, weight in weights.items()
        if isinstance(condition, AnyOf) and condition.readings[0].condition.modality == "audio"
        for one in condition.readings
        if one.victim == "sum"
    }
    third = pytest.approx(-1 / 3)
    # The net whose gradients are transferred is attacked by its own: twice the same is once.
    assert found == {("sum", "fgsm"): third, ("sum", "fgsm_ce"): third, ("sum", "pgd"): third}


@pytest.mark.parametrize("row", [UNDER_ANY["rows"][0], UNDER_ANY["rows"][-1]])
def test_any_attack_of_no_list_is_refused(row: dict) -> None:
    """Of a row, and of a column alone, also where nothing is attacked."""
    condition = {"attack": "any", "modality": "clean", "budget": ""}
    columns = [{"name": "clean", "header": "clean", "condition": condition}]
    told = {**UNDER_ANY, "rows": [row], "any": [], "columns": columns}
    with pytest.raises(UserError, match="column 'clean': attack `any` needs a list `any:`"):
        list(needs(layout(told)))


def test_each_attack_of_any_is_needed_once() -> None:
    wanted = {(need.reading.surrogate, need.reading.victim, need.reading.attack) for need in needs(layout(UNDER_ANY))}
    assert wanted == {("concat", "concat", "fgsm"), ("concat", "concat", "pgd"), ("sum", "concat", "fgsm")}


def test_a_page_says_what_any_attack_is_and_how_far_each_is_from_it(under_any: pd.DataFrame) -> None:
    text = markdown(layout(UNDER_ANY), under_any)
    over = "FGSM; FGSM, cross-entropy; PGD; FGSM of Sum."
    assert f"Any attack: what is recognised under every one of these, in the same modality and strength: {over}" in text
    _, below = text.split("## Above any attack")
    assert "| dataset | attack | ✗A | ✗V | ✗AV | Avg. |" in below
    (line,) = [line for line in below.splitlines() if line.startswith("| MUSIC | transferred |")]
    shown = [cell.split(" [")[0].strip() for cell in line.strip("|").split("|")[2:]]
    assert shown == ["50.00", "25.00", "100.00", "58.33"]
    header, *_ = csv_of(under_any[columns(layout(UNDER_ANY))]).splitlines()
    assert "inside,above_any,above_any_low,above_any_high,attacks,n,seeds" in header
    assert "above_any" not in columns(layout(SPEC))


@pytest.mark.parametrize(
    ("source", "scale", "words"),
    [
        ("lists", "paper", ", 3 of 4 published values inside our interval"),
        ("lists", "demo", ", 4 published values not judged: of the paper's clips at scale `demo`"),
        ("render", "paper", ", 4 published values not judged: of rendered clips"),
        ("render", "demo", ", 4 published values not judged: of rendered clips"),
        ("local", "paper", ", 4 published values not judged: of the user's own clips"),
    ],
)
def test_only_the_papers_clips_at_its_scale_are_judged(cells: Cells, source: str, scale: str, words: str) -> None:
    """Of any others no entry says `inside`, though the published value and the difference stand beside it."""
    table = layout({**SPEC, "sources": {"music": source}})
    entries = measure(table, cells, PUBLISHED, scale=scale)
    judged = (source, scale) == ("lists", "paper")
    assert [*entries["inside"]][:5] == (["yes", "yes", "no", "", "yes"] if judged else [""] * 5)
    assert [*entries["difference"].dropna()] == [0, -0.5, -49, 3.33]
    assert compared(entries) == words
    assert ("these numbers are not comparable" in markdown(table, entries)) != judged


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(4)))
def test_order_of_cells_and_rows_changes_no_byte(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    table = layout(SPEC)
    paths = write_cells(tmp_path_factory.mktemp("cells"))
    plain = measure(table, cells_of(paths), PUBLISHED, scale="paper")
    mixed = measure(table, cells_of(paths[place] for place in order), PUBLISHED, scale="paper")
    assert csv_of(plain) == csv_of(mixed)


def test_a_column_is_a_weighted_sum_of_conditions() -> None:
    table = layout(SPEC)
    (column,) = [one for one in table.columns if one.name == "RI"]
    weights = {
        (reading.victim, reading.condition.modality): weight
        for reading, weight in combination(table, column, READ).items()
    }
    third = pytest.approx(1 / 3)
    assert weights == {("concat", "clean"): 1, ("sum", "clean"): -1} | {
        (variant, modality): third if variant == "concat" else pytest.approx(-1 / 3)
        for variant in ("concat", "sum")
        for modality in ("audio", "visual", "both")
    }
    assert set(combination(table, column, {**READ, "variant": "sum"}).values()) == {0.0}


def test_the_ends_belong_to_the_interval(cells: Cells) -> None:
    place = ("MUSIC", "FGSM", "AV_clean")

    def measured(value: float) -> tuple:
        published = {**PUBLISHED, place: Published(value, "")}
        (first, *_) = measure(layout(SPEC), cells, published, scale="paper").itertuples()
        return first

    whole = measured(75.0)
    for published, inside in ((whole.low, "yes"), (whole.high, "yes"), (whole.low - 0.01, "no"), (100.01, "no")):
        entry = measured(published)
        assert (entry.inside, entry.difference) == (inside, rounded(75 - published))


def test_rounding_has_no_negative_zero() -> None:
    assert str(rounded(-0.001)) == "0.0"
    assert rounded(12.345678) == 12.35


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"colums": []},
            "table: unknown colums; known are any, caption, citation, columns, keys, names, rows, same, sources, title",
        ),
        ({"columns": [{"condition": {}}]}, "column 1: name must be given"),
        ({"columns": [{"name": "Avg", "mean": ["X_A"]}]}, "column 'Avg': X_A is no column above it"),
        ({"columns": [SPEC["columns"][0]] * 2}, "column 'AV_clean': occurs twice"),
        (
            {"columns": [{"name": "X", "condition": {}, "measure": "X_A"}]},
            "column 'X': 'X_A' is none of accuracy, succ",
        ),
        ({"columns": [MEASURED[1], {"name": "Avg", "mean": ["recognised"]}]}, "column 'Avg': a ratio, success_if_rec"),
        ({"rows": [SPEC["rows"][0]] * 2}, "row 2: MUSIC FGSM occurs twice"),
        ({"rows": ["MUSIC"]}, "row 1: must be a JSON object, got 'MUSIC'"),
    ],
)
def test_mistakes_in_the_layout_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        layout({**SPEC, **change})


def test_incomplete_conditions_are_named(cells: Cells) -> None:
    columns = [{"name": "X", "condition": {"modality": "clean", "norm": 2}}]
    with pytest.raises(UserError, match=r"column 'X': unknown norm"):
        measure(layout({**SPEC, "columns": columns}), cells, {}, scale="paper")


def test_a_missing_published_value_is_an_error(cells: Cells) -> None:
    kept = {place: one for place, one in PUBLISHED.items() if place[-1] != "Avg"}
    with pytest.raises(UserError, match="no published value for MUSIC FGSM Avg"):
        measure(layout(SPEC), cells, kept, scale="paper")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,column,value,note\n", "the header must be dataset,attack,column,value,note"),
        ("dataset,attack,column,value,note\nA,B,C,1,\nA,B,C,2,\n", "A B C occurs twice"),
        ("dataset,attack,column,value,note\nA,B,C,one,\n", "'one', at A B C, is not a number"),
        ("dataset,attack,column,value,note\nA,B,C\n", "record 2: 3 fields, but the header has 5"),
        ("", "cannot be read"),
    ],
)
def test_mistakes_in_published_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_published(path, ["dataset", "attack"])


def test_stacked_columns_keep_each_tables_order(tmp_path: Path) -> None:
    assert merged_order([["dataset", "column", "note"], ["model", "attack", "column", "p", "note"]]) == [
        "dataset",
        "model",
        "attack",
        "column",
        "p",
        "note",
    ]
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("dataset,column,ours\nMUSIC,Avg,1.00\n")
    second.write_text('model,column,ours,note\nAcV,Avg,2.00,"a, b"\n')
    text = stack(["tian2021", "li2022"], [first, second])
    assert text == ('paper,dataset,model,column,ours,note\ntian2021,MUSIC,,Avg,1.00,\nli2022,,AcV,Avg,2.00,"a, b"\n')
    with pytest.raises(UserError, match="2 papers but 1 tables"):
        stack(["tian2021", "li2022"], [first])
    (tmp_path / "stacked.csv").write_text(text)
    with pytest.raises(UserError, match="has a column `paper` already"):
        stack(["tian2021"], [tmp_path / "stacked.csv"])


def program(name: str, *arguments: object) -> subprocess.CompletedProcess:
    return preloaded.program([SCRIPTS / name, *arguments])


def test_programs_from_cells_to_terminal(tmp_path: Path) -> None:
    published, tables = tmp_path / "published.csv", tmp_path / "paper_tables"
    published.write_text(
        "dataset,attack,column,value,note\n"
        + "".join(f"{','.join(place)},{one.value or ''},{one.note}\n" for place, one in PUBLISHED.items())
    )
    cells = write_cells(tmp_path / "cells")
    made = make("table", SPEC, tables / "paper/table9", cells=cells, published=[published])
    assert made.returncode == 0, made.stderr
    assert "14 entries, 4 published values not judged: of the paper's clips at scale `demo`" in made.stderr

    stacked = tables / "table9.csv"
    assert (
        make("stack", {"papers": ["tian2021"]}, tables / "table9", tables=[tables / "paper/table9.csv"]).returncode == 0
    )
    assert {row["paper"] for row in lines(stacked.read_text())} == {"tian2021"}

    (tables / "index.csv").write_text(
        "artefact,files,status,why\npaper/table9,paper/table9.csv paper/table9.md,done,\ntable9,table9.csv,done,\n"
    )
    shown = program("show.py", "--tables", tables)
    assert shown.returncode == 0, shown.stderr
    assert f"{tables}/paper/table9{{.csv,.md}}\n{stacked}\n" in shown.stdout
    assert "MUSIC    FGSM    75.00 (75.00)" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_users_mistake_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    made = make("table", SPEC, tmp_path / "t", cells=[tmp_path / "absent.parquet"])
    assert made.returncode == 1
    assert made.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in made.stderr
    assert list(tmp_path.iterdir()) == []
    empty = program("show.py", "--tables", tmp_path)
    assert empty.returncode == 1
    assert empty.stderr == f"error: {tmp_path}: holds no table and no figure yet; make them with `snakemake`\n"


def test_a_page_of_claims_shows_how_many_verdicts_there_are_and_about_what() -> None:
    text = "# Claims\n\n2 claims about rendered clips: 2 undecided. Scale `demo`.\n\nEffect of the weakest test.\n"
    shown = compact(text, width=80).splitlines()
    assert shown == ["Claims", "2 claims about rendered clips: 2 undecided. Scale `demo`."]


@given(st.integers(12, 200), st.integers(1, 12))
def test_terminal_tables_fit(width: int, rows: int) -> None:
    text = "# Title\n\n> **Warning.** Words that are long enough to be wrapped.\n\n| a | b |\n| --- | ---: |\n"
    text += "".join(f"| {'x' * number} | {number}.00 [0.00, 1.00] (2.00) |\n" for number in range(9))
    shown = compact(text, width=width, rows=rows).splitlines()
    assert max(map(len, shown)) <= width
    assert shown[0] == "Title"
    assert not any("[" in line for line in shown)
    assert ("…" in shown[-1]) or (rows >= 9 and shown[-1].endswith("8.00 (2.00)"))


def test_the_inventory_says_what_is_not_done_and_why(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(
        "artefact,files,status,why\nclaims,claims.csv,done,\npaper/table1,,failed,attack: no clips\n"
        "paper/figure5,paper/figure5.csv paper/figure5_measures.csv,skipped,not asked for\n"
    )
    assert inventory(tmp_path, listed(tmp_path)).splitlines() == [
        f"{tmp_path}/claims.csv",
        f"{tmp_path}/paper/table1  failed: attack: no clips",
        f"{tmp_path}/paper/figure5{{.csv,_measures.csv}}  skipped: not asked for",
    ]


def test_what_writes_tables_figures_and_claims_starts_without_all_of_scipys_statistics() -> None:
    """They take a second to load, at each start."""
    kinds = ("table", "ranking", "claims", "bars", "curves", "matrix", "scatter", "alternatives", "answers")
    loaded = ", ".join(f"avrobust.report.{kind}" for kind in kinds)
    code = f"import sys, {loaded}; print('scipy.stats' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    made = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert made.stdout == b"False\n", made.stderr
