"""One set of versions for pip, conda and the container, every one pinned, and no index named."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from planning import ROOT

TORCH = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}


def pinned(name: str | Path) -> list[tuple[Requirement, list[str]]]:
    """Return the requirements of a file of envs/, or another path, each with its hashes."""
    text = (ROOT / "envs" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(" --hash=") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(line[0].strip()), [part.strip() for part in line[1:]]) for line in lines]


def versions(name: str, python: str) -> dict[str, str]:
    """Return what a file of envs/ installs with one Python on Linux."""
    marker = {
        "python_version": python, "python_full_version": f"{python}.4", "sys_platform": "linux", "os_name": "posix",
        "platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    found: dict[str, str] = {}
    for requirement, _ in pinned(name):
        if requirement.marker is None or requirement.marker.evaluate(marker):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert canonicalize_name(requirement.name) not in found, f"{requirement.name} is pinned twice"
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def conda() -> dict[str, str]:
    """Return what environment.yaml lets pip install."""
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text(encoding="utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    requirements = [Requirement(line) for line in pip]
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


def direct() -> list[Requirement]:
    """Return the direct dependencies of pyproject.toml, those of the tests among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [lines for group, lines in project["dependency-groups"].items() if group != "setup"]
    return [Requirement(line) for lines in (project["project"]["dependencies"], *groups) for line in lines]


def test_conda_users_get_the_pinned_versions() -> None:
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text(encoding="utf-8"))
    assert "python=3.12" in environment["dependencies"]
    installed = versions("requirements.txt", "3.12")
    assert {name: installed.get(name) for name in conda()} == conda()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_direct_dependency_is_pinned_within_its_bounds(python: str) -> None:
    installed = versions("requirements.txt", python)
    for requirement in direct():
        assert requirement.specifier.contains(installed[canonicalize_name(requirement.name)]), requirement


def test_conda_users_get_every_direct_dependency() -> None:
    assert conda().keys() == {canonicalize_name(requirement.name) for requirement in direct()}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_torch_is_a_matched_trio(python: str) -> None:
    installed = versions("requirements.txt", python)
    assert {name: installed[name] for name in TORCH} == TORCH
    assert {name: conda()[name] for name in TORCH} == TORCH


@pytest.mark.parametrize("name", ["requirements.txt", "uv.txt"])
def test_every_version_has_its_hashes(name: str) -> None:
    requirements = pinned(name)
    assert requirements
    for requirement, hashes in requirements:
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), requirement


def test_the_workflow_asks_for_no_newer_snakemake_than_is_pinned() -> None:
    asked = re.search(r'min_version\("([\d.]+)"\)', (ROOT / "Snakefile").read_text(encoding="utf-8"))[1]
    (snakemake,) = [requirement for requirement in direct() if requirement.name == "snakemake"]
    assert f">={asked}" in str(snakemake.specifier).split(",")


