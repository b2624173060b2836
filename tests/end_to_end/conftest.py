"""One whole run for all end-to-end tests; each test that changes anything works in a copy of its own."""

from dataclasses import dataclass

import pytest
from project import Project


@dataclass(frozen=True)
class Finished:
    """The project after `snakemake all` from nothing, and what Snakemake wrote."""

    project: Project
    output: str


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow before its first run, copied once, so that all tests are of one state. Never run in."""
    return Project.from_repository(tmp_path_factory.mktemp("untouched") / "project")


@pytest.fixture(scope="session")
def finished(untouched: Project, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`snakemake all` from nothing. Never changed: `finished_copy` is for that."""
    project = untouched.copy(tmp_path_factory.mktemp("finished") / "project")
    assert not project.results.exists()
    assert not project.published.exists()
    return Finished(project, project.make("all"))


@pytest.fixture
def fresh_copy(untouched: Project, tmp_path) -> Project:
    """A copy of the workflow before its first run."""
    return untouched.copy(tmp_path / "project")


@pytest.fixture
def finished_copy(finished: Finished, tmp_path) -> Project:
    """A copy of the finished project."""
    return finished.project.copy(tmp_path / "project")
