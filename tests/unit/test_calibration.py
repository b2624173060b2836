"""A calibrated budget: which strength is taken, worked by hand, and the program that finds it."""

import csv
import json
import sys
from pathlib import Path

import pytest
from cell_files import CLEAN, write_cell
from drawings import check_drawing
from nets import narrow_net, narrow_spec
from tiny_store import CLASSES, CLIPS, VIEW, write_shard

import calibrate as program
from avrobust.attacks.budget_files import read_budgets
from avrobust.metrics.calibration import calibrate
from avrobust.metrics.rows import cells_of, read_cells
from avrobust.models.build import Part
from avrobust.models.files import save_model
from avrobust.program import UserError
from avrobust.report.calibration import write
from avrobust.report.given import Given
from avrobust.spec.artefacts.calibration import CALIBRATION
from avrobust.spec.calibrations import strengths
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.nets import Nets

COUNT = 20
ALL = [f"sweep/{number}" for number in range(1, 5)]


def right(count: int) -> list[int]:
    return [0] * count + [1] * (COUNT - count)


def found(folder: Path, monkeypatch, clean: int, attacked: list[int], success: float = 78.3, near: float = 20):
    """Of 20 clips `clean` and, at each strength, `attacked` are recognised; another net loses one less each."""
    monkeypatch.setattr("cell_files.EPSILONS", dict.fromkeys(["", *ALL], 0.01))
    answers = {
        name: {CLEAN: right(clean), **{("both", one): right(n + more) for one, n in zip(ALL, attacked, strict=False)}}
        for name, more in (("AcV", 0), ("RsR", 1))
    }
    cells = cells_of(
        write_cell(folder, f"music/{name}/0/fgsm", [0] * COUNT, told, surrogate="AcV") for name, told in answers.items()
    )
    read = Reading("music", "AcV", "AcV", "fgsm", Condition("both"))
    others = Nets("nets", ("AcV", "RsR"), others=True)
    return calibrate(cells, read, ALL[: len(attacked)], others, success, near)


def test_the_nearest_is_taken(tmp_path, monkeypatch):
    """Of all clips 50, 75, 85 and 100 % are lost, as all are recognised clean; 78.3 is nearest to 75."""
    made = found(tmp_path, monkeypatch, 20, [10, 5, 3, 0])
    assert (made.chosen.budget, made.measure) == ("sweep/2", "success")
    assert [one.white_box["success"].value for one in made.strengths] == [50, 75, 85, 100]
    # Without the attacked net itself.
    assert [one.black_box["success"].value for one in made.strengths] == pytest.approx([45, 70, 80, 95])
    assert made.clean_error.value == 0


def test_of_equally_near_ones_the_smallest_where_a_curve_falls_again(tmp_path, monkeypatch):
    """75, 80, 60 and 75 %, looking for 77.5: the first and the second are as near, and so is the fourth."""
    made = found(tmp_path, monkeypatch, 20, [5, 4, 8, 5], success=77.5)
    assert made.chosen.budget == "sweep/1"


@pytest.mark.parametrize(
    ("clean", "measure", "chosen"), [(9, "success", "sweep/1"), (8, "success_if_recognised", "sweep/2")]
)
def test_a_clean_error_near_what_is_printed_leaves_the_recognised_clips(tmp_path, monkeypatch, clean, measure, chosen):
    """55 % of error are more than 20 points below 78.3, 60 are not. Of all, 4 left are 80 %; of 8, two left 75 %."""
    made = found(tmp_path, monkeypatch, clean, [4, 2])
    assert (made.measure, made.chosen.budget) == (measure, chosen)


def test_a_net_that_recognises_nothing_calibrates_nothing(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="AcV recognises none of 20 clips"):
        found(tmp_path, monkeypatch, 0, [0, 0])


