"""What is fitted before the cells that add it: jobs, what they are told, and what is refused before any job."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, plan, replace, retold, snakemake

from compute_plan import jobs
from lib.plan import Plan
from lib.settings import SettingsError

FILE = "results/demo/perturbations/music/{}/s1234/{}.pt"


def fitted(facts: dict) -> None:
    """Rows of Table 1 and 2 by a universal perturbation, one that is fitted to training clips, and controls of both."""
    facts["budgets"]["l2"] = {"norm": "l2_step", "epsilon": 0.5}
    facts["attacks"] |= {
        "released": {"update": "universal", "passes": 4},
        "honest": {"update": "universal_projected", "fitted_on": "train"},
        "released_random": {"update": "universal_random", "as_long_as": "released"},
        "honest_random": {"update": "universal_random", "as_long_as": "honest"},
    }
    names = ["released", "released_random", "honest_random"]
    table1, table2 = (facts["artefacts"][name] for name in ("table1", "table2"))
    table1["rows"]["rows"].append({"attack": names, "ours_only": True})
    table1["columns"][0]["Extra"] = "audio@l2*"
    table2["rows"]["rows"].append({"attack": "released_random", "ours_only": True})
    facts["labels"]["attack"] |= {name: name for name in names}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retold(copy_project(tmp_path_factory.mktemp("project")), fitted)


@pytest.fixture(scope="module")
def made(project: Path) -> Plan:
    return plan(project)


def place(net: str, bundle: str) -> SimpleNamespace:
    return SimpleNamespace(dataset="music", variant=net, seed="1234", bundle=bundle, scale="demo")


def told_of(made: Plan, net: str, bundle: str) -> list[dict]:
    """The attacks that a fit is told, with tuples of conditions."""
    told = json.loads(made.fit.told(place(net, bundle))["attacks"])
    return [of | {"conditions": {tuple(one) for one in of["conditions"]}} for of in told]


def test_a_net_is_fitted_under_all_conditions_that_any_cell_needs(made: Plan) -> None:
    """Of the attack itself and of its control, which alone attacks FiLM; one that nobody adds is not fitted."""
    of_music = {(net, attack) for dataset, net, attack in made.attack.fits if dataset == "music"}
    assert {("concat", "released"), ("concat", "honest"), ("film", "released")} <= of_music
    assert ("film", "honest") not in of_music and not any("random" in attack for _, attack in of_music)
    conditions = {
        ("audio", "l2"), ("audio", "large"), ("visual", "large"), ("audio", "small"), ("visual", "small"),
        ("both", "small"),
    }  # fmt: skip
    (released,) = told_of(made, "concat", "released")
    spec = {"update": "universal", "passes": 4}
    assert released == {"attack": "released", "spec": spec, "split": "test", "conditions": conditions}
    told = made.fit.told(place("concat", "released"))
    assert json.loads(told["key"]) == {"dataset": "music", "variant": "concat", "seed": "1234"}
    assert set(json.loads(told["budgets"])) == {"l2", "large", "small"}
    (honest,) = told_of(made, "concat", "honest")
    assert honest["split"] == "train"
    assert ("music", "film") in made.grid.trained


def test_it_asks_for_time_by_its_passes_clips_and_conditions(made: Plan) -> None:
    """The largest bundle takes what the scale says; twenty passes over the training clips take longer than four."""
    key = {name: ("music", "concat", name) for name in ("released", "honest")}
    test, train = (made.data.split_clips("music", split) for split in ("test", "train"))
    assert made.fit.passes([key["released"]]) == test * 3 * 4 * 6
    assert made.fit.passes([key["honest"]]) == train * 3 * 20 * len(made.attack.fits[key["honest"]])
    assert 0 < made.fit.job_minutes(place("concat", "honest"), 1) <= made.settings.scale["minutes"]["attack"]
    assert (
        made.fit.job_memory_mb(place("concat", "honest"), 1) > 0
        and made.fit.job_threads(place("film", "released")) == 1
    )
    found = jobs(made, "tian2021")
    assert found["fit", "music", "fit_concat_s1234_released"] == made.fit.passes([key["released"]])


def test_a_job_fits_before_the_cells_that_add_it_and_no_others(project: Path) -> None:
    run = snakemake(project, "-n", "-p", "--", "results/demo/tables/tian2021/table1.csv")
    assert not run.errors, run.text
    fits = {
        f"{job.wildcards['variant']}/{job.wildcards['bundle']}": job
        for job in run.jobs
        if job.rule == "fit" and job.wildcards["dataset"] == "music"
    }
    assert fits.keys() == {"concat/released", "concat/honest"}
    job = fits["concat/honest"]
    assert "results/demo/models/music/concat/s1234/model.pt" in job.input and '"split":"train"' in job.command
    inputs = {job.wildcards["bundle"]: job for job in run.jobs if job.rule == "attack" and "/music/" in job.output[0]}
    own = FILE.format("concat", "released")
    assert own in inputs["concat.released"].input and own in inputs["concat.released_random"].input
    assert f"--perturbations concat/released={own}" in inputs["concat.released_random"].command
    assert FILE.format("concat", "honest") in inputs["concat.honest_random"].input
    assert not any("perturbations" in file for file in inputs["undefended"].input)


def test_what_a_bundle_holds_of_a_net_is_fitted_by_one_job(made: Plan, tmp_path: Path) -> None:
    """Each attack to its own clips; a net or an attack of the user's that no bundle names has a file of its own."""
    root = retold(copy_project(tmp_path), fitted)
    held = "  together: {each: [concat], attacks: [released, released_random, honest, honest_random]}\n"
    replace(root / "workflow/scales/demo.yaml", "bundles:\n", f"bundles:\n{held}")
    bundled = plan(root)
    assert set(bundled.attack.fit_bundles) == {
        (dataset, net, "together" if net == "concat" else attack) for dataset, net, attack in made.attack.fits
    }
    alone = [told_of(made, "concat", name) for name in ("honest", "released")]
    assert told_of(bundled, "concat", "together") == [*alone[0], *alone[1]]
    assert told_of(bundled, "film", "released") == told_of(made, "film", "released")
    keys = [("music", "concat", name) for name in ("honest", "released")]
    assert made.fit.passes(keys) == sum(made.fit.passes([key]) for key in keys)
    assert jobs(bundled, "tian2021")["fit", "music", "fit_concat_s1234_together"] == made.fit.passes(keys)
    cells = SimpleNamespace(dataset="music", bundle="concat.together", seed="1234")
    own = FILE.format("concat", "together")
    assert bundled.attack.perturbations(cells) == [own]
    assert bundled.attack.told(cells)["perturbations"] == [f"concat/{name}={own}" for name in ("honest", "released")]
    where = place("concat", "together")
    test, train = (bundled.data.split_clips("music", split) for split in ("test", "train"))
    assert bundled.fit.job_memory_mb(where, 1) == bundled.fit.memory_for(max(test, train), 1)
    run = snakemake(root, "-n", "--", own)
    assert not run.errors and [job.rule for job in run.jobs].count("fit") == 1


