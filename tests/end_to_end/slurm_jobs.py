"""What the SLURM of tests/slurm/cluster.sh says of its jobs and is told."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from project import Project

CLUSTER = "avrobust"
GPU_TYPE = "pretended"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "PREEMPTED", "NODE_FAIL")


def answer(*command: str) -> str:
    """Return what a command of SLURM's writes; nothing if it is not there, fails, or takes a minute."""
    if not shutil.which(command[0]):
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return ""


def remembered(field: str) -> dict[str, str]:
    """Return a field of every job that SLURM remembers, by its number."""
    lines = answer("squeue", "--noheader", "--states=all", f"--Format=JobID:20,{field}:40").splitlines()
    return dict(map(str.split, lines))


@dataclass(frozen=True)
class Job:
    """A job as SLURM remembers it, with what it asked for as squeue writes it."""

    number: str
    state: str
    partition: str
    time_limit: str
    memory: str
    reason: str


def jobs_of(project: Project) -> list[Job]:
    """Return the jobs that were submitted from a project's folder, oldest first."""
    lines = answer("squeue", "--noheader", "--states=all", "--sort=i", "--format=%i|%T|%P|%l|%m|%r|%Z").splitlines()
    rows = [line.split("|") for line in lines]
    return [Job(*row) for *row, folder in rows if folder == str(project.root)]


def restarts(job: Job) -> int:
    """Return how often SLURM put a job back into the queue."""
    return int(re.search(r"Restarts=(\d+)", answer("scontrol", "show", "job", job.number))[1])


def slurm_log(project: Project, job: Job) -> str:
    """Return what a job wrote to its file in slurm-logdir."""
    (path,) = (project.root / "results/slurm_logs").rglob(f"{job.number}.log")
    return path.read_text(encoding="utf-8")


def update(*changes: str) -> None:
    """Change something of the cluster or a job by `scontrol update`."""
    subprocess.run(["scontrol", "update", *changes], check=True)


@contextmanager
def drained_node() -> Iterator[None]:
    """No job starts on the node inside the block; those that run go on."""
    node = answer("sinfo", "--noheader", "--Node", "--format=%N").split()[0]
    update(f"nodename={node}", "state=drain", "reason=a test drains it for seconds")
    try:
        yield
    finally:
        update(f"nodename={node}", "state=resume")
