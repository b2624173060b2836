"""The crust of a class: where clips are drawn, what is said of it, and what is not to be drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from artefacts import drawn_twice, make
from class_files import write_classes

from avrobust.metrics.geometry import ClassClips
from avrobust.program import UserError
from avrobust.report.crust import around
from avrobust.spec.artefacts.crust import layout

SPEC = {
    "title": "Figure 1b. Crust",
    "caption": "By hand.",
    "citation": "Li",
    "of_class": "Civil_siren",
    "read": {"dataset": "music", "variant": "mid"},
    "seed": 1,
    "sources": {"music": "render"},
    "sizes": {"music": {"extractor_weights": ["drawn by a seed", "r2plus1d"]}},
    "labels": {"dataset": {"music": "MUSIC"}},
}


def clips(points: np.ndarray) -> ClassClips:
    far = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return ClassClips([f"clip{number}" for number in range(len(points))], far, points.astype(np.float32))


def test_clips_lie_at_their_distance_in_the_direction_of_two_principal_components() -> None:
    """Of four dimensions two vary most: what is drawn has their angle, and the whole length."""
    points = np.zeros((6, 4))
    points[:, 1], points[:, 3], points[:, 0] = (
        [8, -8, 0, 0, 4, -4],
        [0, 0, 2, -2, 2, -2],
        [0.1, 0.1, 0.1, 0.1, -0.2, -0.2],
    )
    made = around(clips(points))
    far = np.linalg.norm(points - points.mean(axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), far, rtol=1e-6)
    directions = points[:, [1, 3]] / np.linalg.norm(points[:, [1, 3]], axis=1, keepdims=True)
    # A component is one with no other where the class is this symmetric.
    axes = np.linalg.svd(points - points.mean(axis=0))[2][:2]
    turned = (points - points.mean(axis=0)) @ axes.T
    cosines = np.abs(turned / np.linalg.norm(turned, axis=1, keepdims=True))
    np.testing.assert_allclose(np.abs(made / far[:, None]), cosines, atol=1e-6)
    assert directions.shape == made.shape
    # Equal whatever sign a component comes with.
    assert np.array_equal(made, around(clips(points)))


def test_where_there_is_no_second_direction_clips_lie_on_a_line() -> None:
    made = around(clips(np.array([[1.0], [3.0], [8.0]])))
    np.testing.assert_allclose(made, [[-3, 0], [-1, 0], [4, 0]], atol=1e-6)
    still = around(clips(np.array([[0.0, 0, 1], [0, 0, -1], [2, 0, 0], [-2, 0, 0], [0, 0, 0]])))
    assert still[4].tolist() == [0, 0], "in the middle is no direction"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[Path]]:
    points = np.random.default_rng(0).normal(size=(40, 5))
    labels, kappas = [(1,)] * 30 + [(0, 1)] * 5 + [(0,)] * 4 + [(2,)], {"a": 1.0, "Civil_siren": 0.25, "b": None}
    made = [write_classes(tmp_path, "mid", points, labels, ["a", "Civil_siren", "b"], kappas, seed) for seed in (1, 2)]
    return {name: [of[name] for of in made] for name in made[0]}


def test_the_figure_and_its_data(files: dict[str, list[Path]], tmp_path: Path) -> None:
    words, _ = drawn_twice("crust", SPEC, tmp_path, **files)
    measured = pd.read_csv(tmp_path / "one/figure_measures.csv").set_index(["seed", "measure"])["value"]
    drawn = pd.read_csv(tmp_path / "one/figure.csv")
    radius, density = (f"{measured[1, name]:#.3g}" for name in ("radius_60", "rho60"))
    for said in ("Civil siren, mid", "n = 35 training clips", "seed 1", "rendered clips", f"R₆₀ = {radius}",
                 f"crust R₆₀ to R: ρ = {density}", "0.25, by a probability of 0.1", "the exponent d = 5",
                 "with the printed exponent 2"):  # fmt: skip
        assert said in " ".join(words.split()), said
    assert len(drawn) == 35 and (np.hypot(drawn["x"], drawn["y"]) - drawn["distance"]).abs().max() < 2e-4
    assert drawn["within"].value_counts().to_dict() == {"60 %": 21, "80 %": 7, "100 %": 7}
    assert drawn["distance"].max() == pytest.approx(measured[1, "radius_max"], abs=1e-4)
    assert {seed for seed, _ in measured.index} == {1, 2}


def test_what_has_no_crust_is_said(files: dict[str, list[Path]], tmp_path: Path) -> None:
    for name, count in (("b", 1), ("Cat", 0)):
        made = make("crust", {**SPEC, "of_class": name}, tmp_path / "figure", **files)
        said = f"'{name}' has {count} training clips on music, or all are alike to mid"
        assert made.returncode == 1 and said in made.stderr and "Traceback" not in made.stderr
    with pytest.raises(UserError, match="kappa: 'k' is none of kappa_argmax"):
        layout({**SPEC, "kappa": "k"})


def test_a_class_without_a_density_is_drawn_and_says_so(tmp_path: Path) -> None:
    """Two clips are as far from their mean: no shell."""
    made = write_classes(tmp_path, "mid", np.eye(2), [(0,), (0,)], ["Civil_siren"], {"Civil_siren": 0.5})
    words, _ = drawn_twice(
        "crust", SPEC, tmp_path, "crust of no density", **{name: [path] for name, path in made.items()}
    )
    assert "crust R₆₀ to R: ρ = not defined" in " ".join(words.split())
