"""What a calibrated budget is made from, and what is made with it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, plan, replace, retold, snakemake, unedited

from lib.plan import Plan
from lib.settings import SettingsError

CALIBRATION = {
    "dataset": "music", "variant": "concat", "attack": "fgsm", "others": ["sum", "concat"], "success": 78.3,
    "points": {"visual": {"grid": [0.5, 1, 2], "of": 255}, "audio": 0.006},
}  # fmt: skip
BUDGET = SimpleNamespace(budget="calibrated", scale="demo")
FILE = "results/demo/budgets/calibrated.json"


def calibrated(facts: dict) -> None:
    """A column of Table 2 under a calibrated budget."""
    facts["budgets"]["nearest"] = {"from": "calibrated"}
    facts["calibrations"] = {"calibrated": dict(CALIBRATION)}
    facts["artefacts"]["table2"]["columns"][1]["Extra"] = "audio@nearest*"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def made(project: Path) -> Plan:
    return plan(retold(project, calibrated))


def test_it_is_told_all_strengths_and_every_net_that_is_asked(made: Plan) -> None:
    found = made.calibration.told(BUDGET)
    cell, target = json.loads(found["cell"]), json.loads(found["target"])
    asked = [["both", f"calibrated/{number}"] for number in (1, 2, 3)]
    spec = {"update": "fgsm"}
    assert cell == {"surrogate": "concat", "attack": "fgsm", "spec": spec, "victims": {"concat": asked, "sum": asked}}
    assert target == {
        "others": ["sum"], "modality": "both", "success": 78.3, "black_box": None, "near": 20,
        "strengths": ["calibrated/1", "calibrated/2", "calibrated/3"],
    }  # fmt: skip
    assert json.loads(found["budgets"])["calibrated/2"]["visual"] == {"norm": "linf", "epsilon": 1 / 255}
    assert made.calibration.models(BUDGET) == [
        f"results/demo/models/music/{net}/s1234/model.pt" for net in ("concat", "sum")
    ]
    assert json.loads(found["key"]) == {"dataset": "music", "seed": 1234}
    assert {("music", "concat"), ("music", "sum")} <= made.grid.trained


def test_it_asks_for_time_and_memory_by_its_validation_clips(made: Plan) -> None:
    """Beside the largest bundle, and no more than that at the first attempt."""
    most = made.settings.scale
    assert 0 < made.calibration.job_minutes(BUDGET, 1) <= most["minutes"]["attack"]
    assert 0 < made.calibration.job_memory_mb(BUDGET, 1) <= most["memory_mb"]["attack"]
    assert made.calibration.job_threads(BUDGET) == 1


def test_its_code_is_that_of_its_attack_and_its_nets(made: Plan, tmp_path: Path) -> None:
    """Editing FGSM makes it anew, and so all that names it; editing PGD, which others attack by, does not."""

    def code(name: str, *edit: str) -> str:
        root = retold(copy_project(tmp_path / name), calibrated)
        replace(root / "scripts/avrobust/attacks" / edit[0], *edit[1:])
        return plan(root).calibration.code("calibrate.py", "variant", "attack")(BUDGET)

    before = made.calibration.code("calibrate.py", "variant", "attack")(BUDGET)
    assert code("other", "pgd.py", "step_size: float = 0.125", "step_size: float = 0.25") == before
    assert code("own", "fgsm.py", "steps=1", "steps=2") != before


def test_a_job_makes_it_before_what_names_it_and_for_nothing_else(tmp_path: Path) -> None:
    root = retold(copy_project(tmp_path), calibrated)
    run = snakemake(
        root, "-n", "--", "results/demo/tables/tian2021/table2.csv", "results/demo/tables/tian2021/tableA1.csv"
    )
    assert not run.errors, run.text
    (calibrate,) = [job for job in run.jobs if job.rule == "calibrate"]
    assert FILE in calibrate.output and "results/demo/models/music/sum/s1234/model.pt" in calibrate.input
    attacks = {job.wildcards["dataset"]: FILE in job.input for job in run.jobs if job.rule == "attack"}
    assert attacks == {"music": True, "ave": False}


def test_its_curve_is_published_and_nothing_else_reads_it(made: Plan) -> None:
    name = SimpleNamespace(artefact="tian2021/calibration")
    assert made.tables.read("calibrations")(name) == ["results/demo/budgets/calibrated.csv"]
    assert made.tables.published["tian2021/calibration"] == (".svg", ".csv", ".png")
    spec = json.loads(made.tables.spec(name))
    assert spec["sources"] == {"music": "render"}
    assert [one["name"] for one in spec["strengths"]] == ["calibrated"]
    others = [one for one in made.tables.artefacts if one != "tian2021/calibration"]
    assert not any(made.tables.read("calibrations")(SimpleNamespace(artefact=one)) for one in others)
    assert "tian2021/calibration" not in plan(unedited()).tables.artefacts


def _adversarial(facts: dict, name: str) -> None:
    options = {"attack": {"update": "pgd"}, "budget": "nearest"}
    facts["variants"][name] = facts["variants"][name] | {"prepare": {"name": "adversarial", "options": options}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda facts: facts["budgets"].update(nearest={"from": "other"}),
            "workflow/papers/tian2021/attacks.yaml: budgets.nearest.from: 'other' is not known; allowed are calibrated",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(variant="AcV"),
            "workflow/papers/tian2021/attacks.yaml: calibrations.calibrated.variant: 'AcV' is not known; allowed are",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(others="$nets"),
            "workflow/papers/tian2021/attacks.yaml: calibrations.calibrated.others: $nets is none of lists",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(attack="magic"),
            "workflow/papers/tian2021/attacks.yaml: calibrations.calibrated.attack: 'magic' is not in ATTACKS",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(attack="mim_official"),
            "calibrations.calibrated.attack: 'mim_official' mixes the clips of a batch; take another",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(points={"visual": {"grid": [2, 1]}}),
            "calibrations.calibrated: points: visual: grid [2, 1] must rise from point to point",
        ),
        (
            lambda facts: facts["calibrations"]["calibrated"].update(success=178),
            "calibrations.calibrated.success: 178 must be at most 100",
        ),
        (
            lambda facts: _adversarial(facts, "sum"),
            "calibrations.calibrated: sum is trained against this very budget, which cannot be calibrated by it",
        ),
    ],
)
def test_a_mistake_in_a_calibration_is_one_line(project: Path, change: Callable[[dict], None], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(retold(project, calibrated, change))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_no_claim_reads_what_it_is_calibrated_by(project: Path) -> None:
    """FGSM on both modalities of the net itself; of another net, or of the sound alone, is another number."""

    def claiming(test: str) -> Path:
        def change(facts: dict) -> None:
            claim = {"name": "own", "section": "3", "sentence": "It is.", "datasets": ["music"], "attacks": ["fgsm"]}
            facts["claims"] = [claim | {"tests": test}]

        return retold(project, calibrated, change)

    with pytest.raises(SettingsError, match=r"claim own: music/concat/fgsm, both at nearest is what the budget is"):
        plan(claiming("concat.success@nearest > 70"))
    plan(claiming("sum<concat.success@nearest > concat.success[audio]@nearest"))


def test_a_training_against_it_waits_for_it(project: Path) -> None:
    made = plan(retold(project, calibrated, lambda facts: _adversarial(facts, "film")))
    assert made.train.budget_files(SimpleNamespace(dataset="music", variant="film")) == [FILE]


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_zhang_et_al_have_one_epsilon_of_the_concatenating_net(scale: str) -> None:
    """The pixel's is of {0.5, ..., 16}/255; the sound's is the same share of its range, as wide again."""
    made = plan(unedited(), scale=scale, papers=["zhang2025"])
    found = made.calibration.told(BUDGET)
    budgets = json.loads(found["budgets"])
    shares = [0.5, 1, 2, 4, 8, 16]
    for name, share in zip(json.loads(found["target"])["strengths"], shares, strict=True):
        assert budgets[name]["visual"]["epsilon"] == pytest.approx(share / 255)
        assert budgets[name]["audio"]["epsilon"] == pytest.approx(2 * share / 255)
    assert (json.loads(found["cell"])["surrogate"], found["epsilon_space"]) == ("AcV", "pixel")
    assert len(json.loads(found["target"])["others"]) == 7
    fixed = plan(unedited(), scale=scale, papers=["zhang2025"], zhang2025={"sound_budget": "fixed"})
    of_sound = {one["audio"]["epsilon"] for one in json.loads(fixed.calibration.told(BUDGET)["budgets"]).values()}
    assert of_sound == {0.006}
