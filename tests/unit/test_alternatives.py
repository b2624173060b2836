"""What hangs on choices: headline numbers and their differences, of cells worked by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, rank, write_cell, write_ranked_cell
from geometry_files import write_geometry

from avrobust.metrics.estimate import Estimate
from avrobust.metrics.interval import mean
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import cells_of
from avrobust.program import UserError
from avrobust.report.alternatives import Files, value, write
from avrobust.report.given import Given
from avrobust.spec.artefacts.alternatives import ALTERNATIVES
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.kind import GEOMETRY, METRICS

CLIPS = 20
BOTH = ("both", "strong")
# How many of the first clips are recognised, clean and under attack, by surrogate, victim and attack.
COUNTS = {
    ("A", "A", "tma"): (20, 0), ("A", "B", "tma"): (16, 4), ("A", "C", "tma"): (10, 6),
    ("A", "B", "pam"): (16, 10), ("A", "C", "pam"): (10, 8),
    ("A", "B", "tma_other"): (16, 2), ("A", "C", "tma_other"): (10, 10),
    ("A+at", "A+at", "tma"): (18, 12), ("A+scratch", "A+scratch", "tma"): (20, 15),
    ("Z", "B", "tma"): (16, 8), ("Z", "Y", "tma"): (14, 14), ("Z", "B", "pam"): (16, 16), ("Z", "Y", "pam"): (14, 12),
}  # fmt: skip


def quantity(surrogate: str, victim: object, attack: str) -> dict:
    return {"surrogate": surrogate, "variant": victim, "attack": attack, "of": "success", "budget": "strong"}


NETS = {"mean": "nets", "of": ["A", "B", "C"], "others": True}
SPEC = {
    "paper": "p",
    "citation": "Hand et al.",
    "dataset": "music",
    "headlines": [
        {
            "name": "lead",
            "says": "TMA less PAM",
            "of": [quantity("A", NETS, "tma")],
            "less": [quantity("A", NETS, "pam")],
        },
        {"name": "defended", "says": "TMA on A by AT", "of": [quantity("A+at", "A+at", "tma")]},
    ],
    "runs": [
        {"choice": "weight", "alternative": "none", "instead": {"tma": "tma_other"}, "headlines": ["lead"]},
        {"choice": "start", "alternative": "scratch", "instead": {"A+at": "A+scratch"}},
        {"choice": "backbone", "alternative": "Z", "instead": {"A": "Z", "C": "Y"}, "note": "with Y for C"},
        {"choice": "success", "alternative": "recognised", "instead": {"success": "success_if_recognised"}},
        {"choice": "steps", "alternative": "few", "instead": {"tma": "tma_few"}},
    ],
    "taken": {"weight": "one", "start": "vanilla", "backbone": "A", "success": "all", "steps": "3"},
    "unchanged": [["tma", "tma_few"]],
    "sources": {"music": "render"},
    "sizes": {
        "music": {"extractor_weights": ["drawn by a seed", "kinetics"]},
        "tma": {"steps": [3, 10]},
        "unread": {"steps": [1, 2]},
    },
}  # fmt: skip


def right(count: int) -> list[int]:
    return [0] * count + [1] * (CLIPS - count)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, str], dict], str]:
    """The ledger by alternative and number, and its page."""
    folder = tmp_path_factory.mktemp("cells")
    files = [
        write_cell(
            *(folder, f"music/{victim}/0/{attack}", [0] * CLIPS),
            {CLEAN: right(clean), BOTH: right(attacked)},
            surrogate=surrogate,
        )
        for (surrogate, victim, attack), (clean, attacked) in COUNTS.items()
    ]
    to = {suffix: str(folder / f"sensitivity{suffix}") for suffix in ALTERNATIVES.files}
    assert write(ALTERNATIVES.parse(SPEC), Given("demo", cells=files), to) == "p: 5 alternatives, 2 numbers"
    with Path(to[".csv"]).open(encoding="utf-8", newline="") as file:
        lines = {(row["choice"], row["headline"]): row for row in csv.DictReader(file)}
    return lines, Path(to[".md"]).read_text(encoding="utf-8")


def test_a_number_is_read_again_with_other_names_and_the_difference_is_paired(made: tuple) -> None:
    """TMA loses 80 and 70 % (75), PAM 50 and 60 % (55). The other TMA loses 90 and 50 %: 15 points are left."""
    line = made[0]["weight", "lead"]
    assert (line["of_taken"], line["of_alternative"], line["difference"]) == ("20.00", "15.00", "-5.00")
    assert (line["taken"], line["alternative"], line["unit"]) == ("one", "none", "points")
    assert (line["n"], line["seeds"], line["scale"], line["source"], line["note"]) == ("20", "1", "demo", "render", "")
    # Clip by clip: B recognises two more under TMA (clips 2, 3), C four fewer (clips 6 to 9), each half a clip.
    by_clip = np.array([0, 0, 50, 50, 0, 0, -50, -50, -50, -50, *[0] * 10])
    ends = mean(by_clip[None], -100, 100).ends
    assert (line["difference_low"], line["difference_high"]) == tuple(f"{end:.2f}" for end in ends[1:])


def test_nets_are_replaced_wherever_a_number_reads_them(made: tuple) -> None:
    """Crafted on Z, answered by B and by Y in C's place: TMA 60 and 30 %, PAM 20 and 40 %."""
    line = made[0]["backbone", "lead"]
    assert (line["of_taken"], line["of_alternative"], line["note"]) == ("20.00", "15.00", "with Y for C")
    line = made[0]["start", "defended"]
    assert (line["of_taken"], line["of_alternative"], line["unit"]) == ("40.00", "25.00", "percent")