def test_what_finds_a_perturbation_makes_its_fits_and_cells_anew_and_nothing_else(made: Plan, tmp_path: Path) -> None:
    def codes(of: Plan) -> dict[str, str]:
        fit, attack = of.fit.code("fit.py", "variant", "attack"), of.attack.code("attack.py", "variant", "attack")
        bundles = {name: SimpleNamespace(dataset="music", bundle=name) for name in
                   ("concat.released", "concat.released_random", "concat.honest_random", "undefended")}  # fmt: skip
        found = {f"fit {name}": fit(place("concat", name)) for name in ("released", "honest")}
        return found | {name: attack(bundle) for name, bundle in bundles.items()}

    def changed(file: str, *edit: str) -> set[str]:
        root = retold(copy_project(tmp_path / Path(file).stem), fitted)
        replace(root / f"scripts/avrobust/{file}", *edit)
        before, after = codes(made), codes(plan(root))
        return {name for name in before if before[name] != after[name]}

    edit = "return perturbation\n", "return 1 * perturbation\n"
    assert changed("attacks/universal.py", *edit) == {"fit released", "fit honest", "concat.released"}
    edit = "one = perturbation.unsqueeze(0)", "one = perturbation[None]"
    assert changed("attacks/universal_projected.py", *edit) == {"fit honest"}
    assert changed("evaluation/fitting.py", "seen += count", "seen = seen + count") == {"fit released", "fit honest"}


def change(**attacks: object) -> Callable[[dict], None]:
    return lambda facts: facts["attacks"].update(attacks)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (change(released={"update": "universal", "passes": 0}), "universal: passes: 0 must be at least 1"),
        (change(released={"update": "universal", "fitted_on": "eval"}), "universal: fitted_on: 'eval' is not"),
        (change(released_random={"update": "universal_random"}), "the option as_long_as must be given"),
        (
            change(released_random={"update": "universal_random", "as_long_as": "pgd"}),
            "attacks.released_random: 'pgd' is no attack that is fitted beforehand; name one that is",
        ),
        (
            change(released_random={"update": "universal_random", "as_long_as": "released_random"}),
            "attacks.released_random: 'released_random' is no attack that is fitted beforehand; name one that is",
        ),
        (
            change(released_random={"update": "universal_random", "as_long_as": "relaesed"}),
            "attacks.released_random: 'relaesed' is no attack that is fitted beforehand; name one that is",
        ),
        (
            lambda facts: facts["budgets"].update(l2={"audio": {"norm": "l2_clip", "snr": 20}}),
            "attacks.yaml: attacks.honest: budget l2 gives each clip its own epsilon by an snr",
        ),
        (
            lambda facts: [
                facts["labels"]["fusion"].update(audio="Sound"),
                facts["artefacts"]["table2"].update(
                    rows={"dataset": "music", "variant": "audio", "attack": "released", "ours_only": True}
                ),
            ],
            "attacks.released: audio on music takes nothing of visual; leave that out",
        ),
        (
            lambda facts: facts["search"].update(attack="released"),
            "search.attack: 'released' is not allowed, because it is fitted beforehand",
        ),
        (
            lambda facts: facts["variants"]["sum"].update(
                prepare={"name": "adversarial", "options": {"attack": "released", "budget": "small"}}
            ),
            "released is fitted beforehand, which only an attack on trained nets can",
        ),
        (
            lambda facts: facts["artefacts"]["figure4"]["read"].update(attack="released"),
            "attack released: it is fitted beforehand; no map or embedding is made so",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_any_job(tmp_path: Path, changed: Callable, message: str) -> None:
    root = retold(copy_project(tmp_path), fitted, changed)
    with pytest.raises(SettingsError) as error:
        plan(root)
    assert message in str(error.value)
