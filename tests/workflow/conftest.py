"""Settings and shared fixtures of all tests of the workflow layer."""

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace

import hypothesis
import pytest
from planning import unedited
from snakemake.cli import parse_args

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


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
