"""The workflow on a real SLURM, the one of one node that tests/slurm/cluster.sh starts: as a whole, and under faults.

All in one file, whose tests run in one process: what one of them does to the cluster another one must not see. Its GPUs
are pretended: `device: cuda_or_cpu` lets jobs ask for one and programs run without it.

Under each fault one net is trained, stopped in the middle by SIGSTOP so that the fault finds it there, and ends with
the same bytes. Most of the time is the executor's pauses between two questions for a job's state.
"""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import torch
import yaml
from long_training import MODEL, NET, LongTraining, check_same_bytes, check_went_on, provenance
from project import Project, finish, keep_rows, kill_tree, victim
from slurm_jobs import ENDED, GPU_TYPE, drained_node, jobs_of, remembered, restarts, slurm_log, update

from avrobust.models.files import read_tensors

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]

ASKED = {"render": "N/A", "pack": "N/A"} | dict.fromkeys(
    ("train", "search", "attack", "localise", "embed"), f"gres:gpu:{GPU_TYPE}:1"
)
TRAIN = ("--profile", "profiles/slurm", "--config", "scale=tiny", "--", MODEL)
# Snakemake asks after so many seconds whether a job has ended, then after 10 s more than the time before.
POLL = 3
# What the two Snakemakes of a job take beside its program, in MB.
SNAKEMAKES = 260
Result = TypeVar("Result")


@pytest.fixture
def few_jobs(fresh_copy: Project) -> Project:
    """The tiny project cut down to a job or a few of every kind, because each costs two starts of Snakemake."""
    fresh_copy.edit_paper(_keep_one_of_a_kind)
    (fresh_copy.root / "slurm").symlink_to("profiles/slurm")
    return fresh_copy


def _keep_one_of_a_kind(paper: dict) -> None:
    artefacts = paper["artefacts"]
    paper["artefacts"] = {name: artefacts[name] for name in ("table3", "figure5", "localisation")}
    paper["claims"] = []
    keep_rows(paper, "table3", lambda row: victim(row) in ("concat", "pcl") and row["attack"] == "fgsm")
    for artefact, part in (("figure5", "panels"), ("localisation", "rows")):
        del artefacts[artefact][part][1:]


def submitted(output: str, rules: Sequence[str]) -> dict[str, str]:
    """Return the rule of each job that Snakemake says to have submitted, by SLURM's number for it."""
    logs = re.findall(r"submitted with SLURM jobid (\d+) \(log: \S+/rule_([a-z_]+)/", output)
    assert {rule for _, rule in logs} == {*rules}, output
    return dict(logs)


def test_jobs_of_a_cluster_make_the_tables_of_a_local_run(
    few_jobs: Project, finished: Project, tmp_path: Path, monkeypatch
) -> None:
    """Every kind of job in its partition, with one GPU if it computes; the same bytes as on this machine alone."""
    monkeypatch.setenv("AVROBUST_SLURM_POLL", "8")
    monkeypatch.setenv("AVROBUST_SLURM_PARTITIONS", "profiles/slurm/partitions.example.yaml")
    monkeypatch.setenv("AVROBUST_SLURM_GPU_TYPE", GPU_TYPE)
    # SLURM counts what is below its own processes.
    output = few_jobs.make_alone("--profile", "slurm", "--config", "scale=tiny", "device=cuda_or_cpu", "--", "all")

    rules = submitted(output, ASKED)
    assert len(rules) < 15
    gpus, partitions, states = (remembered(field) for field in ("tres-per-job", "Partition", "State"))
    for job, rule in rules.items():
        assert (rule, gpus[job]) == (rule, ASKED[rule])
        assert (rule, partitions[job]) == (rule, "cpu" if ASKED[rule] == "N/A" else "gpu")
        assert (rule, states[job]) == (rule, "COMPLETED")

    # Its nets are those of the whole run here; what is attacked and shown of them is less.
    local = finished.copy(tmp_path / "local")
    local.edit_paper(_keep_one_of_a_kind)
    shutil.rmtree(local.published)
    local.make("all")
    assert few_jobs.published_bytes() == local.published_bytes() != {}


def until(look: Callable[[], Result], what: str, snakemake: subprocess.Popen | None = None) -> Result:
    """Return what `look` returns as soon as that is true; AssertionError after 90 s, or once `snakemake` has ended."""
    end = time.monotonic() + 90
    while not (found := look()):
        assert snakemake is None or snakemake.poll() is None, (
            f"Snakemake ended before {what}:\n{snakemake.stdout.read()}"
        )
        assert time.monotonic() < end, f"not within 90 s: {what}"
        time.sleep(0.05)
    return found


def trainer_of(project: Project) -> psutil.Process | None:
    """Return the training program that runs in a project's folder; SLURM started it and not this Snakemake."""
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:2] == ["scripts/train.py"] and process.cwd() == str(project.root):
                return process
        except psutil.Error:
            continue
    return None


@contextmanager
def training(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen]:
    """Let Snakemake train the net by a job of SLURM; whatever is left of both is ended at the end."""
    monkeypatch.setenv("AVROBUST_SLURM_POLL", str(POLL))
    snakemake = project.start(*TRAIN)
    try:
        yield snakemake
    finally:
        kill_tree(snakemake)
        if left := [job.number for job in jobs_of(project) if job.state not in ENDED]:
            # One that ends just now is no error.
            subprocess.run(["scancel", *left], check=False)
            until(lambda: all(job.state in ENDED for job in jobs_of(project)), "the end of cancelled jobs")


