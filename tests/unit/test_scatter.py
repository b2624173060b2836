"""The figure of drops over convexity: planted coefficients, its data, its words, mistakes in its layout."""

import csv
from pathlib import Path

import numpy as np
import pytest
from artefacts import drawn_twice, make
from cell_files import CLEAN, rank, write_ranked_cell
from geometry_files import write_geometry
from scipy.stats import pearsonr, spearmanr

from avrobust.program import UserError
from avrobust.spec.artefacts.scatter import SCATTER
from avrobust.spec.kind import GEOMETRY, METRICS

READ = {"dataset": "sounds", "variant": "csn", "attack": "released", "modality": "audio", "budget": "small"}
SPEC = {
    "title": "Figure 4. Drops over convexity",
    "read": READ,
    "named": ["class 1", "class_7"],
    "highlighted": "Siren",
    "caption": "Audio alone.",
    "sources": {"sounds": "render"},
    "sizes": {"released": {"passes": [5, 20]}},
    "labels": {"attack": {"released": "released, fitted on the test"}},
}
CLASSES = 14
NAMES = ["Siren", *(f"class_{number}" if number == 7 else f"class {number}" for number in range(1, CLASSES))]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[Path]]:
    """Fourteen classes of five clips; class c is put behind c others, so that drops rise as kappa falls."""
    labels = np.repeat(np.arange(CLASSES), 5)
    clean = 10.0 * np.eye(CLASSES)[labels]
    attacked = clean.copy()
    for label in range(CLASSES):
        attacked[np.flatnonzero(labels != label)[:label], label] = 20.0
    cell = write_ranked_cell(
        tmp_path, "sounds/csn/1/released", [[int(of)] for of in labels], {CLEAN: clean, ("audio", "small"): attacked}
    )
    kappas = [0.9 - 0.05 * label for label in range(CLASSES)]
    kappas[3] = None
    columns = {"kappa_01": kappas, "rho60": [(7 * label) % CLASSES + 0.5 for label in range(CLASSES)]}
    columns["rho80"] = [1.0, None, *[1.0] * (CLASSES - 2)]
    geometry = write_geometry(
        tmp_path, "sounds/csn/1", NAMES, n=[10 + label % 3 for label in range(CLASSES)], **columns
    )
    return {"metrics": [rank(cell)], "geometry": [geometry]}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_planted_coefficients_are_those_of_the_data_and_the_figure_is_the_same_twice(tmp_path: Path, files) -> None:
    words, _ = drawn_twice("scatter", SPEC, tmp_path, **files)
    points = {line["class"]: line for line in table(tmp_path / "one/figure.csv")}
    assert len(points) == CLASSES - 1 and "class 3" not in points
    assert points["class 5"]["drop"] == f"{5 / 10:.3f}" and points["class 5"]["kappa_01"] == "0.65"
    assert (points["class 5"]["clean"], points["class 5"]["attacked"]) == ("1.000", "0.500")
    assert (points["Siren"]["highlighted"], points["class 5"]["highlighted"]) == ("yes", "no")
    assert (points["class 5"]["train_clips"], points["class 5"]["test_clips"], points["class 5"]["n"]) == (
        "12",
        "5",
        "70",
    )
    assert points["class 5"]["sizes"] == "passes 5 (20) of released, fitted on the test"
    lines = table(tmp_path / "one/figure_coefficients.csv")
    found = {(line["coefficient"], line["with"], line["given"]): line for line in lines}
    x, y = ([float(line[name]) for line in points.values()] for name in ("kappa_01", "drop"))
    assert float(found["spearman", "kappa_01", ""]["value"]) == -1.0
    assert float(found["pearson", "kappa_01", ""]["value"]) == pytest.approx(pearsonr(x, y).statistic, abs=2e-3)
    # Of the density all fourteen classes are known.
    every = [label / (5 + label) for label in range(CLASSES)]
    rho = found["spearman", "rho60", ""]
    wanted = spearmanr([(7 * label) % CLASSES for label in range(CLASSES)], every).statistic
    assert float(rho["value"]) == pytest.approx(wanted, abs=1e-3) and rho["classes"] == "14"
    assert found["spearman", "kappa_01", ""]["classes"] == "13"
    assert -1 <= float(rho["low"]) <= float(rho["value"]) <= float(rho["high"]) <= 1
    # What does not vary has no coefficient; each column has both, by itself and given others.
    assert found["pearson", "kappa_05", ""]["value"] == ""
    given_others = "log train_clips, clean"
    assert {given for *_, given in found} == {"", given_others} and found["spearman", "kappa_01", given_others]["value"]
    assert "csn, released, fitted on the test, audio; scale demo, n = 70 clips, of rendered clips, seeds: 1" in words
    for name in ("Siren [0.5, 1]", "class 1 [7.5, –]", "class 7 [7.5, 1]", "convexity κ of the class", "Audio alone."):
        assert name in words, name
    assert "class 2 [" not in words and "Sizes at this scale (at the paper's): passes 5 (20)" in words


