"""The device that a program takes, by what SLURM promised and what torch sees here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avrobust.runtime import promised_gpus

SCRIPTS = Path(__file__).parents[2] / "scripts"
CODE = """
import sys
from avrobust.program import run
from avrobust.runtime import prepare
run(lambda: print(prepare(sys.argv[1], 1).type))
"""
SAYS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")
# The first GPU of a node has the number 0; as a count it is none.
PROMISES = [{"SLURM_JOB_GPUS": "0"}, {"SLURM_STEP_GPUS": "2,3"}, {"SLURM_GPUS_ON_NODE": "1"}]
NO_PROMISES = [{}, {"SLURM_JOB_ID": "7"}, {"SLURM_JOB_GPUS": ""}, {"SLURM_GPUS_ON_NODE": "0"}]


def prepared(device: str, **said: str) -> tuple[int, str]:
    """Prepare in a process in which torch sees no GPU, on any machine; return its status and what it wrote."""
    own = {name: value for name, value in os.environ.items() if name not in SAYS}
    made = subprocess.run(
        [sys.executable, "-c", CODE, device],
        env={**own, "PYTHONPATH": str(SCRIPTS), "CUDA_VISIBLE_DEVICES": "", **said},
        capture_output=True,
        text=True,
    )
    return made.returncode, (made.stdout + made.stderr).strip()


@pytest.mark.parametrize("said", PROMISES)
def test_what_slurm_promises(said: dict) -> None:
    ((name, value),) = said.items()
    assert promised_gpus(said) == f"{name}={value}"


@pytest.mark.parametrize("said", NO_PROMISES)
def test_what_is_no_promise(said: dict) -> None:
    assert promised_gpus(said) == ""


def test_all_of_a_promise_is_told() -> None:
    assert promised_gpus({"SLURM_JOB_GPUS": "1", "SLURM_GPUS_ON_NODE": "1"}) == "SLURM_JOB_GPUS=1, SLURM_GPUS_ON_NODE=1"


def test_a_broken_promise_is_an_error_that_names_it_and_the_setting() -> None:
    status, text = prepared("auto", SLURM_JOB_GPUS="0")
    assert status == 1
    assert text.startswith("error: SLURM gave this job a GPU (SLURM_JOB_GPUS=0), but torch sees no CUDA GPU")
    assert "device: cuda_or_cpu" in text and len(text.splitlines()) == 1


@pytest.mark.parametrize(("device", "said"), [("auto", {}), ("cuda_or_cpu", PROMISES[0]), ("cpu", PROMISES[0])])
def test_the_cpu_is_taken_where_nothing_was_promised_or_it_is_allowed(device: str, said: dict) -> None:
    assert prepared(device, **said) == (0, "cpu")


def test_cuda_is_never_done_without() -> None:
    said = "error: device is cuda, but torch sees no CUDA GPU; set `device: cpu` to run without one"
    assert prepared("cuda") == (1, said)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")
@pytest.mark.parametrize("device", ["auto", "cuda", "cuda_or_cpu"])
def test_a_gpu_is_taken_where_there_is_one(device: str) -> None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    assert prepared(device, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES=visible) == (0, "cuda")