def stop_in_the_middle(project: Project, snakemake: subprocess.Popen) -> tuple[psutil.Process, int]:
    """Stop the training program after its first epoch or a few more; return it and how many epochs are saved."""
    resume = project.root / NET / "resume.pt"
    until(resume.exists, "the first epoch", snakemake)
    trainer = until(lambda: trainer_of(project), "the training program", snakemake)
    trainer.send_signal(signal.SIGSTOP)
    until(lambda: trainer.status() == psutil.STATUS_STOPPED, "the training to stop", snakemake)
    assert not (project.root / MODEL).exists(), "the training ended before it could be stopped"
    return trainer, len(read_tensors(resume, torch.device("cpu"))["history"])


def test_a_preempted_training_goes_on(uninterrupted: LongTraining, untrained: Project, monkeypatch, tmp_path) -> None:
    """A job that comes first takes its place: SIGTERM within GraceTime, one attempt used up, at most an epoch lost."""
    partitions = tmp_path / "partitions.yaml"
    partitions.write_text(yaml.safe_dump({"partitions": {"preemptible": {"max_runtime": 60}}}), encoding="utf-8")
    monkeypatch.setenv("AVROBUST_SLURM_PARTITIONS", str(partitions))
    with training(untrained, monkeypatch) as snakemake:
        _, saved = stop_in_the_middle(untrained, snakemake)
        urgent = ["sbatch", "--partition=cpu", "--exclusive", "--output=/dev/null", "--wrap=true"]
        subprocess.run(urgent, check=True, stdout=subprocess.DEVNULL)
        output = finish(snakemake)
    first, second = jobs_of(untrained)
    assert first.partition == second.partition == "preemptible"
    assert (first.state, second.state) == ("FAILED", "COMPLETED"), output
    check_went_on(untrained, uninterrupted, saved)


def test_a_requeued_training_goes_on(uninterrupted: LongTraining, untrained: Project, monkeypatch) -> None:
    """SLURM puts the same job back, and for Snakemake nothing has happened."""
    with training(untrained, monkeypatch) as snakemake:
        _, saved = stop_in_the_middle(untrained, snakemake)
        (job,) = jobs_of(untrained)
        subprocess.run(["scontrol", "requeue", job.number], check=True)
        output = finish(snakemake)
    (again,) = jobs_of(untrained)
    assert (again.number, again.state, restarts(again)) == (job.number, "COMPLETED", 1)
    assert "Trying to restart" not in output
    check_went_on(untrained, uninterrupted, saved)


def test_a_training_over_its_time_limit_goes_on_with_more(
    uninterrupted: LongTraining, untrained: Project, monkeypatch
) -> None:
    """The shortest limit of SLURM is a minute; that of this job is moved to now, which SLURM sees within 30 s."""
    untrained.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale["minutes"].update(train=1))
    with training(untrained, monkeypatch) as snakemake:
        _, saved = stop_in_the_middle(untrained, snakemake)
        (job,) = jobs_of(untrained)
        update(f"JobId={job.number}", "EndTime=now+1")  # the present second may have passed before SLURM reads it
        output = finish(snakemake)
    first, second = jobs_of(untrained)
    assert (job.time_limit, second.time_limit) == ("1:00", "2:00")
    assert (first.state, second.state) == ("TIMEOUT", "COMPLETED"), output
    check_went_on(untrained, uninterrupted, saved)


def test_a_job_out_of_memory_gets_more(uninterrupted: LongTraining, untrained: Project, monkeypatch) -> None:
    """Seven tenths of what a training needs, so that nothing is saved; with as much again it ends."""
    memory = round(0.7 * (uninterrupted.memory_mib + SNAKEMAKES))
    untrained.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale["memory_mb"].update(train=memory))
    with training(untrained, monkeypatch) as snakemake:
        output = finish(snakemake)
    first, second = jobs_of(untrained)
    assert (first.memory, second.memory) == (f"{memory}M", f"{2 * memory}M")
    assert first.state in ("FAILED", "OUT_OF_MEMORY"), output
    assert "exceeded memory limit" in slurm_log(untrained, first)
    assert second.state == "COMPLETED", output
    assert provenance(untrained)["resumed_epochs"] == 0
    check_same_bytes(untrained, uninterrupted)


def test_a_drained_node_lets_its_job_end_and_others_wait(
    uninterrupted: LongTraining, untrained: Project, monkeypatch
) -> None:
    with training(untrained, monkeypatch) as snakemake:
        with drained_node():
            until(lambda: [job.reason for job in jobs_of(untrained) if "DRAINED" in job.reason], "a job", snakemake)
            (job,) = jobs_of(untrained)
            assert job.state == "PENDING"
        trainer, _ = stop_in_the_middle(untrained, snakemake)
        with drained_node():
            trainer.resume()
            output = finish(snakemake)
    (job,) = jobs_of(untrained)
    assert (job.state, restarts(job)) == ("COMPLETED", 0), output
    check_same_bytes(untrained, uninterrupted)


def test_a_killed_snakemake_finds_the_net_that_its_job_trained(
    uninterrupted: LongTraining, untrained: Project, monkeypatch
) -> None:
    """kill -9 of Snakemake: its job goes on; the lock is named with its remedy, after which nothing is trained anew."""
    with training(untrained, monkeypatch) as snakemake:
        trainer, _ = stop_in_the_middle(untrained, snakemake)
        snakemake.kill()
        snakemake.wait()
        message = untrained.fail(*TRAIN)
        assert "cannot be locked" in message
        assert "--unlock" in message
        (job,) = jobs_of(untrained)
        assert job.state == "RUNNING"
        trainer.resume()
        until(lambda: jobs_of(untrained)[0].state in ENDED, "the end of the job")

    untrained.make("--unlock")
    assert "Nothing to be done" in untrained.make(*TRAIN)
    (job,) = jobs_of(untrained)
    assert job.state == "COMPLETED"
    assert provenance(untrained)["resumed_epochs"] == 0
    check_same_bytes(untrained, uninterrupted)