def test_where_no_class_is_named_some_are_all_along(tmp_path: Path, files) -> None:
    spec = {name: value for name, value in SPEC.items() if name not in ("named", "highlighted")} | {"over": "rho60"}
    words, _ = drawn_twice("scatter", spec, tmp_path, "scatter over density", **files)
    assert sum(f"{name.replace('_', ' ')} [" in words for name in NAMES) == 8
    assert "density ρ60 of the class" in words and {
        line["highlighted"] for line in table(tmp_path / "one/figure.csv")
    } == {"no"}


def test_what_it_needs_and_mistakes_in_its_layout() -> None:
    needs = list(SCATTER.needs(SCATTER.parse(SPEC)))
    assert [need.family for need in needs] == [METRICS] * 4 + [GEOMETRY]
    assert [need.example for need in needs] == ["", "class 1", "class_7", "Siren", ""]
    with pytest.raises(UserError, match="over: 'n' is none of kappa, rho60, rho80"):
        SCATTER.parse(SPEC | {"over": "n"})
    with pytest.raises(UserError, match="read: modality clean takes nothing of any class"):
        SCATTER.parse(SPEC | {"read": READ | {"modality": "clean"}})
    with pytest.raises(UserError, match="read: modality audio needs a budget"):
        SCATTER.parse(SPEC | {"read": {name: value for name, value in READ.items() if name != "budget"}})


def test_a_net_that_has_nothing_to_lose_is_named_in_one_line(tmp_path: Path) -> None:
    logits = np.zeros((300, 2))
    logits[0] = -1.0
    cell = write_ranked_cell(
        tmp_path, "sounds/csn/1/released", [[0, 1], *[[]] * 299], {CLEAN: logits, ("audio", "small"): logits}
    )
    files = {"metrics": [rank(cell)], "geometry": [write_geometry(tmp_path, "sounds/csn/1", ["Siren", "class 1"])]}
    made = make("scatter", SPEC, tmp_path / "figure4", **files)
    assert made.returncode == 1 and "Traceback" not in made.stderr
    assert "no class has both a drop and kappa_01 (2 with a clean average precision below 0.01)" in made.stderr


def test_where_too_few_classes_differ_there_is_no_trend(tmp_path: Path, files) -> None:
    """The figure says so in the place of coefficients."""
    kappas = [1.0] * (CLASSES - 2) + [0.9, 0.8]
    files["geometry"] = [write_geometry(tmp_path / "alike", "sounds/csn/1", NAMES, kappa_01=kappas, rho60=kappas)]
    words, _ = drawn_twice("scatter", SPEC, tmp_path, "scatter of alike", **files)
    assert words.count("too few differ") == 4 * 3 and "trend" not in words
    lines = table(tmp_path / "one/figure_coefficients.csv")
    assert {line["value"] for line in lines if line["with"] == "kappa_01"} == {""}
