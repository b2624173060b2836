"""What hangs on choices: a ledger beside `all`, which changes nothing that `all` makes; mistakes in one line."""

import json
from dataclasses import replace as replace_part
from functools import cache
from types import SimpleNamespace

import pytest
from planning import plan, snakemake, unedited

from lib.errors import SettingsError
from lib.grid import expand
from lib.plan import Plan
from lib.sensitivity import taken
from lib.settings import Settings

PAPER, KS = "zhang2025", "kinetics_sounds_721"
LEDGER = [f"paper_tables/{name}" for name in (f"{PAPER}/sensitivity.csv", f"{PAPER}/sensitivity.md", "sensitivity.csv")]


@cache
def planned(scale: str = "demo", **choices: str) -> Plan:
    return plan(unedited(), scale=scale, papers=[PAPER], **({PAPER: choices} if choices else {}))


def runs(made: Plan) -> list[dict]:
    return made.grid.artefacts[PAPER, "sensitivity"].spec["runs"]


def otherwise(scale: str = "demo", **sections: object) -> Settings:
    """What is said, with other sections of the paper; None takes one away."""
    settings = planned(scale).settings
    told = {**settings.papers[PAPER], **sections}
    return replace_part(settings, papers={PAPER: {name: part for name, part in told.items() if part is not None}})


def varied(**run: object) -> Settings:
    """The same with another first run."""
    told = planned().settings.papers[PAPER]["sensitivity"]
    return otherwise(sensitivity={**told, "runs": [{**told["runs"][0], **run}, *told["runs"][1:]]})


def test_it_is_asked_for_by_its_name_and_by_nothing_else() -> None:
    made = planned()
    assert sorted(made.tables.sensitivity) == sorted(LEDGER) == sorted(made.targets["sensitivity"])
    assert {*LEDGER}.isdisjoint(made.tables.targets([PAPER]))
    # The index knows it all the same.
    assert {"sensitivity", f"{PAPER}/sensitivity"} <= made.tables.published.keys()
    assert made.tables.artefacts["sensitivity"].spec == {"papers": [PAPER]}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_what_all_makes_is_as_without_it(scale: str) -> None:
    without, made = Plan(otherwise(scale, sensitivity=None)), planned(scale)
    assert without.grid.aside == set() and without.tables.sensitivity == []
    assert made.attack.of_all == without.attack.bundles
    assert made.analysis.checked("json") == without.analysis.checked("json")
    assert made.attack.most_work == without.attack.most_work
    assert made.tables.targets([PAPER]) == without.tables.targets([PAPER])
    for (_, name), artefact in without.grid.artefacts.items():
        assert made.grid.artefacts[PAPER, name] == artefact
    for dataset, bundle in without.attack.bundles:
        job = SimpleNamespace(dataset=dataset, bundle=bundle, seed="1234")
        assert made.attack.told(job) == without.attack.told(job)
        assert made.attack.seeds_of(made.attack.keys(job)) == without.attack.seeds_of(without.attack.keys(job))


def test_the_demo_makes_it_in_few_jobs_and_the_paper_with_one_seed() -> None:
    made = planned()
    aside = {name: keys for (_, name), keys in made.attack.bundles.items() if not made.grid.aside.isdisjoint(keys)}
    assert set(aside) == {
        "sensitivity", "sensitivity_latest", "sensitivity_ensemble", "sensitivity_ensemble_latest",
    }  # fmt: skip
    large = planned("paper")
    assert all(large.attack.seeds_of([key]) == large.settings.scale["seeds"][:1] for key in large.grid.aside)
    read = large.tables.read("cells")(SimpleNamespace(artefact=f"{PAPER}/sensitivity"))
    assert {path.split("/")[4] for path in read} == {"s1234"}
    assert f"results/paper/cells/{KS}/s1234/AcV.temporal.parquet" in read


def test_the_latest_weights_are_those_of_every_net_of_a_cell() -> None:
    made = planned()

    def state(bundle: str) -> str:
        return made.attack.told(SimpleNamespace(dataset=KS, bundle=bundle, seed="1234"))["model_state"]

    assert (state("sensitivity"), state("sensitivity_latest"), state("AcV.temporal")) == ("best", "latest", "best")
    cells = json.loads(made.attack.told(SimpleNamespace(dataset=KS, bundle="sensitivity_latest", seed="1234"))["cells"])
    # The attack itself is told nothing of it.
    assert {one["attack"] for one in cells} == {"mig_latest", "pam_latest", "tma_latest"}
    assert not any("model_state" in one["spec"] for one in cells)


def test_an_ensemble_of_mean_losses_says_so_and_is_its_own_code() -> None:
    made = planned()
    job = SimpleNamespace(dataset=KS, bundle="sensitivity_ensemble", seed="1234")
    joined = {one["surrogate"]: one.get("joined") for one in json.loads(made.attack.told(job)["cells"])}
    assert joined == {"all-AcV": None, "all-AcV_losses": "mean_losses"}
    losses = "avrobust.models.mean_losses:MeanLosses"
    assert losses in made.attack.entries("attack", job)
    assert losses not in made.attack.entries("attack", SimpleNamespace(dataset=KS, bundle="all-AcV.ensemble"))


