"""Results that were made with other versions are told of, and only they."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from planning import copy_project, snakemake

from lib import versions
from lib.versions import mixture

TORCH, NUMPY = version("torch"), version("numpy")


def wrote(results: Path, name: str, versions: dict | None) -> None:
    path = results / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({} if versions is None else {"versions": versions}))


def test_a_run_says_how_many_results_are_of_another_torch_and_how_to_make_them_anew(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    results = root / "results/demo"
    for seed in (1, 2):
        wrote(results, f"models/music/concat/s{seed}/train.json", {"python": "3.11.1", "torch": "1.13.1+cu117"})
    wrote(results, "models/music/audio/s1/train.json", {"torch": TORCH.split("+")[0] + "+cpu", "numpy": NUMPY})
    wrote(results, "cells/music/concat/s1/fgsm.json", {"torch": "1.13.1"})
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
