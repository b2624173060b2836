"""Settings and shared fixtures of all tests of the workflow layer."""

import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import hypothesis
import pytest
from planning import unedited
from snakemake.cli import parse_args

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="module", autouse=True)
def forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a file's tests, let go of the plans and syntax trees that they were told from.

    There are millions of objects in them, which each collection of garbage in later tests would go through.
    """
    yield
    for module in (request.module, *(made for name, made in list(sys.modules.items()) if name.startswith("lib."))):
        for known in vars(module).values():
            if hasattr(known, "cache_clear") and known.__module__ == module.__name__:
                known.cache_clear()


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """What Snakemake itself makes of a command line in the project, profiles and variables included."""
    for name in list(os.environ):
        if name.startswith(("AVROBUST_", "SNAKEMAKE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(unedited())

    def parse(*words: str, **variables: str) -> SimpleNamespace:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["snakemake", *words])
        return parse_args(list(words))[1]

    return parse
