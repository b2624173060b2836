"""Hulls of classes in a t-SNE: areas and overlaps by hand and against scipy, what is measured, what is drawn."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from artefacts import drawn_twice, make
from class_files import write_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection

from avrobust.metrics.density import density, distances
from avrobust.metrics.geometry import CLASS_ROWS, CLIP_ROWS, OfNets, clips_of
from avrobust.metrics.hulls import area, common, holds, hull
from avrobust.program import UserError
from avrobust.report.hulls import Map, of_map
from avrobust.spec.artefacts.hulls import Panel, layout

CLASSES = ["Siren", "Civil_siren", "Pig"]
PANELS = [
    {"title": "Mid fusion", "read": {"dataset": "music", "variant": "mid"}},
    {"title": "Mid fusion, mix-up", "read": {"dataset": "music", "variant": "mid+mixup"}},
]
SPEC = {
    "title": "Figure 3. Hulls",
    "caption": "By hand.",
    "citation": "Li",
    "classes": CLASSES,
    "panels": PANELS,
    "seed": 1,
    "sources": {"music": "render"},
    "sizes": {"music": {"extractor_weights": ["drawn by a seed", "r2plus1d"]}},
    "labels": {"dataset": {"music": "MUSIC"}},
}
SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [0.5, 1.5]])


# --- Hulls in a plane


def test_a_hull_and_its_area_by_hand() -> None:
    assert area(hull(SQUARE)) == pytest.approx(4) and len(hull(SQUARE)) == 4
    assert area(hull(np.array([[0, 0], [4, 0], [0, 3]]))) == pytest.approx(6)
    for nothing in (SQUARE[:2], SQUARE[:0], np.array([[0, 0], [1, 1], [2, 2], [5, 5]]), np.ones((7, 2))):
        assert hull(nothing).shape == (0, 2) and area(hull(nothing)) == 0


@pytest.mark.parametrize(
    ("moved", "expected"), [((0, 0), 4), ((1, 1), 1), ((1.5, 0), 1), ((2, 0), 0), ((5, 5), 0), ((-0.5, 0), 3)]
)
def test_what_two_squares_have_in_common(moved: tuple[float, float], expected: float) -> None:
    one, other = hull(SQUARE), hull(SQUARE + moved)
    assert area(common(one, other)) == pytest.approx(expected) == pytest.approx(area(common(other, one)))


def test_one_hull_in_another_is_all_that_they_have_in_common() -> None:
    inner = hull(0.25 * SQUARE + 0.7)
    assert area(common(inner, hull(SQUARE))) == pytest.approx(0.25) == pytest.approx(area(common(hull(SQUARE), inner)))
    assert area(common(hull(SQUARE[:2]), hull(SQUARE))) == area(common(hull(SQUARE), hull(SQUARE[:2]))) == 0


def expected_area(one: np.ndarray, other: np.ndarray) -> float:
    """The area of what two hulls have in common, by qhull: around the centre of its largest circle."""
    sides = np.vstack([ConvexHull(one).equations, ConvexHull(other).equations])
    lengths = np.linalg.norm(sides[:, :2], axis=1)
    given = {"A_ub": np.c_[sides[:, :2], lengths], "b_ub": -sides[:, 2], "bounds": [(None, None)] * 2 + [(0, None)]}
    found = linprog([0, 0, -1], **given)
    if found.status or found.x[2] < 1e-9:
        return 0.0
    return ConvexHull(HalfspaceIntersection(sides, found.x[:2]).intersections).volume


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 14), st.integers(3, 14))
def test_overlaps_are_those_of_qhull(seed: int, first: int, second: int) -> None:
    random = np.random.default_rng(seed)
    one, other = hull(random.normal(size=(first, 2))), hull(random.normal(size=(second, 2)) + random.normal(size=2))
    assert area(common(one, other)) == pytest.approx(expected_area(one, other), abs=1e-9)
    points = random.normal(size=(50, 2))
    inside = (points @ ConvexHull(one).equations[:, :2].T <= -ConvexHull(one).equations[:, 2]).all(axis=1)
    assert holds(one, points).tolist() == inside.tolist() and holds(one, one).all()


# --- What is measured


def by_hand() -> Map:
    """A square of Sirens, a triangle of Civil sirens with one clip of both, a Pig within the square and one far off."""
    places = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 0], [3, 0], [1, 1], [10, 10]], float)
    of_class = {
        "Siren": [1, 1, 1, 1, 0, 0, 0, 0],
        "Civil_siren": [0, 0, 1, 0, 1, 1, 0, 0],
        "Pig": [0, 0, 0, 0, 0, 0, 1, 1],
    }
    held = {name: np.array(of, bool) for name, of in of_class.items()}
    return Map(Panel(**PANELS[0]), [f"clip{number}" for number in range(8)], places, held)


def test_hulls_and_overlaps_by_hand() -> None:
    """Of all: the corners (0, 0), (3, 0), (10, 10), (0, 2)."""
    found = {(line["class"], line["other"], line["measure"]): line for line in of_map(layout(SPEC), by_hand())}
    whole = 0.5 * abs(3 * 0 - 0 * 0 + 3 * 10 - 10 * 0 + 10 * 2 - 0 * 10)
    values = {key: line["value"] for key, line in found.items()}
    assert values["Siren", "", "hull"] == pytest.approx(100 * 4 / whole)
    assert values["Civil_siren", "", "hull"] == pytest.approx(100 * 2 / whole)
    assert values["Pig", "", "hull"] == 0, "two clips have none"
    # In the square lie one of the two Civil sirens that are no Sirens, and one of the two Pigs.
    assert values["Siren", "", "others_inside"] == pytest.approx(100 * 2 / 4)
    assert values["Civil_siren", "", "others_inside"] == pytest.approx(100 * 1 / 5), "(2, 0): on the edge is inside"
    # The triangle (1, 0), (3, 0), (2, 2) is cut at x = 2 into halves.
    assert values["Siren", "Civil_siren", "overlap"] == pytest.approx(50)
    assert found["Siren", "Civil_siren", "overlap"]["n"] == 1 and found["Siren", "", "hull"]["n"] == 4
    assert math.isnan(values["Siren", "Pig", "overlap"]), "of no hull there is no share"
    places = by_hand().places[4:6]
    assert math.isnan(values["Pig", "", "rho60"]) and distances(places).tolist() == [1, 1]
    far = distances(by_hand().places[[2, 4, 5]])
    assert values["Civil_siren", "", "rho60"] == pytest.approx(density(far, 2, 0.6))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[Path]]:
    """Two nets and two seeds: sirens of both kinds beside each other, pigs apart; the second net pulls all together."""
    random = np.random.default_rng(0)
    labels = [(0,)] * 10 + [(0, 1)] * 6 + [(1,)] * 4 + [(2,)] * 8 + [(0, 2)]
    centres = np.array([[0, 0, 0, 0], [3, 0, 0, 0], [0, 9, 0, 0]])
    points = np.array([centres[list(of)].mean(axis=0) for of in labels]) + random.normal(size=(len(labels), 4))
    found: dict[str, list[Path]] = {"geometry": [], "points": []}
    for net, factor in (("mid", 1), ("mid+mixup", 0.5)):
        for seed in (1, 2):
            kappas = {"Siren": 0.8, "Civil_siren": 0.4, "Pig": 0.9 if seed == 1 else 0.7}
            made = write_classes(tmp_path, net, factor * points + 0.01 * seed, labels, CLASSES, kappas, seed)
            for name, path in made.items():
                found[name].append(path)
    return found


def test_the_figure_and_its_data(files: dict[str, list[Path]], tmp_path: Path) -> None:
    words, points = drawn_twice("hulls", SPEC, tmp_path, **files)
    for said in ("Figure 3. Hulls", "By hand.", "MUSIC", "rendered clips", "n = 29 training clips", "seed 1",
                 "Civil siren", "Siren ∩ Pig", "0.80", "areas, overlaps and hulls are the picture's"):  # fmt: skip
        assert said in " ".join(words.split()), said
    drawn = pd.read_csv(tmp_path / "one/figure.csv")
    assert len(drawn) == 2 * 29 and drawn["class"].value_counts()["Siren, Civil_siren"] == 12
    assert points.count("Siren, Pig") == 2, "each clip once, with all of its classes"
    with (tmp_path / "one/figure_measures.csv").open(encoding="utf-8", newline="") as file:
        assert {len(row["value"].partition(".")[2]) for row in csv.DictReader(file)} == {4}
    measured = pd.read_csv(tmp_path / "one/figure_measures.csv").set_index(
        ["space", "seed", "panel", "class", "measure"]
    )
    of = measured.loc["features"]["value"]
    assert of[1, "Mid fusion", "Pig", "kappa_01"] == 0.9 and of[2, "Mid fusion", "Pig", "kappa_01"] == 0.7
    # A space of half the size has the same density: the ratio of its radii is the same.
    one, other = (of[1, panel["title"], "Siren", "rho60"] for panel in PANELS)
    assert one == pytest.approx(other, abs=1e-3)
    assert (measured.loc["features"].sort_index()["n"][1, "Mid fusion", "Siren"] == 17).all()
    assert {seed for space, seed, *_ in measured.index if space == "t-SNE"} == {1}, "one picture"
    table = OfNets(CLIP_ROWS, files["points"]).table("music", "mid", 1)
    sirens, civil, pigs = (clips_of(table, name) for name in CLASSES)
    others = {*civil.clip_ids, *pigs.clip_ids} - {*sirens.clip_ids}
    held = {clip: point for one in (civil, pigs) for clip, point in zip(one.clip_ids, one.points, strict=True)}
    far = [np.linalg.norm(held[clip] - sirens.points.mean(axis=0)) for clip in others]
    near = 100 * np.mean(np.array(far) <= np.quantile(sirens.distances, 0.8))
    assert of[1, "Mid fusion", "Siren", "others_within_80"] == pytest.approx(near, abs=1e-3)
    maps = measured.loc["t-SNE"]["value"]
    assert maps[1, "Mid fusion", "Siren", "overlap"].max() <= 100 + 1e-9
    for panel in PANELS:
        of_panel = drawn[drawn["panel"] == panel["title"]]
        of_pigs = of_panel[of_panel["class"].str.contains("Pig")][["x", "y"]].to_numpy()
        everyone = of_panel[["x", "y"]].to_numpy()
        expected = 100 * ConvexHull(of_pigs).volume / ConvexHull(everyone).volume
        assert maps[1, panel["title"], "Pig", "hull"] == pytest.approx(expected, abs=1e-3)


def test_what_cannot_be_drawn_is_said(files: dict[str, list[Path]], tmp_path: Path) -> None:
    few = write_classes(tmp_path, "few", np.eye(3), [(0,), (1,), (2,)], CLASSES, dict.fromkeys(CLASSES, 1.0))
    alike = write_classes(tmp_path, "alike", np.ones((5, 3)), [(0,)] * 5, CLASSES, dict.fromkeys(CLASSES, 1.0))
    for net, given_files, said in (
        ("few", few, "3 clips are of Siren, Civil_siren, Pig; t-SNE needs 4"),
        ("alike", alike, "all 5 clips have the same features; train the net again"),
        ("none", few, "no measured classes of music/none among those given (music/few); add their file"),
    ):
        spec = {**SPEC, "panels": [{"title": "A", "read": {"dataset": "music", "variant": net}}]}
        made = make("hulls", spec, tmp_path / "figure", **{name: [path] for name, path in given_files.items()})
        assert made.returncode == 1 and said in made.stderr and "Traceback" not in made.stderr
    twice = make("hulls", SPEC, tmp_path / "figure", geometry=files["geometry"] * 2, points=files["points"])
    assert "classes of music/mid/1 are given twice" in twice.stderr
    swapped = make("hulls", SPEC, tmp_path / "figure", geometry=files["points"], points=files["geometry"])
    assert "it holds no measured classes of this kind" in swapped.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kappa": "kappa_02"}, "kappa: 'kappa_02' is none of kappa_argmax, kappa_01"),
        ({"classes": ["Siren", "Pig", "Siren"]}, "classes: 'Siren' occurs twice"),
        ({"classes": list("abcde")}, "no more than 4 can be told apart"),
        ({"panels": [PANELS[0], PANELS[0]]}, "panels: 'Mid fusion' occurs twice"),
    ],
)
def test_a_layout_that_cannot_be_drawn_is_refused(change: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        layout({**SPEC, **change})


def test_clips_of_a_class_come_with_their_distances(files: dict[str, list[Path]]) -> None:
    table = OfNets(CLIP_ROWS, files["points"]).table("music", "mid", 1)
    clips = clips_of(table, "Siren")
    assert len(clips.clip_ids) == 17 and clips.points.shape == (17, 4)
    assert clips.distances == pytest.approx(distances(clips.points), abs=1e-6)
    assert clips_of(table, "Cat").clip_ids == []
    with pytest.raises(UserError, match="no measured classes of music/mid, seed 7"):
        OfNets(CLASS_ROWS, files["geometry"]).rows("music", "mid", 7)
