"""Tables of ranked clips: the short form of Table 1 of Li et al., what is printed there, entries, notes, the stack."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from artefacts import make
from cell_files import CLEAN, rank, write_ranked_cell
from scipy.stats import norm

from avrobust.metrics.ranked import Ranked
from avrobust.program import UserError
from avrobust.report.ranking import _cell, belongs, measure
from avrobust.report.stack import stack
from avrobust.spec import notation
from avrobust.spec.artefacts.ranking import RANKING
from avrobust.spec.kind import CELLS, METRICS
from avrobust.spec.published import read_published

PUBLISHED = Path(__file__).parents[2] / "workflow/papers/li2022/published"
LABELS = {
    "model": {"of": "variant", "csn": "Audio UniModal (PANNS)", "mid_fusion": "Mid Fusion"},
    "attack": {"released": "released, on the test", "projected": "projected, on the test"},
    "modality": {"clean": "No", "audio": "Yes A-only", "visual": "Yes V-only", "both": "Yes A+V"},
    "dataset": {"audioset_balanced": "AudioSet (balanced)"},
}
TOLD = {
    "kind": "ranking",
    "title": "Table 1. AudioSet",
    "caption": "eps",
    "keys": ["model", "attack", "modality"],
    "rows": {
        "dataset": "audioset_balanced",
        "budget": "small",
        "attack": ["released", "projected"],
        "rows": [
            {"variant": "csn", "modality": ["clean", "audio"]},
            {"variant": "mid_fusion", "modality": ["clean", "both"]},
        ],
    },
    "printed": {"attack": "released"},
    "columns": {"mAP": "map", "AUC": "auc", "d-prime": "d_prime", "mAP_drop": "map_drop*", "norm_audio": "norm_audio*"},
}
BOTH, AUDIO = ("both", "small"), ("audio", "small")


def expanded(**changes: object) -> dict:
    return notation.artefacts({"table1": TOLD | changes}, LABELS)["table1"]["spec"]


def test_the_short_form_stands_for_rows_of_which_some_are_printed() -> None:
    """Clean clips are the same under every attack, and stand there once, beside the first."""
    spec = expanded()
    rows = [(*row["keys"].values(), row.get("ours_only", False)) for row in spec["rows"]]
    assert rows == [
        ("Audio UniModal (PANNS)", "none", "No", False),
        ("Audio UniModal (PANNS)", "released, on the test", "Yes A-only", False),
        ("Mid Fusion", "none", "No", False),
        ("Mid Fusion", "released, on the test", "Yes A+V", False),
        ("Audio UniModal (PANNS)", "projected, on the test", "Yes A-only", True),
        ("Mid Fusion", "projected, on the test", "Yes A+V", True),
    ]
    assert spec["columns"][3] == {"name": "mAP_drop", "measure": "map_drop", "ours_only": True}
    layout = RANKING.parse(spec)
    assert layout.printed_keys == ["model", "modality"]
    needs = list(RANKING.needs(layout))
    assert {need.family for need in needs} == {METRICS} and len(needs) == 6
    # Answers are right or wrong where clips have one label: the plan then refuses a dataset of several.
    accuracy = RANKING.parse(expanded(columns={"Acc": "top1"}))
    assert {need.family for need in RANKING.needs(accuracy)} == {METRICS, CELLS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"printed": {"loss": "x"}}, "printed: 'loss' is none of keys: model, attack, modality"),
        (
            {"rows": {"dataset": "d", "variant": "csn", "attack": "released"}},
            r"row 1 \(dataset d, variant csn, attack released\): modality must be given$",
        ),
        (
            {"rows": {"dataset": "d", "attack": "mine", "modality": "audio"}},
            r"\(.*attack mine.*\): surrogate, victim must be given; `variant` is short for surrogate and victim$",
        ),
    ],
)
def test_mistakes_in_the_short_form_are_named(changes: dict, message: str) -> None:
    with pytest.raises(notation.NotationError, match=message):
        expanded(**changes)


def test_mistakes_in_the_layout_are_named() -> None:
    with pytest.raises(UserError, match="column 'mAP': 'success' is none of map, auc, d_prime"):
        RANKING.parse(expanded(columns={"mAP": "success"}))
    spec = expanded()
    del spec["rows"][1]["read"]["budget"]
    with pytest.raises(UserError, match="row 2: modality audio needs a budget"):
        RANKING.parse(spec)
    spec = expanded()
    spec["rows"].append(spec["rows"][0])
    with pytest.raises(UserError, match=r"row 7: Audio UniModal \(PANNS\) none No occurs twice"):
        RANKING.parse(spec)


def test_the_printed_tables_are_whole_and_the_d_primes_that_do_not_fit_are_found() -> None:
    """Table 1: every attacked row of a fused net, and just so the clean one of adversarial training."""
    table1 = read_published(PUBLISHED / "table1.csv", ["model", "modality"])
    assert len(table1) == 10 * 3
    rows = dict.fromkeys(place[:-1] for place in table1)
    far = {row: belongs(table1[*row, "AUC"].value, table1[*row, "d-prime"].value) for row in rows}
    fused = [row for row in rows if row[0] != "Audio UniModal (PANNS)" and row[1] != "No"]
    assert {row for row, of in far.items() if of} == {*fused, ("Mid Fusion AT", "No")} and len(fused) == 5
    assert far["Mid Fusion", "Yes A+V"] == pytest.approx(1.836 - 2**0.5 * norm.ppf(0.889))
    # As facts of the paper were worked out: AUC of .903, .958, .946, .920 and .906 would go with the printed d'.
    areas = {row: norm.cdf(table1[*row, "d-prime"].value / 2**0.5) for row in fused}
    assert [round(area, 3) for area in areas.values()] == [0.903, 0.958, 0.946, 0.920, 0.906]
    drops = {row: 1 - table1[*row, "mAP"].value / table1[row[0], "No", "mAP"].value for row in rows if row[1] != "No"}
    assert [round(100 * drop, 1) for drop in drops.values()] == [52.2, 57.4, 20.6, 27.4, 44.8, 49.9]
    table2 = read_published(PUBLISHED / "table2.csv", ["model", "modality"])
    assert len(table2) == 6 * 3
    rows = dict.fromkeys(place[:-1] for place in table2)
    odd = [row for row in rows if table2[*row, "AUC"].value < table2[*row, "mAP"].value]
    assert odd == [("Mid Fusion mixup", "Yes A+V")] and "exchanged" in table2[*odd[0], "AUC"].note


def test_what_rounding_may_make_of_a_d_prime_is_let_pass() -> None:
    d = 2**0.5 * norm.ppf(0.9634)
    assert belongs(0.963, round(d, 3)) == 0.0
    assert belongs(0.963, round(d, 3) + 0.02) == pytest.approx(round(d, 3) + 0.02 - 2**0.5 * norm.ppf(0.963))


@pytest.fixture
def metrics(tmp_path: Path) -> list[Path]:
    """Two nets under two attacks: 40 clips, of which none has class 4."""
    generator = np.random.default_rng(0)
    targets = generator.random((40, 5)) < 0.3
    targets[:, 4] = False
    labels = [np.flatnonzero(of).tolist() for of in targets]
    clean = (generator.normal(size=targets.shape) + 2 * targets).astype(np.float32)
    files = []
    for net, modality in (("csn", AUDIO), ("mid_fusion", BOTH)):
        for attack, strength in (("released", 1.5), ("projected", 0.5)):
            attacked = (clean - strength * targets).astype(np.float32)
            moved = {modality: {"norm_audio": 2.0, "norm_visual": 2.0, "clip_norm_audio": 40, "clip_norm_visual": 6.3}}
            name = f"audioset_balanced/{net}/1/{attack}"
            files.append(write_ranked_cell(tmp_path, name, labels, {CLEAN: clean, modality: attacked}, norms=moved))
    return [rank(file) for file in files]


def made(folder: Path, metrics: list[Path], **facts: object) -> tuple[list[dict], str]:
    """The lines of the table, and its page."""
    labels = {"dataset": LABELS["dataset"]}
    spec = expanded() | {"citation": "Li et al.", "labels": labels, **facts}
    run = make("ranking", spec, folder / "table1", metrics=metrics, published=[PUBLISHED / "table1.csv"])
    assert run.returncode == 0, run.stderr
    return lines((folder / "table1.csv").read_text()), (folder / "table1.md").read_text()


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_entries_have_intervals_printed_values_and_what_is_to_be_known_of_them(tmp_path: Path, metrics: list) -> None:
    found, page = made(tmp_path, metrics, sources={"audioset_balanced": "render"})
    by_place = {(line["model"], line["attack"], line["modality"], line["column"]): line for line in found}
    assert len(by_place) == 6 * 5
    attacked = by_place["Mid Fusion", "released, on the test", "Yes A+V", "mAP"]
    clean = by_place["Mid Fusion", "none", "No", "mAP"]
    assert attacked["published"] == "0.182" and attacked["inside"] == "" and attacked["unit"] == "score"
    assert attacked["difference"] == f"{float(attacked['ours']) - 0.182:.3f}"
    assert float(attacked["low"]) < float(attacked["ours"]) < float(attacked["high"]) < float(clean["ours"])
    drop = by_place["Mid Fusion", "released, on the test", "Yes A+V", "mAP_drop"]
    assert float(drop["ours"]) == pytest.approx(1 - float(attacked["ours"]) / float(clean["ours"]), abs=0.002)
    d, area = (by_place["Mid Fusion", "released, on the test", "Yes A+V", name] for name in ("d-prime", "AUC"))
    assert float(d["ours"]) == pytest.approx(2**0.5 * norm.ppf(float(area["ours"])), abs=0.005)
    assert by_place["Audio UniModal (PANNS)", "projected, on the test", "Yes A-only", "mAP"]["published"] == ""
    assert by_place["Mid Fusion", "released, on the test", "Yes A+V", "norm_audio"]["ours"] == "2.000"
    note = d["note"]
    assert note.startswith("the printed d' is 0.109 above 1.727, that of the printed AUC of 0.889; ")
    assert "clips of AudioSet (balanced); means of 4 of 5 classes: of each other one no clip is, or every one" in note
    assert note.endswith("the joint attack has the budget of each modality, together more than one alone")
    assert "joint" not in by_place["Audio UniModal (PANNS)", "released, on the test", "Yes A-only", "mAP"]["note"]
    assert "| Mid Fusion | released, on the test | Yes A+V | " in page and "(0.182)" in page
    assert "- all rows: clips of AudioSet (balanced)" in page
    assert "- modality Yes A+V: the joint attack has the budget of each modality" in page
    assert "- Mid Fusion, released, on the test, Yes A+V, d-prime: the printed d' is 0.109 above 1.727" in page
    assert "Not the paper's data" in page


def test_a_page_says_that_clips_are_a_part_of_the_papers_and_by_what_else_classes_are_mixed(
    tmp_path: Path, metrics: list
) -> None:
    sizes = {"mid_fusion": {"densest": [0.5, 0.2]}, "other": {"steps": [1, 2]}}
    sizes["audioset_balanced"] = {"extractor_weights": ["drawn by a seed", "kinetics400"]}
    _, page = made(tmp_path, metrics, sources={"audioset_balanced": "part"}, sizes=sizes)
    assert "The clips are a part of the paper's: these numbers are not comparable with the published ones." in page
    drawn = "extractor weights drawn by a seed (kinetics400) of AudioSet (balanced)"
    assert f"Sizes here (the paper's): densest 0.5 (0.2) of mix-up; {drawn}.\n" in page


def test_a_note_names_the_norms_of_the_tables_columns_that_are_larger_in_one_clip(metrics: list, monkeypatch) -> None:
    monkeypatch.setattr(Ranked, "largest", lambda self, norm, reading: 41.0)
    layout = RANKING.parse(expanded(columns={"AUC": "auc*", "of clip": "clip_norm_audio*"}))
    said = measure(layout, Ranked(metrics), {}, scale="demo").drop_duplicates("said")["said"]
    norms = {note for of_row in said for note in of_row.split("; ") if "norm" in note}
    assert norms == {"clip_norm_audio is 41.000 in one clip"}
    assert said.str.contains("norm").tolist() == [False, True, True]  # clean clips moved by nothing


def test_two_papers_stand_below_each_other_though_their_keys_differ(tmp_path: Path, metrics: list) -> None:
    _, _ = made(tmp_path, metrics)
    other = tmp_path / "tian.csv"
    other.write_text("dataset,attack,column,unit,published,ours,note\nMUSIC,FGSM,X_A,percent,50.00,48.00,\n")
    stacked = lines(stack(["tian2021", "li2022"], [other, tmp_path / "table1.csv"]))
    assert list(stacked[0])[:6] == ["paper", "dataset", "model", "attack", "modality", "column"]
    assert [line["paper"] for line in stacked].count("li2022") == 30
    assert stacked[0]["attack"] == "FGSM" and stacked[0]["model"] == ""


@pytest.mark.parametrize(
    ("source", "scale", "judged"),
    [("lists", "paper", 12), ("lists", "demo", 0), ("render", "paper", 0), ("part", "paper", 0)],
)
def test_only_the_papers_own_clips_at_its_scale_are_judged(metrics: list, source: str, scale: str, judged: int) -> None:
    layout = RANKING.parse(expanded() | {"sources": {"audioset_balanced": source}})
    published = read_published(PUBLISHED / "table1.csv", layout.printed_keys)
    entries = measure(layout, Ranked(metrics), published, scale=scale)
    assert (entries["inside"] != "").sum() == judged
    assert set(entries["inside"][entries["published"].isna()]) == {""}


def test_a_missing_published_value_and_a_missing_cell_are_named(tmp_path: Path, metrics: list) -> None:
    spec = json.loads(json.dumps(expanded()).replace("Mid Fusion", "Fusion"))
    run = make("ranking", spec, tmp_path / "table1", metrics=metrics, published=[PUBLISHED / "table1.csv"])
    assert run.returncode == 1 and "no published value for Fusion No mAP: spell it as in the published" in run.stderr
    run = make("ranking", expanded(), tmp_path / "table1", metrics=metrics[:2], published=[PUBLISHED / "table1.csv"])
    assert run.returncode == 1 and "no ranking of audioset_balanced/mid_fusion/released among those" in run.stderr


def test_a_value_without_an_interval_stands_alone() -> None:
    """As d' of an area of 1."""
    entry = {"ours": "inf", "low": "", "high": "", "published": ""}
    assert _cell(entry) == "inf" and _cell({**entry, "published": "2.1"}) == "inf (2.1)"
    assert _cell({"ours": "2.0", "low": "1.9", "high": "2.2", "published": ""}) == "2.0 [1.9, 2.2]"
