"""Zhang et al. (ICLR 2025): how the defended nets are made, and the trainings of Figures 9 and 12."""

import json
from functools import cache
from types import SimpleNamespace

import pytest
from planning import plan, snakemake, unedited

from avrobust.spec.curriculum import count_sampled, stages_of
from lib.plan import Plan

NETS = ["AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR"]
DATASETS = ["kinetics_sounds_721", "music_videos"]
# Sampled and dropped in per cent, and the schedule; RsV+ours is Cosine.
FIGURE_12 = {
    "none": (100, 0, "constant"), "dm5": (5, 5, "constant"), "dm20": (20, 20, "constant"), "dm30": (30, 30, "constant"),
    "sample20": (20, 0, "constant"), "m20": (100, 20, "constant"), "m40": (100, 40, "constant"),
    "linear": ([5, 20], [5, 20], "linear"), "ours": ([5, 20], [5, 20], "cosine"),
}  # fmt: skip


@cache
def planned(scale: str, **choices: str) -> Plan:
    return plan(unedited(), scale=scale, papers=["zhang2025"], **({"zhang2025": choices} if choices else {}))


def told(made: Plan, net: str, dataset: str = DATASETS[0]) -> dict:
    """Return what the training of a net is told, its JSON read."""
    given = made.train.told(SimpleNamespace(dataset=dataset, variant=net, seed="1"))
    return {name: json.loads(text) if isinstance(text, str) else text for name, text in given.items()}


def inputs(made: Plan, net: str, dataset: str) -> tuple[list[str], list[str], list[str]]:
    """Return the net that a training starts from, its budget and its classes."""
    job = SimpleNamespace(dataset=dataset, variant=net, seed="1")
    return made.train.start(job), made.train.budget_files(job), made.train.geometry(job)


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("net", NETS)
def test_what_each_defence_starts_from_and_reads(scale: str, dataset: str, net: str) -> None:
    made, calibrated = planned(scale), [f"results/{scale}/budgets/calibrated.json"]

    def model(name: str) -> list[str]:
        return [f"results/{scale}/models/{dataset}/{name}/s1/model.pt"]

    assert inputs(made, net, dataset) == ([], [], [])
    assert inputs(made, f"{net}+dcfl", dataset) == ([], [], [])
    assert inputs(made, f"{net}+mixup", dataset) == ([], [], [f"results/{scale}/geometry/{dataset}/{net}/s1.parquet"])
    for defended in (f"{net}+at", f"{net}+ours", f"{net}+crmt1", f"{net}+ssdf"):
        assert inputs(made, defended, dataset) == (model(net), calibrated, [])
    assert inputs(made, f"{net}+crmt", dataset) == (model(f"{net}+crmt1"), [], [])


@pytest.mark.parametrize("net", NETS)
def test_a_defended_net_is_the_undefended_one_but_for_the_heads_of_crmt_and_ssdf(net: str) -> None:
    made, added = planned("paper"), net[1] == "s"
    plain = told(made, net)["model_spec"]
    for defence in ("at", "dcfl", "mixup", "ours"):
        assert told(made, f"{net}+{defence}")["model_spec"] == plain
    gated = {"name": "gated_experts", "options": {"hidden": 512, "fusion": "sum" if added else "concat"}}
    orthogonal = {"name": "orthogonal", "options": {"shared": added}}
    for defence, head in (("crmt1", orthogonal), ("crmt", orthogonal), ("ssdf", gated)):
        spec = told(made, f"{net}+{defence}")["model_spec"]
        assert {name: spec[name] for name in ("audio", "visual")} == {name: plain[name] for name in ("audio", "visual")}
        assert spec["fusion"]["name"] == "concat"
        assert spec["head"] == head


