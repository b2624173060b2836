"""What Snakemake plans, with the commands that a user types; and the cluster profile, without a cluster."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import ROOT, Run, copy_project, snakemake, unedited
from snakemake.iocontainers import ResourceList
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file
from snakemake_executor_plugin_slurm.utils import set_gres_string

# As Python, 2024 - 11 is 2013.
SITE = {"AVROBUST_SLURM_ACCOUNT": "2024-11"}
COMMANDS: dict[str, Callable[[], Run]] = {
    "demo": lambda: snakemake(unedited(), "-n", "all"),
    "table 2": lambda: snakemake(unedited(), "-n", "paper_tables/table2.csv"),
    "cluster": lambda: snakemake(unedited(), "--profile", "slurm", "-n", "all", **SITE),
    "cluster, demo, CPU": lambda: snakemake(
        unedited(), "--profile", "slurm", "--config", "scale=demo", "device=cpu", "-n", "--", "all"
    ),
    "cluster, CPU": lambda: snakemake(
        unedited(), "--profile", "slurm", "--config", "device=cpu", "download={connections: 2}", "-n", "--", "all"
    ),
    "lint": lambda: snakemake(unedited(), "--lint"),
}


@pytest.fixture(scope="module")
def runs() -> Mapping[str, Run]:
    """Every command, as many at a time as there are cores."""
    unedited()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(COMMANDS, pool.map(lambda command: command(), COMMANDS.values()), strict=True))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "lint"])
def test_a_plan_is_made_and_nothing_else(runs: Mapping[str, Run], name: str) -> None:
    assert runs[name].status == 0, runs[name].text
    assert runs[name].errors == []
    assert not (unedited() / "results").exists()
    assert not (unedited() / "paper_tables").exists()


# Counted by hand from the paper's tables. Shards of 500 clips: 374, 405 and 420 rendered ones. Trained on each dataset:
# concat, both unimodal nets, five defences, two controls, the localisation net; on MUSIC four more fusions and the
# control of the checks. Attacked: see CELLS in test_grid.py, here in four bundles a dataset. Published, one job each:
# eleven tables and ledgers, these stacked, eleven figures, how many clips are there, the checks of the attacks.
DEMO = {
    "render": 3, "pack": 1 + 1 + 1, "availability": 3, "train": 3 * 11 + 4 + 1, "search": 3, "attack": 4 * 3,
    "localise": 3 * 3, "embed": 2, "table": 7, "sweep": 3, "heat_maps": 3, "localisation": 1, "tsne": 3, "claims": 1,
    "diagram": 1, "listing": 1, "choices": 1, "realisable": 1, "stack": 11, "attrition": 1, "checks": 1,
    "publish": 11 + 11 + 11 + 2,
    "all": 1,
}  # fmt: skip
# Lists instead of rendering, two datasets from archives, ImageNet's weights, three seeds.
PAPER = {name: count for name, count in DEMO.items() if name != "render"} | {
    "manifest_of_lists": 3, "archive": 2, "fetch": 1 + 8 + 3, "weights": 1, "pack": 1 + 8 + 3,
    # A job for each of ten nets on AVE and 15 on MUSIC, on Kinetics-Sounds one for FGSM's family, MIM's and PGD each.
    # Attacks take gradients in bfloat16: one is made in float32 too.
    "train": 3 * 38, "attack": 3 * (10 + 15 + 3 * 10 + 1), "localise": 3 * 9, "embed": 3 * 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "counts"), [("demo", DEMO), ("cluster", PAPER), ("cluster, demo, CPU", DEMO), ("cluster, CPU", PAPER)]
)
def test_all_is_these_jobs(runs: Mapping[str, Run], name: str, counts: dict[str, int]) -> None:
    assert runs[name].counts == counts


def test_table_2_needs_music_and_the_bundles_of_seven_nets(runs: Mapping[str, Run]) -> None:
    run = runs["table 2"]
    assert run.counts == {
        "render": 1, "pack": 1, "availability": 1, "train": 15, "search": 1, "attack": 2, "table": 1, "stack": 1,
        "publish": 1,
    }  # fmt: skip
    # And the nets of Table 3 and the control, which answer to what is made with concat.
    nets = {"audio", "visual", "sum", "concat", "film", "gated_sum", "gated_concat"}
    trained = {job.wildcards["variant"] for job in run.jobs if job.rule == "train"}
    defended = {"pcl", "maxsim", "minsim", "exfmem", "minsim_exfmem"}
    assert trained == nets | defended | {"concat_continued", "minsim_continued", "planted_masking"}
    bundles = {job.wildcards["bundle"] for job in run.jobs if job.rule == "attack"}
    assert bundles == {"undefended", "transferred"}
    assert {job.wildcards.get("dataset", "music") for job in run.jobs} == {"music"}


@pytest.mark.parametrize(("newer", "anew"), [("availability.csv", False), ("classes.txt", True)])
def test_a_net_is_made_anew_after_its_clips_and_not_after_a_report_of_them(
    tmp_path: Path, newer: str, anew: bool
) -> None:
    root, net = copy_project(tmp_path), "results/demo/models/music/concat/s1234/model.pt"
    made = [path for job in snakemake(root, "-n", net).jobs for path in job.output]
    assert net in made and f"results/demo/data/music/{newer}" in made
    for path in made:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
        os.utime(root / path, (10**9, 10**9))
    os.utime(root / "results/demo/data/music" / newer, (10**9 + 60,) * 2)
    run = snakemake(root, "-n", net)
    assert run.status == 0, run.text
    assert ("train" in {job.rule for job in run.jobs}) == anew, run.text


@pytest.mark.parametrize("name", ["demo", "cluster"])
def test_no_two_jobs_make_one_file(runs: Mapping[str, Run], name: str) -> None:
    made = [path for job in runs[name].jobs for path in job.output]
    assert made
    assert len(set(made)) == len(made)


def test_a_published_file_is_made_by_a_copy_only(runs: Mapping[str, Run]) -> None:
    for job in runs["demo"].jobs:
        published = [path for path in job.output if path.startswith("paper_tables/")]
        assert bool(published) == job.rule.startswith("publish_")


def test_a_figure_and_its_data_need_the_same_cells(runs: Mapping[str, Run]) -> None:
    (sweep,) = [job for job in runs["demo"].jobs if job.rule == "sweep" and "figure3" in job.wildcards["artefact"]]
    assert set(sweep.input) == {
        f"results/demo/cells/music/s1234/{bundle}.parquet" for bundle in ("undefended", "transferred")
    }


def test_each_job_that_trains_or_attacks_asks_for_one_gpu(runs: Mapping[str, Run]) -> None:
    for name, gpus in (("cluster", "1"), ("demo", "1"), ("cluster, demo, CPU", "0"), ("cluster, CPU", "0")):
        rules = ("train", "search", "attack", "localise", "embed")
        computing = [job for job in runs[name].jobs if job.rule in rules]
        assert computing
        assert {job.resources["gpu"] for job in computing} == {gpus}
        assert not any("gpu" in job.resources for job in runs[name].jobs if job.rule not in rules)


def test_the_slurm_plugin_asks_for_a_gpu_where_gpu_is_1_and_for_none_where_it_is_0() -> None:
    asked = {gpus: set_gres_string(SimpleNamespace(resources=ResourceList(fromdict={"gpu": gpus}))) for gpus in (0, 1)}
    assert asked == {0: "", 1: " --gpus=1"}


def test_cluster_jobs_say_what_they_need_and_whom_to_charge(runs: Mapping[str, Run]) -> None:
    rules = ("pack", "train", "search", "attack", "localise", "embed")
    submitted = [job for job in runs["cluster"].jobs if job.rule in rules]
    assert {job.rule for job in submitted} == {*rules}
    for job in submitted:
        assert job.resources["slurm_account"] == "2024-11"
        assert 8000 <= int(job.resources["mem_mb"]) <= 16000
        assert 10 <= int(job.resources["runtime"]) <= (2880 if job.rule == "search" else 720)
    assert "slurm_account" not in runs["cluster, demo, CPU"].text


def test_a_site_is_set_by_variables(arguments: Callable[..., SimpleNamespace]) -> None:
    given = arguments("--profile", "slurm", "all")
    assert (given.executor, given.jobs, given.cores, given.retries) == ("slurm", 200, None, 2)
    assert "slurm_account" not in given.default_resources
    assert not isinstance(given.slurm_partition_config, Path)
    given = arguments(
        "--profile", "slurm", "all",
        AVROBUST_SLURM_JOBS="17", AVROBUST_SLURM_PARTITIONS="site.yaml", AVROBUST_SLURM_ACCOUNT="lab7",
        AVROBUST_SLURM_POLL="5",
    )  # fmt: skip
    assert given.jobs == 17
    assert given.slurm_partition_config == Path("site.yaml")
    assert "slurm_account" in given.default_resources
    assert given.slurm_init_seconds_before_status_checks == 5
    assert given.slurm_status_command == "squeue"


@pytest.mark.parametrize(
    ("words", "cores", "jobs"),
    [((), "all", None), (("--cores", "3"), 3, None), (("-c1",), 1, None), (("--profile", "slurm"), None, 200)],
)
def test_all_cores_are_taken_where_nothing_else_is_said(
    arguments: Callable[..., SimpleNamespace], words: tuple[str, ...], cores: object, jobs: object
) -> None:
    given = arguments(*words, "all")
    assert given.cores == (os.cpu_count() if cores == "all" else cores)
    assert given.jobs == jobs


def test_the_profile_is_the_only_one_that_retries(arguments: Callable[..., SimpleNamespace]) -> None:
    assert arguments("all").retries == 0
    assert arguments("--profile", "slurm", "all").retries == 2


@pytest.mark.parametrize(("gpus", "partition"), [(0, "cpu"), (1, "gpu")])
def test_the_example_of_partitions_sends_each_job_where_it_can_run(gpus: int, partition: str) -> None:
    partitions = read_partition_file(ROOT / "profiles/slurm/partitions.example.yaml")
    assert [one.name for one in partitions] == ["cpu", "gpu"]
    resources = ResourceList(fromdict={"gpu": gpus, "mem_mb": 16000, "runtime": 720})
    logger = SimpleNamespace(warning=pytest.fail, info=lambda *_: None, debug=lambda *_: None)
    job = SimpleNamespace(resources=resources, threads=8, name="train")
    assert get_best_partition(partitions, job, logger) == partition


def test_lint_finds_nothing(runs: Mapping[str, Run]) -> None:
    assert runs["lint"].status == 0, runs["lint"].text
    assert "Congratulations, your workflow is in a good condition!" in runs["lint"].text


def test_the_rules_are_formatted() -> None:
    command = [Path(sys.executable).with_name("snakefmt"), "--check", "--compact-diff", "Snakefile", "workflow/rules"]
    checked = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert checked.returncode == 0, checked.stdout