def test_a_ratio_has_the_replicates_of_both_numbers(made: tuple) -> None:
    """Of 16 clips 12 and of 10 clips 4 are lost to TMA, 6 and 2 to PAM: 57.5 less 28.75."""
    line = made[0]["success", "lead"]
    assert (line["of_taken"], line["of_alternative"], line["difference"]) == ("20.00", "28.75", "8.75")
    assert float(line["difference_low"]) < 8.75 < float(line["difference_high"])
    line = made[0]["success", "defended"]
    assert (line["of_taken"], line["of_alternative"], line["difference"]) == ("40.00", "33.33", "-6.67")


def test_what_an_alternative_does_not_touch_stands_alone_and_says_why(made: tuple) -> None:
    said = {
        ("weight", "defended"): "not made",
        ("start", "lead"): "reads nothing of it",
        ("backbone", "defended"): "with Y for C; reads nothing of it",
        ("steps", "lead"): "what this run has",
        ("steps", "defended"): "what this run has",
    }
    for place, note in said.items():
        line = made[0][place]
        assert line["note"] == note and line["of_taken"]
        assert not any(line[name] for name in ("of_alternative", "difference", "difference_low", "difference_high"))
    assert len(made[0]) == 10


def test_the_page_has_a_row_for_each_alternative(made: tuple) -> None:
    page = made[1]
    assert page.startswith("# What hangs on the choices of Hand et al.\n")
    assert "- **lead**: TMA less PAM: 20.00 [" in page and "] points (20 clips)\n" in page
    assert "- **defended**: TMA on A by AT: 40.00 [" in page and "] % (20 clips)\n" in page
    assert "| weight | one | none | 15.00 (-5.00 [" in page and "| not made |" in page
    assert "**Not the paper's data.** The clips are rendered" in page
    sizes = "extractor weights drawn by a seed (kinetics) of music; steps 3 (10) of tma"
    assert f"Scale `demo`, 1 seed. Sizes at this scale (at the paper's): {sizes}.\n" in page


