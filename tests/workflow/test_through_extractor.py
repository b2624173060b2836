"""Attacks through the extractor of the features that nets take: packed clips, the extractor's view, its code."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, plan, replace, retold, seen_through, snakemake

from lib import work
from lib.plan import Plan
from lib.settings import SettingsError

PACKED, FEATURES = "results/demo/data/music/shards/0000.arrow", "results/demo/features/music/windows/0000.arrow"


def through(facts: dict) -> None:
    """Rows of Table 2, which is of MUSIC alone, by PGD and by a fitted perturbation, and a control of that."""
    facts["attacks"] |= {
        "deep": {"update": "pgd", "through_extractor": True},
        "fitted": {"update": "universal", "through_extractor": True},
        "fitted_random": {"update": "universal_random", "as_long_as": "fitted", "through_extractor": True},
        "plain": {"update": "pgd"},
    }
    names = ["deep", "fitted_random", "plain"]
    facts["artefacts"]["table2"]["rows"]["rows"].append({"attack": names, "ours_only": True})
    facts["labels"]["attack"] |= {name: name for name in names}


def project(folder: Path, *changes: Callable[[dict], None]) -> Path:
    root = copy_project(folder)
    seen_through(root, "music")
    return retold(root, through, *changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = project(tmp_path_factory.mktemp("project"))
    # Twice as many pictures as a clip of the scale's batch has.
    replace(made / "workflow/datasets/music.yaml", "frames: 8", "frames: 20")
    return made


@pytest.fixture(scope="module")
def made(root: Path) -> Plan:
    return plan(root)


def bundle(attack: str, net: str = "sum") -> SimpleNamespace:
    return SimpleNamespace(dataset="music", bundle=f"{net}.{attack}", seed="1234", scale="demo")


def fit_of(attack: str, net: str = "sum") -> SimpleNamespace:
    return SimpleNamespace(dataset="music", variant=net, bundle=attack, seed="1234", scale="demo")


def test_a_cell_gets_packed_clips_and_what_makes_features_of_them(made: Plan) -> None:
    deep, plain = made.attack.told(bundle("deep")), made.attack.told(bundle("plain"))
    assert made.attack.shards(bundle("deep")) == [PACKED] and made.attack.shards(bundle("plain")) == [FEATURES]
    word, told = deep["extractor"]
    assert word == "--extractor" and plain["extractor"] == []
    assert json.loads(told)["name"] == "windows"
    assert json.loads(told)["encoders"]["visual"] == {
        "name": "r2plus1d18", "options": {"frames_per_window": 4, "width": 0.125}
    }  # fmt: skip
    assert json.loads(deep["view"])["name"] == "clip" and json.loads(plain["view"])["name"] == "features"
    # The attack itself is told nothing of it.
    assert json.loads(deep["cells"])[0]["spec"] == {"update": "pgd"} == json.loads(plain["cells"])[0]["spec"]


def test_a_fit_gets_the_same(made: Plan) -> None:
    told = made.fit.told(fit_of("fitted"))
    assert made.fit.shards(fit_of("fitted")) == [PACKED] and json.loads(told["view"])["name"] == "clip"
    assert told["extractor"] == made.attack.told(bundle("fitted_random"))["extractor"]


def test_fewer_clips_go_through_an_extractor_at_a_time_and_take_longer(made: Plan) -> None:
    batch = made.settings.scale["attack_batch_size"]
    assert made.attack.clips_at_a_time(bundle("plain")) == str(batch)
    assert made.attack.clips_at_a_time(bundle("deep")) == made.fit.clips_at_a_time(fit_of("fitted")) == str(batch // 2)
    deep, plain = (made.attack.bundle_work(made.attack.bundles["music", f"sum.{name}"]) for name in ("deep", "plain"))
    # A victim answers to other forms where a file holds what is attacked, here in both.
    assert deep == work.EXTRACTOR * plain


def test_published_weights_are_an_input_and_a_word(tmp_path: Path) -> None:
    root = project(tmp_path)
    replace(root / "workflow/datasets/music.yaml", "  visual:\n", "  visual:\n      weights: r2plus1d_18_kinetics400\n")
    made, file = plan(root), "results/weights/r2plus1d_18_kinetics400.pth"
    assert made.attack.weights(bundle("deep")) == [file] == made.fit.weights(fit_of("fitted"))
    assert made.attack.weights(bundle("plain")) == []
    assert made.attack.told(bundle("deep"))["extractor"][2:] == ["--extractor-weights", f"visual={file}"]


def test_jobs_are_planned_of_packed_clips(root: Path) -> None:
    run = snakemake(root, "-n", "-p", "--", "results/demo/tables/tian2021/table2.csv")
    assert not run.errors, run.text
    inputs = {job.wildcards["bundle"]: job for job in run.jobs if job.rule == "attack"}
    assert PACKED in inputs["sum.deep"].input and FEATURES not in inputs["sum.deep"].input
    assert "--extractor '{" in inputs["sum.deep"].command and "--extractor" not in inputs["sum.plain"].command
    (fit,) = [job for job in run.jobs if job.rule == "fit" and job.wildcards["variant"] == "sum"]
    assert PACKED in fit.input and "--extractor '{" in fit.command


def test_the_code_of_an_extractor_makes_what_goes_through_it_anew_and_no_other_cell(made: Plan, tmp_path: Path) -> None:
    def codes(of: Plan) -> dict[str, str]:
        attack, fit = of.attack.code("attack.py", "variant", "attack"), of.fit.code("fit.py", "variant", "attack")
        return {**{name: attack(bundle(name)) for name in ("deep", "plain")}, "fit": fit(fit_of("fitted"))}

    def changed(file: str, *edit: str) -> set[str]:
        root = project(tmp_path / Path(file).stem)
        replace(root / f"scripts/avrobust/models/{file}", *edit)
        before, after = codes(made), codes(plan(root))
        return {name for name in before if before[name] != after[name]}

    assert changed("encoders/r2plus1d18.py", "STD = (0.43216", "STD = (0.4322") == {"deep", "fit"}
    assert changed("end_to_end.py", "made.train(model.training)", "made.train(bool(model.training))") == {"deep", "fit"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda facts: facts["artefacts"]["table1"]["rows"]["rows"].append({"attack": "deep", "ours_only": True}),
            "attacks.yaml: attacks.deep.through_extractor: kinetics_sounds is seen as clips, through no extractor",
        ),
        (
            lambda facts: facts["attacks"]["fitted"].update(through_extractor=False),
            "attacks.fitted_random: one of it and fitted goes through an extractor; say through_extractor of both",
        ),
        (
            lambda facts: facts["attacks"]["deep"].update(through_extractor="yes"),
            "attacks.deep.through_extractor: 'yes' must be of type boolean",
        ),
        (
            lambda facts: facts["variants"]["film"].update(
                prepare={"name": "adversarial", "options": {"attack": "deep", "budget": "small"}}
            ),
            "deep goes through an extractor, which only an attack on trained nets can; give another",
        ),
    ],
)
def test_what_cannot_go_through_an_extractor_is_named(tmp_path: Path, change: Callable, message: str) -> None:
    root = project(tmp_path, change)
    with pytest.raises(SettingsError) as error:
        plan(root)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_bundle_that_goes_through_one_in_part_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path)
    replace(
        root / "workflow/scales/demo.yaml", "bundles:\n", "bundles:\n  mixed: {each: [sum], attacks: [deep, plain]}\n"
    )
    with pytest.raises(SettingsError, match=r"bundles: sum\.mixed holds deep, which goes through .*, and plain, which"):
        plan(root).attack.told(bundle("mixed"))
