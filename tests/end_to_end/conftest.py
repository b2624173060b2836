"""One whole run for all end-to-end tests; each test that changes anything works in a copy of its own."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from long_training import NET, LongTraining, train_uninterrupted
from project import Project
from slurm_jobs import CLUSTER, GPU_TYPE, answer

from avrobust.runtime import INSTRUCTIONS

# Where a cluster was started for these tests, none answering is a failure and no reason to skip them.
REQUIRED = "AVROBUST_TEST_SLURM"


@pytest.fixture(autouse=True)
def environment_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs find nothing of instructions in the environment: unit tests in this process need them there."""
    for name in INSTRUCTIONS:
        monkeypatch.delenv(name, raising=False)


# Of the session, so that it comes before the whole run that other fixtures make.
@pytest.fixture(scope="session")
def cluster() -> None:
    """The SLURM of tests/slurm/cluster.sh, with a node that takes jobs. On another one, tests would cost money."""
    name, nodes = answer("scontrol", "show", "config"), answer("sinfo", "-ho", "%T %G")
    ours = re.search(rf"^ClusterName *= {CLUSTER}$", name, re.MULTILINE)
    if not ours or not re.search(rf"^(idle|mixed|allocated) \S*gpu:{GPU_TYPE}", nodes, re.MULTILINE):
        reason = "no SLURM to test with answers here; `tests/slurm/cluster.sh start` starts one, as root"
        pytest.fail(reason) if os.environ.get(REQUIRED) else pytest.skip(reason)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow before its first run, copied once, so that all tests are of one state. Never run in."""
    return _once(tmp_path_factory, "untouched", Project.from_repository)


@pytest.fixture(scope="session")
def finished(untouched: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`snakemake all` from nothing. Never changed: `finished_copy` is for that."""
    return _once(tmp_path_factory, "finished", lambda root: _finish(untouched.copy(root)))


@pytest.fixture
def fresh_copy(untouched: Project, tmp_path) -> Project:
    """A copy of the workflow before its first run."""
    return untouched.copy(tmp_path / "project")


@pytest.fixture
def finished_copy(finished: Project, tmp_path) -> Project:
    """A copy of the finished project."""
    return finished.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def uninterrupted(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> LongTraining:
    """The finished project's clips with a longer training, done once in one go."""
    project = _once(tmp_path_factory, "long", lambda root: train_uninterrupted(finished.copy(root)))
    return LongTraining.of(project)


@pytest.fixture
def untrained(uninterrupted: LongTraining, tmp_path) -> Project:
    """A copy in which that net is still to be trained."""
    project = uninterrupted.project.copy(tmp_path / "project")
    for path in (project.root / NET).iterdir():
        path.unlink()
    return project


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Project:
    """Return the project of a name, which the first process that asks has made for all that share these tests."""
    # Each process of xdist has a folder of its own below that of the run.
    shared = factory.getbasetemp()
    root = (shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared) / name
    with Path(f"{root}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "made").exists():
            shutil.rmtree(root, ignore_errors=True)  # of one that failed, which each tries for itself
            make(root / "project")
            (root / "made").touch()
    return Project(root / "project")


def _finish(project: Project) -> None:
    assert not project.results.exists()
    assert not project.published.exists()
    # What depends on the order of a set is another in all later runs.
    project.make_alone("all")