def test_needs_are_the_numbers_as_they_are_and_as_they_change() -> None:
    found = [need.reading for need in ALTERNATIVES.needs(ALTERNATIVES.parse(SPEC))]
    places = {(one.surrogate, one.victim, one.attack) for one in found}
    assert places == COUNTS.keys() - {("A", "A", "tma")}
    assert {one.condition.modality for one in found} == {"both", "clean"}


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"instead": {"mig": "mig_path"}}, "weight: x: no headline number reads mig"),
        ({"instead": {"tma": "a"}, "headlines": ["led"]}, "weight: x: headlines: 'led' is none of lead, defended"),
        ({"instead": {"success": "failure"}}, "weight: x: 'failure' is none of clean, X_A"),
    ],
)
def test_a_mistake_is_one_line(run: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ALTERNATIVES.parse({**SPEC, "runs": [{"choice": "weight", "alternative": "x", **run}]})


def test_twice_the_same_alternative_and_what_is_no_measure_are_refused() -> None:
    with pytest.raises(UserError, match="weight: none stands there twice"):
        ALTERNATIVES.parse({**SPEC, "runs": [*SPEC["runs"], SPEC["runs"][0]]})
    cosine = {**quantity("A", "B", "tma"), "of": "cosine"}
    with pytest.raises(UserError, match=r"headline h: .* is no measure of one attack"):
        ALTERNATIVES.parse({**SPEC, "headlines": [{"name": "h", "says": "", "of": [cosine]}]})


def test_an_estimate_and_a_mean_of_the_same_rows_agree(tmp_path: Path) -> None:
    layout = ALTERNATIVES.parse(SPEC)
    cells = cells_of(
        write_cell(
            *(tmp_path, f"music/{victim}/0/{attack}", [0] * CLIPS),
            {CLEAN: right(CLIPS), BOTH: right(attacked)},
            surrogate=surrogate,
        )
        for (surrogate, victim, attack), (_, attacked) in COUNTS.items()
    )
    lead = layout.headlines[0]
    linear, ratio = (
        value(one.terms, Files(cells)) for one in (lead, lead.instead({"success": "success_if_recognised"}))
    )
    # All clips are recognised clean, so that both are one number.
    assert isinstance(ratio, Estimate) and ratio.value == pytest.approx(linear.value)


RANKED_SPEC = {
    "paper": "li",
    "dataset": "sounds",
    "headlines": [
        {
            "name": "drop",
            "says": "what is lost, less that of another net",
            "of": [{"variant": "csn", "attack": "released", "of": "map_drop", "modality": "audio", "budget": "small"}],
            "less": [
                {"variant": "other", "attack": "released", "of": "map_drop", "modality": "audio", "budget": "small"}
            ],
        },
        {
            "name": "shape",
            "says": "Spearman",
            "of": [
                {"variant": "csn", "attack": "released", "of": "spearman_kappa", "modality": "audio", "budget": "small"}
            ],
        },
    ],
    "runs": [
        {"choice": "fit", "alternative": "train", "instead": {"released": "projected"}, "headlines": ["drop"]},
        {"choice": "threshold", "alternative": "half", "instead": {"spearman_kappa": "spearman_kappa_05"}},
    ],
    "taken": {"fit": "test", "threshold": "tenth"},
    "sources": {"sounds": "render"},
}


def test_numbers_of_rankings_are_read_again_in_their_own_unit(tmp_path: Path) -> None:
    """And with another convexity in the place of that of the task."""
    labels = np.repeat(np.arange(8), 5)
    noise = np.random.default_rng(0).normal(size=(40, 8))
    logits = {strength: (strength * np.eye(8)[labels] + noise) for strength in (4.0, 2.5, 1.5, 0.5)}
    audio, clean = ("audio", "small"), logits[4.0]
    left = {"csn/0/released": 0.5, "other/0/released": 1.5, "csn/0/projected": 2.5, "other/0/projected": 4.0}
    files = [
        rank(write_ranked_cell(tmp_path, f"sounds/{name}", labels.tolist(), {CLEAN: clean, audio: logits[of]}))
        for name, of in left.items()
    ]
    kappas = {
        "kappa_argmax": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        "kappa_05": [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
    }
    geometry = write_geometry(tmp_path, "sounds/csn/0", [f"class {label}" for label in range(8)], **kappas)
    layout = ALTERNATIVES.parse(RANKED_SPEC)
    assert {need.family for need in ALTERNATIVES.needs(layout)} == {METRICS, GEOMETRY}
    to = {suffix: str(tmp_path / f"sensitivity{suffix}") for suffix in ALTERNATIVES.files}
    write(layout, Given("demo", metrics=files, geometry=[geometry]), to)
    with Path(to[".csv"]).open(encoding="utf-8", newline="") as file:
        lines = {(row["choice"], row["headline"]): row for row in csv.DictReader(file)}
    ranked = Ranked(files)

    def drop(net: str, attack: str) -> float:
        return ranked.measured("map_drop", [Reading("sounds", net, net, attack, Condition(*audio))]).value

    line, taken = lines["fit", "drop"], drop("csn", "released") - drop("other", "released")
    other = drop("csn", "projected") - drop("other", "projected")
    assert line["unit"] == "score" and line["of_taken"] == f"{taken:.3f}" and line["of_alternative"] == f"{other:.3f}"
    assert line["difference"] == f"{other - taken:.3f}"
    assert float(line["difference_low"]) < other - taken < float(line["difference_high"])
    shape = lines["threshold", "shape"]
    # The other kappa falls where the first one rises.
    assert float(shape["of_alternative"]) == -float(shape["of_taken"]) != 0
    assert lines["fit", "shape"]["note"] == "not made"
    page = Path(to[".md"]).read_text(encoding="utf-8")
    assert f"- **drop**: what is lost, less that of another net: {taken:.3f} [" in page and "] (40 clips)" in page


def test_a_measure_of_rankings_is_replaced_by_another_one_and_added_to_none_of_clips() -> None:
    runs = [{"choice": "fit", "alternative": "x", "instead": {"map_drop": "success"}}]
    with pytest.raises(UserError, match="fit: x: 'success' is none of map, auc, d_prime"):
        ALTERNATIVES.parse(RANKED_SPEC | {"runs": runs})
    mixed = dict(RANKED_SPEC["headlines"][0])
    mixed["less"] = [{"variant": "csn", "attack": "released", "of": "success", "budget": "small"}]
    with pytest.raises(UserError, match="headline drop: what is measured of rankings is no sum with other measures"):
        ALTERNATIVES.parse(RANKED_SPEC | {"headlines": [mixed], "runs": []})
