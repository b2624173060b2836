"""What ranks clips asks for: logits in cells, a file of measures for each, and clips of several labels."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from planning import copy_project, paper, plan, snakemake, unedited, write_paper

from avrobust import parquet
from avrobust.metrics.schema import in_order, schema_of
from avrobust.spec.conditions import Condition
from lib.plan import Plan
from lib.settings import SettingsError

ROWS = {"dataset": "music", "variant": "concat", "attack": "pgd", "budget": "small", "modality": ["clean", "audio"]}


def ranking(**changes: object) -> dict:
    told = {"kind": "ranking", "title": "Ranked", "caption": "", "keys": ["defence", "attack", "modality"]}
    told |= {"rows": ROWS | {"ours_only": True}, "columns": {"mAP": "map*", "Acc": "top1*"}}
    return told | changes


def root_with(folder: Path, artefacts: dict, **changes: object) -> Path:
    """A project whose paper has these artefacts alone, beside what `changes` says, and no claims."""
    root = copy_project(folder)
    told = paper(unedited()) | {"artefacts": artefacts, "claims": []}
    told["labels"]["modality"] = {"clean": "No", "audio": "Yes"}
    write_paper(root, told | changes)
    return root


def cells_of(made: Plan, dataset: str, bundle: str) -> dict[str, dict]:
    told = made.attack.told(SimpleNamespace(dataset=dataset, bundle=bundle, seed="1234"))
    return {cell["attack"]: cell for cell in json.loads(told["cells"])}


def test_what_ranks_clips_of_one_label_makes_their_cells_hold_logits_and_no_other(tmp_path: Path) -> None:
    root = root_with(tmp_path, {"table1": paper(unedited())["artefacts"]["table1"], "table9": ranking()})
    made = plan(root)
    assert made.grid.ranked == {("music", "concat", "pgd")}
    (bundle,) = (name for (dataset, name), keys in made.attack.bundles.items() if ("music", "concat", "pgd") in keys)
    cells = cells_of(made, "music", bundle)
    assert cells["pgd"]["ranked"] is True and not any("ranked" in cells[name] for name in cells.keys() - {"pgd"})
    read = made.tables.read("metrics")(SimpleNamespace(artefact="tian2021/table9"))
    assert read == [f"results/demo/metrics/music/s1234/{bundle}.parquet"]
    assert made.tables.read("cells")(SimpleNamespace(artefact="tian2021/table9")) == []
    planned = snakemake(root, "-n", "--", "paper_tables/tian2021/table9.csv")
    assert planned.counts["rank"] == 1 and planned.counts["ranking"] == 1


def write_cell(path: Path, labels: list[int], logits: np.ndarray) -> None:
    """Write concat's cell under PGD: clean logits, and under attack those of other clips."""
    schema, tables = schema_of("single", ranked=True), []
    for modality, budget, answers in (("clean", "", logits), ("audio", "small", logits[::-1])):
        said = {"surrogate": "concat", "victim": "concat", "attack": "pgd", "modality": modality, "budget": budget}
        columns = {name: [said.get(name, 0.0)] * len(labels) for name in schema.names}
        columns |= {"steps": [None] * len(labels), "form": ["float"] * len(labels), "label": labels}
        columns |= {"clip_id": [f"clip{number}" for number in range(len(labels))], "logits": answers.tolist()}
        tables.append(parquet.table(schema, columns | {"prediction": answers.argmax(axis=1).tolist()}))
    path.parent.mkdir(parents=True)
    pq.write_table(in_order(tables).replace_schema_metadata({"dataset": "music", "seed": "1234"}), path)


def test_the_real_snakemake_ranks_a_finished_cell_and_makes_its_table(tmp_path: Path) -> None:
    """Of a cell by hand: no job before these two may run, and there is nothing else to run them from."""
    root = root_with(tmp_path, {"table9": ranking()})
    labels = [number % 4 for number in range(20)]
    logits = 3.0 * np.eye(4)[labels] + np.random.default_rng(0).normal(size=(20, 4))
    (bundle,) = (name for (_, name), keys in plan(root).attack.bundles.items() if ("music", "concat", "pgd") in keys)
    write_cell(root / f"results/demo/cells/music/s1234/{bundle}.parquet", labels, logits)
    table = "results/demo/tables/tian2021/table9.csv"
    run = snakemake(root, "--cores", "1", "--allowed-rules", "rank", "ranking", "--", table)
    assert run.status == 0, run.text
    with (root / table).open(encoding="utf-8", newline="") as stream:
        lines = {(line["modality"], line["column"]): line for line in csv.DictReader(stream)}
    right = 100 * (logits.argmax(axis=1) == labels).mean()
    assert lines["No", "Acc"]["ours"] == f"{right:.2f}" and lines["No", "Acc"]["unit"] == "percent"
    assert float(lines["Yes", "mAP"]["ours"]) < float(lines["No", "mAP"]["ours"])
    said = json.loads((root / f"results/demo/metrics/music/s1234/{bundle}.json").read_text(encoding="utf-8"))
    assert said["task"] == "single" and said["code"]
    assert (
        "nothing to be done"
        in snakemake(root, "--cores", "1", "--allowed-rules", "rank", "ranking", "--", table).text.lower()
    )


