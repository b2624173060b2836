"""All that docs/extending.md adds, typed into a finished project: only what is new is made, and comes to numbers."""

import csv
import io
import json
from dataclasses import replace

import yaml
from extending_page import ADDITIONS, VARIANTS, Block, sections, type_in
from project import CLASSES, CLIPS, Project

# Rows of the tests' paper stand one by one: what those of the page inherit there.
INHERITED = {
    "artefacts.table1.rows.rows": "dataset: music, variant: concat",
    "artefacts.table3.rows.rows": "dataset: music",
}
NETS = ("concat_noise", "concat_small", "concat_shortened", "mine")
TESTED = CLASSES * CLIPS["test"]


def fitting(project: Project, block: Block) -> Block:
    """Return a block for the tests' scale and paper, whose file has no anchors."""
    if block.file == "workflow/scales/demo.yaml":
        return replace(block, file="workflow/scales/tiny.yaml")
    if block.under in INHERITED:
        row = block.text.removeprefix("- ").strip()
        text = f"- {{{INHERITED[block.under]}, rows: [{row}]}}\n"
        return replace(block, under=block.under.removesuffix(".rows"), text=text)
    if block.file == VARIANTS:
        variants = yaml.safe_load((project.root / VARIANTS).read_text(encoding="utf-8"))["variants"]
        return replace(block, text=block.text.replace("*concat", json.dumps(variants["concat"])))
    return block


def rows_of(project: Project, name: str) -> list[dict[str, str]]:
    """Return the rows of a published CSV."""
    return list(csv.DictReader(io.StringIO((project.published / name).read_text(encoding="utf-8"))))


def test_only_what_is_new_is_made_and_comes_to_numbers(finished_copy: Project) -> None:
    project, page = finished_copy, sections()
    before = project.published_bytes()
    for name in ADDITIONS:
        for block in page[name]:
            type_in(project.root, fitting(project, block))

    planned = project.plan()
    made = {name: rule for name, rule in planned.items() if rule not in ("publish", "all")}
    cells = {f"cells/music/s1234/{net}.fgsm.parquet" for net in NETS}
    cells |= {"cells/music/s1234/concat.mine.parquet", "cells/bells/s1234/concat.fgsm.parquet"}
    # Any attack: what the new nets answer, too (all that reads it comes out as it was), by cross-entropy alone where
    # they were trained by something else, and past what their features pass.
    cells |= {
        f"cells/music/s1234/{cell}.parquet"
        for cell in ("concat.fgsm", "concat_small.fgsm_ce", "concat_shortened.fgsm_bypass")
    }
    assert made == {
        "data/bells/manifest.csv": "render",
        **dict.fromkeys(("data/bells/shards/0000.arrow", "data/bells/shards/0001.arrow"), "pack"),
        "data/bells/availability.csv": "availability",
        **{f"models/music/{net}/s1234/model.pt": "train" for net in NETS},
        "models/bells/concat/s1234/model.pt": "train",
        **dict.fromkeys(cells, "attack"),
        **{f"tables/tian2021/{name}.csv": "table" for name in ("table1", "table2", "table3", "controls")},
        **{
            f"tables/{name}.csv": "stack" for name in ("table1", "table2", "table3", "controls", "claims", "realisable")
        },
        "tables/tian2021/realisable.csv": "realisable",
        "tables/tian2021/claims.csv": "claims",
        "tables/tian2021/figure3.svg": "sweep",
        "tables/tian2021/table9.csv": "counts",
        "tables/tian2021/figure9.svg": "sweep",
        "tables/availability.csv": "attrition",
        "tables/checks.csv": "checks",
    }

    project.make("all")
    after = project.published_bytes()
    changed = {name for name in after if after[name] != before.get(name)}
    tables = {f"{place}{name}.csv" for name in ("table1", "table3", "realisable") for place in ("", "tian2021/")}
    figure = {f"tian2021/figure9.{suffix}" for suffix in ("csv", "png", "svg")}
    added = figure | {"tian2021/table9.csv"}
    assert after.keys() - before.keys() == added
    pages = {f"tian2021/{name}.md" for name in ("table1", "table3", "realisable")}
    assert changed == tables | added | pages | {"availability.csv", "checks.csv"}

    attacked = [row for row in rows_of(project, "tian2021/table1.csv") if row["attack"] == "Mine"]
    defended = [
        row
        for row in rows_of(project, "tian2021/table3.csv")
        if row["defence"] in ("Noise", "Small features", "Shortened", "Mine")
    ]
    assert (len({row["column"] for row in attacked}), len({row["defence"] for row in defended})) == (8, 4)
    for row in attacked + defended:
        assert float(row["low"]) <= float(row["ours"]) <= float(row["high"]), row
        assert row["n"] == str(TESTED)
    (counted,) = rows_of(project, "tian2021/table9.csv")
    clean = next(row for row in rows_of(project, "tian2021/table1.csv") if row["column"] == "AV_clean")
    assert float(counted["recognised"]) / TESTED == float(clean["ours"]) / 100
    bells = rows_of(project, "tian2021/figure9.csv")
    assert [float(row["epsilon"]) for row in bells] == [0, 0.006, 0.012]
    assert all(0 <= float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) <= 100 for row in bells)
    # What stands in a net's file: the parts and the training that the page adds.
    nets = {net: json.loads((project.results / f"models/music/{net}/s1234/train.json").read_text()) for net in NETS}
    assert nets["concat_noise"]["recipe"]["prepare"] == {"name": "noise", "options": {"deviation": 0.02}}
    assert nets["concat_small"]["objective"] == {"name": "small_features", "options": {"weight": 0.1}}
    assert nets["concat_shortened"]["model"]["defence"] == {"name": "shortened", "options": {"longest": 3}}
    parts = {part: nets["mine"]["model"][part]["name"] for part in ("fusion", "head", "audio")}
    assert parts == {"fusion": "largest", "head": "two_layers", "audio": "loudness"}
    assert project.plan() == {}
