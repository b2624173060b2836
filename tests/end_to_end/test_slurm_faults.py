"""What happens to a training on a cluster, caused on the SLURM of tests/slurm/cluster.sh: it ends with the same bytes.

Each time one net is trained, and stopped in the middle by SIGSTOP so that the fault finds it there. Most of the time is
the executor's pauses between two questions for a job's state.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psutil
import pytest
import torch
import yaml
from long_training import MODEL, NET, LongTraining, check_same_bytes, check_went_on, provenance
from project import TIME_LIMIT, Project, kill_tree
from slurm_jobs import ENDED, drained_node, jobs_of, restarts, slurm_log, update

from avrobust.models.files import read_tensors

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]

TRAIN = ("--profile", "profiles/slurm", "--config", "scale=tiny", "--", MODEL)
# Snakemake asks after so many seconds whether a job has ended, then after 10 s more than the time before.
POLL = 3
# What the two Snakemakes of a job take beside its program, in MB.
SNAKEMAKES = 260
Result = TypeVar("Result")


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


def finish(snakemake: subprocess.Popen) -> str:
    """Wait until Snakemake has succeeded and return all that it wrote."""
    output, _ = snakemake.communicate(timeout=TIME_LIMIT)
    assert snakemake.returncode == 0, output
    return output


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
        update(f"JobId={job.number}", "EndTime=now")
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