def test_what_a_choice_makes_the_default_is_not_made_beside_it() -> None:
    def crafted(made: Plan) -> set[str]:
        return {attack for _, _, attack in made.grid.aside}

    assert "tma_without_momentum" in crafted(planned()) and "tma_copies5" in crafted(planned())
    assert "tma_without_momentum" not in crafted(planned(momentum="without"))
    # As many copies as the paper's own files say.
    assert "tma_copies5" not in crafted(planned("paper")) and "tma_copies3" in crafted(planned("paper"))


def test_every_run_is_of_a_choice_and_each_changes_a_number() -> None:
    made = planned()
    choices = made.settings.papers[PAPER]["choices"]
    known = {choice.get("name", choice["question"]) for choice in choices}
    assert {run["choice"] for run in runs(made)} <= known
    # Where choices.csv sends its reader for them.
    pointing = {one.get("name", one["question"]) for one in choices if "sensitivity.csv" in one["sensitivity"]}
    assert pointing == {run["choice"] for run in runs(made)}
    for choice in choices:
        if choice.get("name") in ("variance_weight", "similarity_weight", "momentum", "cosine"):
            varied = [run["alternative"] for run in runs(made) if run["choice"] == choice["name"]]
            assert varied == choice["alternatives"]


def test_alternatives_of_an_attack_are_it_but_for_one_option() -> None:
    for scale in ("demo", "paper"):
        attacks = planned(scale).settings.papers[PAPER]["attacks"]
        differing = {
            name: {
                option for option in told.keys() | attacks[base].keys() if told.get(option) != attacks[base].get(option)
            }
            for base in ("tma", "mig", "pam")
            for name, told in attacks.items()
            if name.startswith(f"{base}_")
        }
        assert all(len(options) <= 1 for options in differing.values()), differing
        assert differing["tma_variance_none"] == {"lambda1"} and differing["tma_copies1"] == {"copies"}


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            {"choice": "variance"},
            "sensitivity.yaml: sensitivity.runs: 'variance' is no choice of zhang2025's choices.yaml: its names are",
        ),
        ({"alternative": "ten"}, "variance_weight: 'ten' is not allowed; allowed are hundredth, none, tenth, one"),
    ],
)
def test_a_run_of_no_choice_is_refused_in_one_line(run: dict, said: str) -> None:
    settings = varied(**run)
    with pytest.raises(SettingsError) as refused:
        taken(settings, PAPER, settings.papers[PAPER]["sensitivity"])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ({"AcV": "AcX"}, "sensitivity: variance_weight: none: 'AcX' is none of the paper's variants and ensembles"),
        ({"AsV": "VsA"}, "VsA/tma, both at calibrated is read by no artefact, and its cell is made for others"),
    ],
)
def test_a_run_that_would_change_what_all_makes_is_refused_in_one_line(instead: dict, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        expand(varied(instead=instead))
    assert said in str(refused.value)


def test_what_no_training_and_no_ensemble_can_use_is_refused_in_one_line() -> None:
    train = planned().train
    with pytest.raises(SettingsError, match="here: tma_latest is of the latest weights of trained nets"):
        train.crafted_by("tma_latest", "RsV", KS, "here")
    ensembles = planned().settings.papers[PAPER]["ensembles"]
    told = replace_part(ensembles["all-AcV_losses"], joined="median")
    with pytest.raises(SettingsError, match=r"variants\.yaml: ensembles\.all-AcV_losses\.joined: 'median' is"):
        Plan(otherwise(ensembles={**ensembles, "all-AcV_losses": told}))


def test_other_weights_in_one_bundle_are_refused() -> None:
    settings = planned().settings
    bundles = {name: of for name, of in settings.scale["bundles"].items() if name != "sensitivity_latest"}
    with pytest.raises(SettingsError, match=r"sensitivity holds .* and .*, which are of other weights of their nets"):
        Plan(replace_part(settings, scale={**settings.scale, "bundles": bundles}))


def test_without_a_paper_that_varies_anything_the_target_says_so() -> None:
    root = unedited()
    with pytest.raises(SettingsError, match="sensitivity: nothing is varied for tian2021; choose `papers` that have a"):
        plan(root, papers=["tian2021"]).check_targets(["-n", "sensitivity"])
    plan(root, papers=["tian2021"]).check_targets(["-n", "all"])
    run = snakemake(root, "-n", "--config", "papers=[tian2021]", "--", "sensitivity")
    assert (run.status, len(run.errors)) == (1, 1) and "sensitivity.yaml: li2022, zhang2025" in run.errors[0]


def test_snakemake_plans_it() -> None:
    run = snakemake(unedited(), "-n", "--config", f"papers=[{PAPER}]", "--", "sensitivity")
    assert run.status == 0, run.text
    counts = run.counts
    assert (counts["alternatives"], counts["stack"], counts["publish"]) == (1, 1, 2)
    nets = {job.wildcards["variant"] for job in run.jobs if job.rule == "train"}
    assert {"VsA", "VcA", "RsV+at_scratch", "RsV+at_batch_norm", "RsV+at_validated", "RsV+at"} <= nets