def test_what_each_defence_is_trained_by() -> None:
    made = planned("paper")
    at, crmt1, crmt, dcfl, ours = (told(made, f"AcV+{name}") for name in ("at", "crmt1", "crmt", "dcfl", "ours"))
    pgd = {"update": "pgd_random", "steps": 10, "objective": "cross_entropy"}
    assert at["recipe"]["prepare"] == crmt1["recipe"]["prepare"]
    assert at["recipe"]["prepare"]["options"]["attack"] == pgd
    assert at["recipe"]["prepare"]["options"]["epsilon_space"] == "pixel"
    assert at["objective"] == {"name": "cross_entropy"}
    assert crmt1["objective"] == {"name": "uncertain_margin", "options": {"weight": 2.0}}
    assert crmt1["recipe"] == at["recipe"]
    assert crmt["objective"] == {"name": "certified_margin"} and "prepare" not in crmt["recipe"]
    assert crmt["recipe"]["only"] == "classifier.modality_weights"
    assert crmt["recipe"]["learning_rates"]["head"] == pytest.approx(0.03 * at["recipe"]["learning_rates"]["head"])
    assert dcfl["objective"] == {"name": "min_similarity", "options": {"weight": 1.0}}
    options = ours["recipe"]["prepare"]["options"]
    assert options["attack"] == made.attack.attack_on("tma", DATASETS[0], "AcV") and options["segments"] == 4
    assert (options["cycle"], options["steps"]) == (5, 10)
    ssdf = told(made, "AcV+ssdf")
    assert ssdf["recipe"]["prepare"] == {"name": "single_source", "options": at["recipe"]["prepare"]["options"]}
    assert {**ssdf["recipe"], "prepare": at["recipe"]["prepare"]} == at["recipe"]
    assert ssdf["objective"] == {"name": "odd_one_out", "options": {"weight": 1.0, "attacked": 1.0}}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_ssdf_is_trained_on_request_alone(scale: str) -> None:
    """As any variant, by the name of its file; no artefact and no claim asks for one of its nets."""
    made, nets = planned(scale), {f"{net}+ssdf" for net in NETS}
    assert nets <= made.grid.variants.keys()
    assert not nets & {net for _, net in made.grid.trained}
    assert not nets & {net for _, net, _ in made.grid.cells}
    steps = {"demo": 3, "paper": 10}[scale]
    for dataset in DATASETS:
        recipe = told(made, "AsR+ssdf", dataset)["recipe"]
        assert recipe["prepare"]["options"]["attack"]["steps"] == steps
        clips = made.data.split_clips(dataset, "train")
        assert made.train.passes("AsR+ssdf", dataset) == 3 * clips * recipe["epochs"] * (3 + steps)


def test_plain_mixup_is_a_choice() -> None:
    recipe = told(planned("paper", mixup="plain"), "AcV+mixup")["recipe"]
    assert recipe["prepare"] == {"name": "mixup", "options": {"alpha": 1.0}}
    assert inputs(planned("paper", mixup="plain"), "AcV+mixup", DATASETS[0]) == ([], [], [])


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_the_nine_schedules_of_figure_12_and_the_five_factors_of_figure_9(scale: str) -> None:
    made, steps = planned(scale), {"demo": 10, "paper": 20}[scale]
    own = {name: told(made, f"RsV+{name}")["recipe"]["prepare"]["options"] for name in FIGURE_12}
    for name, (sampled, dropped, schedule) in FIGURE_12.items():
        assert (own[name]["sampled"], own[name]["dropped"], own[name]["schedule"]) == (sampled, dropped, schedule)
    said = [
        {name: value for name, value in one.items() if name not in ("sampled", "dropped", "schedule")}
        for one in own.values()
    ]
    assert all(one == said[0] for one in said), "all else is the same"
    counts = {name: count_sampled(stages_of(own[name]).at(1).sampled, steps) for name in ("dm5", "dm20", "dm30")}
    assert len(set(counts.values())) == 3, "at this scale, too"
    for factor in range(1, 6):
        options = told(made, f"RsV+sample{10 * factor}")["recipe"]["prepare"]["options"]
        assert (options["sampled"], options["dropped"], options["schedule"]) == (10 * factor, 0, "constant")


def test_the_work_of_a_curriculum_is_that_of_its_sampled_part() -> None:
    """Five copies, ten steps: at 20 % as many gradients as AT, at 100 % five times as many; half a cycle is cheaper."""
    made = planned("paper")
    work = {name: made.train.passes(f"RsV+{name}", DATASETS[0]) for name in ("at", "sample20", "none", "ours")}
    clips = made.data.split_clips(DATASETS[0], "train")
    assert work["at"] == work["sample20"] == 3 * clips * 10 * 11
    assert work["none"] == 3 * clips * 10 * 51
    assert 0.3 * work["at"] < work["ours"] < 0.5 * work["at"]


def test_the_classes_of_a_net_are_measured_by_a_job_of_their_own() -> None:
    root = unedited()
    wanted = "results/demo/models/kinetics_sounds_721/AcV+mixup/s1234/model.pt"
    made = snakemake(root, "-n", "--config", "papers=[zhang2025]", "scale=demo", "--", wanted)
    (job,) = [one for one in made.jobs if one.rule == "geometry"]
    assert job.output[0] == "results/demo/geometry/kinetics_sounds_721/AcV/s1234.parquet"
    assert [one.wildcards["variant"] for one in made.jobs if one.rule == "train"] == ["AcV", "AcV+mixup"]
