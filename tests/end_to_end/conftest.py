"""One whole run for all end-to-end tests; each test that changes anything works in a copy of its own."""

import os
import re

import pytest
from long_training import NET, LongTraining, train_uninterrupted
from project import Project
from slurm_jobs import CLUSTER, GPU_TYPE, answer

# Where a cluster was started for these tests, none answering is a failure and no reason to skip them.
REQUIRED = "AVROBUST_TEST_SLURM"


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
    return Project.from_repository(tmp_path_factory.mktemp("untouched") / "project")


@pytest.fixture(scope="session")
def finished(untouched: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`snakemake all` from nothing. Never changed: `finished_copy` is for that."""
    project = untouched.copy(tmp_path_factory.mktemp("finished") / "project")
    assert not project.results.exists()
    assert not project.published.exists()
    project.make("all")
    return project


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
    return train_uninterrupted(finished.copy(tmp_path_factory.mktemp("long") / "project"))


@pytest.fixture
def untrained(uninterrupted: LongTraining, tmp_path) -> Project:
    """A copy in which that net is still to be trained."""
    project = uninterrupted.project.copy(tmp_path / "project")
    for path in (project.root / NET).iterdir():
        path.unlink()
    return project
