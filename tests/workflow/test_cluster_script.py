"""tests/slurm/cluster.sh leaves the SLURM of a site alone. What it does with its own is tried by .ci/run."""

import os
import subprocess
from pathlib import Path

import pytest
from planning import ROOT

SINFO = "#!/bin/sh\necho 'NODELIST PARTITION STATE'\necho 'node1 gpu idle 64 CPUs, 512000 MB, gpu:h200:4'\n"
SCONTROL = "#!/bin/sh\necho 'ClusterName             = campus'\necho 'SlurmctldHost[0]        = login1'\n"


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """Commands that answer as those of a site's cluster do."""
    for name, text in (("sinfo", SINFO), ("scontrol", SCONTROL)):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def cluster(word: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [ROOT / "tests/slurm/cluster.sh", word], env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_sites_slurm_is_none_to_test_on(site: dict[str, str]) -> None:
    run = cluster("status", site)
    assert (run.returncode, run.stdout) == (3, "cluster: not running\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts and stops it")
@pytest.mark.parametrize("word", ["start", "use", "stop", "release"])
def test_a_sites_slurm_is_left_alone(site: dict[str, str], word: str) -> None:
    run = cluster(word, site)
    assert run.returncode == 1
    assert run.stderr.startswith("error: the SLURM that answers here, campus, is not of this script")
    assert run.stderr.count("\n") == 1