def test_a_cell_that_nothing_ranks_is_told_the_very_same_as_before(tmp_path: Path) -> None:
    """So that no cell is made anew because others can be ranked."""
    made = plan(unedited())
    assert not made.grid.ranked
    told = [
        made.attack.told(SimpleNamespace(dataset=dataset, bundle=name, seed="1"))
        for dataset, name in made.attack.bundles
    ]
    assert not any("ranked" in cell for one in told for cell in json.loads(one["cells"]))


def test_clips_of_several_labels_are_ranked_and_no_right_answers_of_them_counted(tmp_path: Path) -> None:
    told = ranking(rows=ROWS | {"dataset": "ave", "ours_only": True})
    variants = paper(unedited())["variants"]
    root = root_with(tmp_path, {"table9": told})
    for name in ("ave", "music", "kinetics_sounds"):
        file = root / f"workflow/datasets/{name}.yaml"
        file.write_text(f"{file.read_text()}task: multiple\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"artefacts.table9: ave has several labels a clip, of which none is the"):
        plan(root)
    told["columns"] = {"mAP": "map*"}
    entropy = {"objective": {"name": "binary_cross_entropy"}}
    variants = {name: {k: v for k, v in of.items() if k != "search"} | entropy for name, of in variants.items()}
    write_paper(root, paper(root) | {"artefacts": {"table9": told}, "variants": variants})
    made = plan(root)
    (bundle,) = (name for dataset, name in made.attack.bundles)
    assert made.analysis.rankings == [f"results/demo/metrics/ave/s1234/{bundle}.parquet"]
    # They hold logits anyway, and no file is asked about whether an answer is right.
    assert "ranked" not in cells_of(made, "ave", bundle)["pgd"] and not made.grid.filed
    assert "tian2021/realisable" not in made.tables.artefacts


def test_claims_read_rankings_and_the_classes_of_nets(tmp_path: Path) -> None:
    root = root_with(tmp_path, {})
    told = {"name": "one", "section": "5", "sentence": "It is so.", "datasets": ["music"]}
    tests = [
        "concat/pgd.map_drop[audio]@small > 0.1",
        "0 > concat/pgd.spearman_kappa[audio]@small",
        "sum.kappa > concat.kappa",
    ]
    write_paper(root, paper(root) | {"claims": [told | {"tests": tests}]})
    made = plan(root)
    wildcards = SimpleNamespace(artefact="tian2021/claims")
    (metrics,) = made.tables.read("metrics")(wildcards)
    assert metrics.startswith("results/demo/metrics/music/s1234/")
    assert sorted(made.tables.read("geometry")(wildcards)) == [
        f"results/demo/geometry/music/{net}/s1234.parquet" for net in ("concat", "sum")
    ]
    assert made.grid.cells["music", "concat", "pgd"]["concat"] == {Condition("audio", "small")}
    write_paper(root, paper(root) | {"claims": [told | {"tests": "concat/pgd.map@small > concat/pgd.accuracy@small"}]})
    with pytest.raises(SettingsError, match=r"claims.yaml: claims: claim one: .* one kind of measure"):
        plan(root)


def test_a_claim_of_selected_classes_is_told_how_the_training_chooses_them(tmp_path: Path) -> None:
    root = root_with(tmp_path, {})
    told = paper(root)
    mixing = {"name": "selected_mixup", "options": {"geometry": "concat", "tau": 80, "probability": 0.3}}
    told["variants"]["concat_selected"] = told["variants"]["concat"] | {"prepare": mixing}
    claim = {"name": "one", "section": "6", "sentence": "It is so.", "datasets": ["music"]}
    test = "concat_selected.kappa_selected > sum.kappa_selected"
    write_paper(root, told | {"claims": [claim | {"tests": test}]})
    made = plan(root)
    selections = made.tables.artefacts["tian2021/claims"].spec["selections"]
    assert selections["music/concat_selected"] == {"geometry": "concat", "tau": 80}
    nets = {
        Path(file).parent.name for file in made.tables.read("geometry")(SimpleNamespace(artefact="tian2021/claims"))
    }
    assert nets == {"concat_selected", "sum", "concat"}