def test_strengths_are_a_grid_and_numbers():
    made = strengths("calibrated", {"visual": {"grid": [0.5, 1], "of": 255}, "audio": 0.006})
    assert made == {
        f"calibrated/{number}": {
            "audio": {"norm": "linf", "epsilon": 0.006}, "visual": {"norm": "linf", "epsilon": part / 255},
        }
        for number, part in ((1, 0.5), (2, 1))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"visual": 0.1}, "one modality at least has a grid"),
        ({"visual": {"grid": [1, 2]}, "audio": {"grid": [1]}}, "all grids are as long"),
        ({"visual": {"grid": [2, 1]}}, r"visual: grid \[2, 1\] must rise"),
        ({"visual": {"epsilon": 1}}, "visual: a number or {grid"),
        ({"visual": {"grid": ["a", 1]}}, r"visual: grid \['a', 1\] must be a list of numbers"),
        ({"visual": {"grid": [True, 2]}}, r"visual: grid \[True, 2\] must be a list of numbers"),
        ({"visual": {"grid": 3}}, "visual: grid 3 must be a list of numbers"),
        ({"visual": {"grid": []}}, r"visual: grid \[\] must rise"),
        ({"visual": {"grid": [1, 2], "of": 0}}, "visual: of 0 must be a number above 0"),
        ({"visual": {"grid": [1, 2], "of": "a"}}, "visual: of 'a' must be a number above 0"),
        ({"visual": {"grid": [1, 2]}, "audio": "a"}, "'a' is no strength"),
    ],
)
def test_points_that_are_no_strengths_are_named(points, message):
    with pytest.raises(ValueError, match=message):
        strengths("calibrated", points)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """What the program writes for a net that tells the clips apart at random; strengths are far apart."""
    shard = write_shard(tmp_path / "0.arrow")
    for seed, name in ((1, "AcV"), (0, "RsR")):
        state = {"model": narrow_net(classes=len(CLASSES), seed=seed).state_dict(), "objective": {}}
        save_model(tmp_path / f"{name}.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})

    def run(success: float) -> Path:
        points = {"visual": {"grid": [0.001, 100], "of": 255}, "audio": {"grid": [0.001, 0.5]}}
        budgets = strengths("calibrated", points)
        asked = [["both", name] for name in budgets]
        cell = {
            "surrogate": "AcV",
            "attack": "fgsm",
            "spec": {"update": "fgsm"},
            "victims": {"AcV": asked, "RsR": asked},
        }
        target = {"strengths": list(budgets), "others": ["RsR"], "modality": "both", "success": success, "near": 0}
        told = {
            "cell": cell,
            "budgets": budgets,
            "target": target,
            "key": {"dataset": "music", "seed": 3},
            "view": VIEW,
        }
        plain = {"shards": shard, "batch-size": 4, "device": "cpu", "epsilon-space": "pixel"}
        plain |= {"budget": tmp_path / "calibrated.json", "curve": tmp_path / "curve.csv"}
        plain |= {"rows": tmp_path / "rows.parquet", "provenance": tmp_path / "provenance.json"}
        words = [f"--{name}={json.dumps(value)}" for name, value in told.items()]
        words += [f"--{name}={value}" for name, value in plain.items()]
        words += ["--nets", *(f"{name}={tmp_path / name}.pt" for name in ("AcV", "RsR"))]
        monkeypatch.setattr(sys, "argv", ["calibrate.py", *words])
        program.main()
        return tmp_path

    return run


def test_the_curve_is_drawn_and_published_with_what_it_was_made_of(tmp_path, made):
    folder, to = made(0), {suffix: str(tmp_path / f"calibration{suffix}") for suffix in CALIBRATION.files}
    told = {"name": "calibrated", "dataset": "music", "variant": "AcV", "attack": "fgsm", "success": 78.3}
    spec = {"title": "Calibrated", "strengths": [told | {"black_box": 31.7}], "sources": {"music": "render"}}
    said = write(CALIBRATION.parse(spec), Given("demo", calibrations=[folder / "curve.csv"]), to)
    assert said == "calibrated: 0.001/255 of a pixel"
    own, published = (
        list(csv.DictReader(Path(path).read_text().splitlines())) for path in (folder / "curve.csv", to[".csv"])
    )
    same = ("point", "measure", "seen_as", "unit", "value", "low", "high", "calibrated", "n", "epsilon_visual")
    assert [[line[name] for name in same] for line in published] == [[line[name] for name in same] for line in own]
    assert {(line["budget"], line["scale"], line["source"], line["seeds"]) for line in published} == {
        ("calibrated", "demo", "render", "1"),
    }  # fmt: skip
    check_drawing("calibration", Path(to[".svg"]))
    drawn = Path(to[".svg"]).read_text()
    assert "published: 78.3 and 31.7" in drawn and "of rendered clips" in drawn and "clean error" in drawn
    assert Path(to[".png"]).stat().st_size > 0


def test_the_program_writes_a_budget_that_cells_read_and_the_whole_curve(made):
    """On the validation clips. The weaker strength is nearer to no success, and the stronger to all."""
    folder = made(0)
    file = folder / "calibrated.json"
    assert read_budgets({"mine": {"from": "calibrated"}}, [file])["mine"]["visual"]["epsilon"] == 0.001 / 255
    one = file.read_bytes()
    lines = list(csv.DictReader((folder / "curve.csv").open()))
    assert [(line["point"], line["measure"], line["seen_as"]) for line in lines][:3] == [
        ("0", "clean_error", "white box"), ("1", "success", "white box"), ("1", "success_if_recognised", "white box"),
    ]  # fmt: skip
    assert len(lines) == 1 + 2 * 2 * 2 and {line["n"] for line in lines} == {str(CLIPS["val"])}
    (taken,) = [line for line in lines if line["calibrated"] == "yes"]
    assert (taken["point"], float(taken["epsilon_audio"])) == ("1", 0.001)
    cells = read_cells(folder / "rows.parquet")
    assert {(cell.surrogate, cell.victim, cell.seed) for cell in cells} == {("AcV", "AcV", 3), ("AcV", "RsR", 3)}
    assert all(clip.startswith("val") for cell in cells for clip in cell.answers[Condition("clean")].clips)
    assert json.loads((folder / "provenance.json").read_text())["chosen"] == "calibrated/1"
    made(100)
    assert file.read_bytes() != one and json.loads(file.read_text())["visual"]["epsilon"] == 100 / 255
