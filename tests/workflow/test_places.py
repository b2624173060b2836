"""A dataset of another source than the scale's has a place of its own, and no job looks for it in the other."""

import re
from pathlib import Path

from planning import copy_project, plan, snakemake, unedited


def own(tmp_path: Path) -> dict:
    """Return a user's own clips of MUSIC's classes, 16 of each split."""
    table = tmp_path / "clips.csv"
    splits = ("train", "val", "test")
    rows = [f"{split}{number},x.mp4,{number % 2},{split}\n" for split in splits for number in range(16)]
    table.write_text("clip_id,path,label,split\n" + "".join(rows), encoding="utf-8")
    return {"source": "local", "table": str(table), "folder": "/media", "classes": "table"}


def test_each_dataset_has_one_place(tmp_path: Path) -> None:
    made = plan(unedited(), datasets={"music": own(tmp_path), "ave": {"source": "lists"}})
    patterns = made.wildcard_patterns
    path = re.compile(f"results/({patterns['scale']})/data/({patterns['dataset']})/manifest.csv")
    places = {"music": "demo/local", "ave": "demo/lists", "kinetics_sounds": "demo"}
    for dataset, right in places.items():
        assert made.data.place(dataset) == f"results/{right}"
        taken = [one for one in places.values() if path.fullmatch(f"results/{one}/data/{dataset}/manifest.csv")]
        assert taken == [right]
    assert re.fullmatch(
        f"results/({patterns['scale']})/tables/tian2021/table1.csv", "results/demo/tables/tian2021/table1.csv"
    )
    assert plan(unedited()).wildcard_patterns["scale"] == "demo"
    assert plan(unedited(), scale="paper").data.place("ave") == "results/paper"


def test_no_job_mixes_a_users_clips_with_others(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "project")
    told = "datasets={music: {" + ", ".join(f"{key}: {value}" for key, value in own(tmp_path).items()) + "}}"
    run = snakemake(root, "-n", "--config", told, "--", "all")
    assert run.status == 0, run.text
    files = {path for job in run.jobs for path in (*job.input, *job.output)}
    kinds = {"data", "models", "cells", "localisation", "embeddings"}
    for kind in kinds:
        assert any(path.startswith(f"results/demo/local/{kind}/music/") for path in files), kind
        assert any(path.startswith(f"results/demo/{kind}/ave/") for path in files) or kind == "embeddings"
    assert [path for path in files if re.search(r"/music/", path) and not path.startswith("results/demo/local/")] == []
    assert [path for path in files if re.match("results/demo/local/", path) and "/music/" not in path] == []
