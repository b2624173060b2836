"""Claims about rankings of clips and shapes of classes: their short form, effects by hand, verdicts, mistakes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from artefacts import make
from cell_files import CLEAN, rank, write_ranked_cell
from geometry_files import write_geometry

from avrobust.metrics.geometry import CLASS_ROWS, OfNets
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import Cells
from avrobust.metrics.scores import Scores
from avrobust.program import UserError
from avrobust.report.claims import Judgement, judge
from avrobust.spec import notation
from avrobust.spec.artefacts.claims import CLAIMS, claims
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.kind import GEOMETRY, METRICS

AUDIO, BOTH = ("audio", "small"), ("both", "small")
CLASSES, EACH = 8, 12


def spec(*tests: str, **facts: object) -> dict:
    told = {"name": "one", "section": "5", "sentence": "It is so.", "datasets": ["sounds"], "tests": list(tests)}
    return {"paper": "li2022", "claims": notation.claims([told], {}), "sources": {"sounds": "lists"}} | facts


def logits_of(strength: float, seed: int) -> np.ndarray:
    """Logits that know so much of the labels."""
    noise = np.random.default_rng(seed).normal(size=(CLASSES * EACH, CLASSES))
    return strength * np.eye(CLASSES)[np.repeat(np.arange(CLASSES), EACH)] + noise


@pytest.fixture
def metrics(tmp_path: Path) -> list[Path]:
    """Two nets of clips of one label: one loses much by its sound, and more by both; the other one little."""
    labels = np.repeat(np.arange(CLASSES), EACH).tolist()
    strengths = {"mid": {CLEAN: 4, AUDIO: 1.5, BOTH: 0.5}, "mixup": {CLEAN: 3.9, AUDIO: 3.0, BOTH: 2.5}}
    return [
        rank(
            write_ranked_cell(
                tmp_path, f"sounds/{net}/1/released", labels, {one: logits_of(of, 0) for one, of in conditions.items()}
            ),
            200,
        )
        for net, conditions in strengths.items()
    ]


def judged(*tests: str, metrics: Sequence[Path] = (), geometry: Sequence[Path] = (), **facts: object) -> Judgement:
    files = Ranked(metrics), OfNets(CLASS_ROWS, geometry)
    (found,) = judge(claims(spec(*tests, **facts)), Cells(()), Scores(()), {}, {}, *files)
    return found


def test_the_short_form_names_a_condition_in_brackets_and_a_correlation_its_classes() -> None:
    given = CLAIMS.parse(
        spec(
            "mid/released.map_drop@small > mid/released.map_drop[audio]@small + 0.1",
            "0 > mid/released.spearman_kappa[audio]@small",
        )
    )
    drop, correlation = given.claims[0].tests
    assert drop.label == "sounds, released: mid map_drop at small > mid map_drop audio at small + 0.1"
    assert (drop.by, drop.unit, correlation.higher, correlation.unit) == (0.1, "score", 0.0, "score")
    needs = list(CLAIMS.needs(given))
    assert [(need.family, need.reading.condition.modality) for need in needs] == [
        (METRICS, "both"), (METRICS, "audio"), (METRICS, "audio"), (GEOMETRY, "audio"),
    ]  # fmt: skip
    (clean,) = CLAIMS.parse(spec("mid/released.map[clean] > mixup/released.map[clean] - 0.01")).claims[0].tests
    assert {one.condition for side in clean.read for one in side.readings} == {Condition("clean")}
    (shape,) = CLAIMS.parse(spec("mixup.kappa > mid.kappa")).claims[0].tests
    assert [need.family for need in CLAIMS.needs(CLAIMS.parse(spec("mixup.kappa > mid.kappa")))] == [GEOMETRY] * 2
    assert shape.label == "sounds: mixup kappa > mid kappa" and shape.unit == "score"
    answers = CLAIMS.parse(spec("mid/released.top1[clean] > mid/released.flipped@small")).claims[0]
    assert answers.unit == "points"


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("mid/released.map[audio] > 0", "budget must be given"),
        ("mid/released.map[clean]@small > 0", "map has no budget"),
        ("mid.kappa@small > 0", "kappa has no budget"),
        ("mid/released.map@small > mid/released.cosine@small", "one kind of measure"),
        ("mid/released.top1@small > mid/released.accuracy@small", "one kind of measure"),
        ("mid.rho60 > mid/released.map@small", "one kind of measure"),
    ],
)
def test_mistakes_are_named(test: str, message: str) -> None:
    with pytest.raises((UserError, notation.NotationError), match=message):
        CLAIMS.parse(spec(test))


def test_a_ranking_of_the_best_of_attacks_is_refused() -> None:
    told = {
        "name": "one",
        "section": "5",
        "sentence": "",
        "datasets": ["sounds"],
        "tests": "mid/best(all).map@small > 0",
    }
    made = notation.claims([told], {}, {"all": ["a", "b"]})
    with pytest.raises(UserError, match="map is of one attack, not of the best of all; name one"):
        CLAIMS.parse({"paper": "li2022", "claims": made})


def test_effects_are_those_of_the_rankings_and_the_weaker_net_fails_where_the_other_holds(metrics: list[Path]) -> None:
    test = "mid/released.map_drop@small > mixup/released.map_drop@small"
    found, back = judged(test, metrics=metrics), judged(" > ".join(test.split(" > ")[::-1]), metrics=metrics)
    assert (found.overall.verdict, back.overall.verdict) == ("holds here", "fails here")
    drops = {}
    for path in metrics:
        ranked = Ranked([path])
        (place,) = ranked._cells
        drops[place[1]] = ranked.measured("map_drop", [_reading(place[1], *BOTH)]).value
    assert found.overall.effect == pytest.approx(drops["mid"] - drops["mixup"])
    assert found.overall.low < found.overall.effect < found.overall.high and found.overall.n == CLASSES * EACH
    # In 200 replicates nothing is less likely than one in 201.
    assert found.overall.p_holds == pytest.approx(1 / 201, rel=1e-3)
    constant = judged("mid/released.map_drop@small > 0.3", "0 > mixup/released.map_drop@small - 2", metrics=metrics)
    assert constant.overall.verdict == "holds here"
    percent = judged("mixup/released.top1@small > mid/released.top1@small", metrics=metrics)
    assert percent.overall.effect > 20 and percent.overall.verdict == "holds here"


def _reading(net: str, modality: str, budget: str) -> Reading:
    return Reading("sounds", net, net, "released", Condition(modality, budget))


def geometry_of(folder: Path, net: str, seed: int = 1, **columns: Sequence[float | None]) -> Path:
    return write_geometry(folder, f"sounds/{net}/{seed}", [f"class {label}" for label in range(CLASSES)], **columns)


def test_shapes_of_classes_are_paired_class_by_class(tmp_path: Path) -> None:
    """One without a value on a side is left out; kappa is that of the largest logit where clips have one label."""
    before = [0.0, 0.02, 0.03, 0.04, 0.01, 0.02, 0.03, 0.04]
    after = [1.0, 0.99, 0.98, 0.97, 1.0, 0.99, 0.98, None]
    files = [
        geometry_of(tmp_path, "mid", kappa_argmax=before, kappa_01=after),
        geometry_of(tmp_path, "mixup", kappa_argmax=after, kappa_01=before),
    ]
    found = judged("mixup.kappa > mid.kappa", geometry=files)
    assert found.overall.verdict == "holds here" and found.overall.n == 7
    wanted = np.mean([two - one for one, two in zip(before, after, strict=True) if two is not None])
    assert found.overall.effect == pytest.approx(wanted)
    several = judged("mixup.kappa > mid.kappa", geometry=files, several=["sounds"])
    assert several.overall.effect == pytest.approx(-wanted) and several.overall.verdict == "fails here"
    constant = judged("mixup.kappa > 0.5", geometry=files)
    assert constant.overall.effect == pytest.approx(np.mean([of for of in after if of is not None]) - 0.5)


SELECTION = {"geometry": "mid", "densest": 0.5}


def test_selected_classes_are_those_that_the_training_chose(tmp_path: Path) -> None:
    """By density and convexity in the space of the net before: of eight classes the four densest, of these three."""
    dense, convex = [1.0, 2, 3, 4, 5, 6, 7, 8], [0.1, 0.1, 0.1, 0.1, 0.9, 0.2, 0.2, 0.2]
    files = [
        geometry_of(tmp_path, "mid", rho60=dense, kappa_argmax=convex),
        geometry_of(tmp_path, "mixup", rho60=dense, kappa_argmax=[0.0] * 5 + [0.5, 0.6, 0.7]),
    ]
    facts = {"selections": {"sounds/mixup": SELECTION}}
    found = judged("mixup.kappa_selected > mid.kappa_selected", geometry=files, **facts)
    assert found.overall.n == 3 and found.overall.effect == pytest.approx(np.mean([0.3, 0.4, 0.5]))
    by_half = {"selections": {"sounds/mixup": SELECTION | {"kappa": "kappa_05"}}}
    halves = [
        geometry_of(tmp_path / "half", "mid", rho60=dense, kappa_argmax=[0.9] * 8, kappa_05=convex),
        geometry_of(tmp_path / "half", "mixup", rho60=dense, kappa_argmax=[0.9] * 8, kappa_05=[0.4] * 8),
    ]
    found = judged("mixup.kappa_selected > mid.kappa_selected", geometry=halves, **by_half)
    assert found.overall.n == 3 and found.overall.effect == pytest.approx(0.2), "by the kappa that selects them"
    needs = CLAIMS.needs(CLAIMS.parse(spec("mixup.kappa_selected > 0.1", **facts)))
    assert {(need.family, need.reading.victim) for need in needs} == {(GEOMETRY, "mixup"), (GEOMETRY, "mid")}
    nothing = judged("mixup.kappa_selected > mid.kappa_selected", geometry=files, selections={
        "sounds/mixup": SELECTION | {"convexity": 0.0}})  # fmt: skip
    assert nothing.overall.verdict == "undecided" and "no class has a value on both sides" in nothing.tests[0].note


@pytest.mark.parametrize(
    ("test", "selections"),
    [
        ("mixup.kappa_selected > mid.kappa_selected", {}),
        ("mixup.kappa_selected > mid.kappa", {"sounds/mixup": SELECTION}),
        ("mixup.kappa_selected > other.kappa_selected", {"sounds/mixup": SELECTION, "sounds/other": {"geometry": "x"}}),
    ],
)
def test_a_test_has_one_selection(test: str, selections: dict) -> None:
    with pytest.raises(UserError, match="selected classes are those of one net of the test that is trained by"):
        CLAIMS.parse(spec(test, selections=selections))


def test_densities_of_few_classes_tell_nothing(tmp_path: Path) -> None:
    some = [1.0, 2.0, 3.0, 4.0, 5.0, *[None] * 3]
    files = [geometry_of(tmp_path, "mid", rho60=some), geometry_of(tmp_path, "mixup", rho60=[9.0] * CLASSES)]
    found = judged("mixup.rho60 > mid.rho60", geometry=files)
    assert found.overall.verdict == "undecided"
    assert found.tests[0].note == "too few classes to tell of a score without an end: 5, and 6 are needed"


def test_a_correlation_is_read_with_the_classes_of_its_net(tmp_path: Path, metrics: list[Path]) -> None:
    ranked = Ranked(metrics[:1])
    clean, attacked = (
        np.array([one.value for one in ranked.by_class("average_precision", _reading("mid", *condition))])
        for condition in (CLEAN, AUDIO)
    )
    falling = (1 - np.argsort(np.argsort(1 - attacked / clean)) / 10).tolist()
    file = geometry_of(tmp_path, "mid", kappa_argmax=falling)
    found = judged("0 > mid/released.spearman_kappa[audio]@small", metrics=metrics, geometry=[file])
    assert found.overall.effect == pytest.approx(1.0) and found.overall.verdict == "holds here"
    with pytest.raises(UserError, match="claim one: no measured classes of sounds/mid among those given"):
        judged("0 > mid/released.spearman_kappa[audio]@small", metrics=metrics)


def test_a_correlation_of_classes_that_do_not_differ_leaves_its_test_undecided(tmp_path: Path, metrics) -> None:
    file = geometry_of(tmp_path, "mid", kappa_argmax=[1.0] * 7 + [0.5])
    found = judged("0 > mid/released.spearman_kappa[audio]@small", metrics=metrics, geometry=[file])
    assert found.overall.verdict == "undecided" and found.tests[0].note.startswith("fewer than 6 classes have a drop")


def test_the_program_writes_them_with_their_unit(tmp_path: Path, metrics: list[Path]) -> None:
    given: Mapping = spec("mid/released.map_drop@small > mixup/released.map_drop@small")
    made = make("claims", given, tmp_path / "claims", metrics=metrics)
    assert made.returncode == 0, made.stderr
    (_, line) = (tmp_path / "claims.csv").read_text().splitlines()
    assert "score" in line and "holds here" in line