def test_no_file_names_an_index() -> None:
    # This file has to spell out what it looks for; -I leaves out what is not text.
    index = r"index[-_]url|find[-_]links|/simple/?([[:space:]\"']|$)|simple/"
    command = ["git", "grep", "--untracked", "-nIiE", "-e", index, "--", ".", ":!tests/workflow/test_environment.py"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")


def test_the_container_installs_the_pinned_versions() -> None:
    lines = (ROOT / "envs/Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == ["FROM python:3.12-slim"]
    (copied,) = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    assert copied[0] == "envs/requirements.txt"
    (install,) = [line for line in lines if "pip install" in line]
    assert f"--require-hashes -r {copied[1]}" in install


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What setup.sh looks at of a clone that is set up; an environment without packages stands for all of it."""
    root = tmp_path / "old clone"
    (root / "envs").mkdir(parents=True)
    for name in ("setup.sh", "requirements.txt", "uv.txt"):
        shutil.copy(ROOT / "envs" / name, root / "envs")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    shutil.copy(root / "envs/requirements.txt", root / ".venv/installed-requirements.txt")
    # A Python that is of the right version and can make nothing: what is tried is seen, and nothing is installed.
    (root / "python").write_text('#!/bin/sh\n[ "$1" = -c ]\n', encoding="utf-8")
    (root / "python").chmod(0o755)
    return root


def set_up(root: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["sh", "envs/setup.sh"], cwd=root, env=os.environ | {"PYTHON": "./python"}, capture_output=True, text=True
    )


def test_an_environment_that_is_there_is_left_alone(clone: Path) -> None:
    made = set_up(clone)
    assert (made.returncode, made.stderr) == (0, "")
    assert (clone / ".venv/installed-requirements.txt").exists()
    (clone.parent / "link").symlink_to(clone)
    assert set_up(clone.parent / "link").returncode == 0
    # As a worktree of this repository may have it.
    (clone / ".venv").rename(clone.parent / "elsewhere")
    (clone / ".venv").symlink_to(clone.parent / "elsewhere")
    assert "making it anew" in set_up(clone).stderr
    assert (clone.parent / "elsewhere/bin/activate").exists()


@pytest.mark.parametrize("way", [Path.rename, shutil.copytree])
def test_a_clone_that_was_moved_or_copied_gets_its_own_environment(clone: Path, way: Callable) -> None:
    new = clone.parent / "new clone"
    way(clone, new) if way is Path.rename else way(clone, new, symlinks=True)
    made = set_up(new)
    assert made.returncode != 0 and "it was moved or copied" in made.stderr
    assert not (new / ".venv").exists()


def test_an_environment_of_condas_is_left_to_its_owner(clone: Path) -> None:
    (clone / ".venv/conda-meta").mkdir()
    (clone / ".venv/bin/activate").unlink()
    made = set_up(clone)
    assert made.returncode == 1 and made.stderr.startswith("error: .venv is an environment of conda's")
    assert (clone / ".venv/conda-meta").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(clone: Path) -> None:
    (clone / ".venv/bin/python").unlink()
    assert "its Python is gone" in set_up(clone).stderr


@pytest.fixture
def calls(clone: Path) -> Callable[..., list[str]]:
    """Set up anew with programs that only write down what they are told; return that, a line a call."""
    (clone / ".venv/installed-requirements.txt").unlink()
    for name in ("python", "uv"):
        program = clone / ".venv/bin" / name
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> told\n[ "$1" != "$FAILS" ]\n', encoding="utf-8")
        program.chmod(0o755)

    def call(**said: str) -> list[str]:
        made = subprocess.run(["sh", "envs/setup.sh"], cwd=clone, env=os.environ | said, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        assert " GB" in made.stderr.splitlines()[0]
        assert (clone / ".venv/installed-requirements.txt").exists()
        return [line for line in (clone / "told").read_text(encoding="utf-8").splitlines() if "install" in line]

    return call


@pytest.mark.parametrize("fails", ["", "pip"])
def test_set_up_installs_the_pinned_versions(calls: Callable, fails: str) -> None:
    ends = ["envs/uv.txt", "envs/requirements.txt", "envs/requirements.txt"][: 3 if fails else 2]
    # The program of pip is Python, `python -m pip`.
    said = calls(FAILS=fails)
    assert [line.split(" --require-hashes -r ")[1] for line in said] == ends
    assert [line.split()[0] for line in said] == ["python", "uv", "python"][: len(ends)]


def test_set_up_for_a_cpu_leaves_out_cuda_and_nothing_else(calls: Callable, clone: Path) -> None:
    *_, hashed, unhashed = calls(TORCH="cpu")
    assert hashed.endswith("--no-deps --require-hashes -r .venv/without-cuda.txt")
    given = unhashed.split(" --no-deps --torch-backend cpu ")[1].split()
    assert dict(one.split("==") for one in given) == TORCH
    everything, taken = pinned(clone / "envs/requirements.txt"), pinned(clone / ".venv/without-cuda.txt")
    assert [one for one in everything if one in taken] == taken
    left_out = {one.name for one, _ in everything} - {one.name for one, _ in taken}
    assert {name for name in left_out if not name.startswith(("nvidia-", "cuda-"))} == {*TORCH, "triton"}
    assert not any(one.name.startswith(("nvidia", "cuda")) for one, _ in taken)


def test_another_torch_than_these_two_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".venv/installed-requirements.txt").unlink()
    monkeypatch.setenv("TORCH", "gpu")
    made = set_up(clone)
    assert (made.returncode, made.stderr) == (1, "error: TORCH=gpu: give TORCH=cpu, or leave it out\n")
