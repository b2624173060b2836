"""Results that were made with other code or versions are told of, and only they."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from planning import ROOT, copy_project, snakemake

from lib import versions
from lib.versions import made_with

TORCH, NUMPY = version("torch"), version("numpy")


def wrote(results: Path, name: str, versions: dict | None) -> None:
    path = results / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({} if versions is None else {"versions": versions}))


def mixture(results: Path, environment: Path | None = None) -> list[str]:
    return versions.mixture(results, made_with(results), environment)


def test_a_run_says_how_many_results_are_of_another_torch_and_how_to_make_them_anew(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    results = root / "results/demo"
    for seed in (1, 2):
        wrote(results, f"models/music/concat/s{seed}/train.json", {"python": "3.11.1", "torch": "1.13.1+cu117"})
    wrote(results, "models/music/audio/s1/train.json", {"torch": TORCH.split("+")[0] + "+cpu", "numpy": NUMPY})
    wrote(results, "cells/music/s1/concat.fgsm.json", {"torch": "1.13.1"})
    wrote(results, "localisation/music/localisation/s1/fgsm.json", {"torch": TORCH, "numpy": "1.0"})
    said = [
        f"warning: results in results/demo that were made with {name} {other}: {number}; installed now is {now}; they "
        f"stay beside new ones unless you make them anew: snakemake --config scale=demo --forcerun {rules} -- all"
        for name, other, number, now, rules in (
            ("numpy", "1.0", 1, NUMPY, "localise"),
            ("torch", "1.13.1", 3, TORCH.split("+")[0], "train attack"),
        )
    ]
    assert mixture(results) == said
    run = snakemake(root, "-n", "results/demo/data/ave/manifest.csv")
    assert run.status == 0, run.text
    assert [line for line in run.text.splitlines() if line.startswith("warning: ")] == said


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("calibrate", "budgets/calibrated_provenance.json"),
        ("geometry", "geometry/music/concat/s1.json"),
        ("geometry", "local/geometry/music/concat/s1.json"),
        ("craft", "crafting/music/concat/s1.json"),
        ("features", "features/music/windows/0000_provenance.json"),
    ],
)
def test_what_trainings_and_attacks_read_is_looked_at_too(tmp_path: Path, rule: str, name: str) -> None:
    results = tmp_path / "results/demo"
    wrote(results, name, {"torch": "1.13.1"})
    (said,) = mixture(results)
    assert "torch 1.13.1: 1; " in said and said.endswith(f"--forcerun {rule} -- all")


# Those of data have results in which no such version counts.
RULE_FILES = ("features", "train", "attack", "analysis")


def test_every_rule_that_writes_its_versions_down_is_looked_at() -> None:
    rules = "".join((ROOT / f"workflow/rules/{name}.smk").read_text() for name in RULE_FILES)
    written = {
        re.sub(r"\{+\w+\}+", "*", name).removeprefix("results/*/")
        for name in re.findall(r'provenance=f?"(\S+\.json)"', rules)
    }
    # The rule of what looks into nets is of two families.
    patterns = {re.sub("^(localisation|embeddings)/", "*/", one) for one in versions.PROVENANCE.values()}
    assert written == patterns


def test_the_same_versions_and_what_is_damaged_are_no_news(tmp_path: Path) -> None:
    results = tmp_path / "results/demo"
    assert mixture(results) == []
    wrote(results, "models/music/concat/s1/train.json", {"torch": TORCH, "numpy": NUMPY})
    wrote(results, "models/music/sum/s1/train.json", None)
    (results / "models/music/concat/search_provenance.json").write_text("[half a fi")
    assert mixture(results) == []


def test_what_is_not_installed_beside_snakemake_is_compared_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--sdm conda` torch is in the environment of the rules alone."""
    results = tmp_path / "results/demo"
    wrote(results, "models/music/concat/s1/train.json", {"torch": "1.0", "numpy": NUMPY, "no-such-package": "1.0"})
    monkeypatch.setattr(versions, "PACKAGES", ("no-such-package", "numpy"))
    assert mixture(results) == []


def test_in_environments_of_condas_what_they_are_made_of_counts(tmp_path: Path) -> None:
    results, environment = tmp_path / "results/demo", tmp_path / "environment.yaml"
    environment.write_text("dependencies:\n  - pip:\n      - torch==9.1.0\n      - torchvision==9.2.0\n")
    wrote(results, "models/music/concat/s1/train.json", {"torch": "9.1.0+cpu", "numpy": "1.0"})
    wrote(results, "models/music/sum/s1/train.json", {"torch": TORCH, "numpy": NUMPY})
    (said,) = mixture(results, environment)
    assert f"made with torch {TORCH.split('+')[0]}: 1; installed now is 9.1.0;" in said
    said = mixture(results, ROOT / "envs/environment.yaml")
    assert [line for line in said if "made with torch 9.1.0: 1;" in line] == said[-1:]


def test_the_files_are_named_that_have_changed_since_results_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This process has taken digests for other tests.
    monkeypatch.setattr(versions.digest, "SEEN", {})
    root = copy_project(tmp_path)
    clips = "".join(f"{label}{split},a.mp4,{label},{split}\n" for label in "ab" for split in ("train", "val", "test"))
    (root / "a.mp4").write_bytes(b"no video, which nobody looks at here")
    (root / "clips.csv").write_text("clip_id,path,label,split\n" + clips)
    own = "datasets={ave: {source: local, table: clips.csv, folder: ., classes: table}}"
    run = ("--config", own, "--", "results/demo/local/data/ave/manifest.csv")
    code, train = root / "results/demo/code.json", root / "results/demo/local/models/ave/concat/s1/train.json"

    def told() -> list[str]:
        planned = snakemake(root, "-n", *run)
        assert planned.status == 0, planned.text
        return [line for line in planned.text.splitlines() if line.startswith("code that ")]

    assert told() == [] and not code.exists()
    made = snakemake(root, "-c1", *run)
    assert made.status == 0, made.text
    (reached,) = json.loads(code.read_text())
    # As that of a net, which takes longer.
    train.parent.mkdir(parents=True)
    train.write_text(json.dumps({"code": reached}))
    (root / "scripts/archive.py").write_text("unreached = 1\n")
    (root / "scripts/avrobust/data/manifest.py").open("a").write("# a comment\n")
    assert told() == []
    (root / "scripts/avrobust/data/users_csv.py").open("a").write("another = 1\n")
    (root / "scripts/avrobust/data/manifest.py").open("a").write("another = 1\n")
    said = "code that results in results/demo were made with has changed: "
    said += "scripts/avrobust/data/manifest.py (1 of train), scripts/avrobust/data/users_csv.py (1 of train)"
    assert told() == [said]
    # What results have is kept, and what none has any more is not.
    made = snakemake(root, "-c1", *run)
    assert made.status == 0 and said in made.text
    (now,) = json.loads(code.read_text()).keys() - {reached}
    train.write_text(json.dumps({"code": now}))
    assert told() == []
    versions.remember(root / "results/demo")
    assert reached not in json.loads(code.read_text())


def test_code_that_is_no_python_is_one_line(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    (root / "scripts/avrobust/data/world.py").open("a").write("def (\n")
    run = snakemake(root, "-n", "results/demo/data/ave/manifest.csv")
    lines = len((root / "scripts/avrobust/data/world.py").read_text().splitlines())
    assert run.status == 1 and "Traceback" not in run.text
    assert run.errors == [f"error: {root}/scripts/avrobust/data/world.py, line {lines}: invalid syntax"]
