"""The device that a program takes, by what SLURM promised and what torch sees here, and the instructions on a CPU."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import preloaded
import pytest
import torch

from avrobust import runtime
from avrobust.processor import flags, has_common_instructions, name
from avrobust.runtime import INSTRUCTIONS, promised_gpus

SCRIPTS = Path(__file__).parents[2] / "scripts"
OURS = f"import sys\nsys.path.append({str(SCRIPTS)!r})\n"
CODE = """
from avrobust.program import run
from avrobust.runtime import prepare
run(lambda: print(prepare(sys.argv[1], 1).type))
"""
SAYS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")
# The first GPU of a node has the number 0; as a count it is none.
PROMISES = [{"SLURM_JOB_GPUS": "0"}, {"SLURM_STEP_GPUS": "2,3"}, {"SLURM_GPUS_ON_NODE": "1"}]
NO_PROMISES = [{}, {"SLURM_JOB_ID": "7"}, {"SLURM_JOB_GPUS": ""}, {"SLURM_GPUS_ON_NODE": "0"}]


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Prepare in a process in which torch sees no GPU, on any machine; return its status and what it wrote."""
    (tmp_path / "prepared.py").write_text(OURS + CODE, encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if name not in SAYS}

    def run(device: str, **said: str) -> tuple[int, str]:
        environment = {**own, "CUDA_VISIBLE_DEVICES": "", **said}
        made = preloaded.program([tmp_path / "prepared.py", device], environment=environment)
        return made.returncode, (made.stdout + made.stderr).strip()

    return run


@pytest.mark.parametrize("said", PROMISES)
def test_what_slurm_promises(said: dict) -> None:
    ((name, value),) = said.items()
    assert promised_gpus(said) == f"{name}={value}"


@pytest.mark.parametrize("said", NO_PROMISES)
def test_what_is_no_promise(said: dict) -> None:
    assert promised_gpus(said) == ""


def test_all_of_a_promise_is_told() -> None:
    assert promised_gpus({"SLURM_JOB_GPUS": "1", "SLURM_GPUS_ON_NODE": "1"}) == "SLURM_JOB_GPUS=1, SLURM_GPUS_ON_NODE=1"


def test_a_broken_promise_is_an_error_that_names_it_and_the_setting(prepared) -> None:
    status, text = prepared("auto", SLURM_JOB_GPUS="0")
    assert status == 1
    assert text.startswith("error: SLURM gave this job a GPU (SLURM_JOB_GPUS=0), but torch sees no CUDA GPU")
    assert "device: cuda_or_cpu" in text and len(text.splitlines()) == 1


@pytest.mark.parametrize(("device", "said"), [("auto", {}), ("cuda_or_cpu", PROMISES[0]), ("cpu", PROMISES[0])])
def test_the_cpu_is_taken_where_nothing_was_promised_or_it_is_allowed(prepared, device: str, said: dict) -> None:
    assert prepared(device, **said) == (0, "cpu")


def test_cuda_is_never_done_without(prepared) -> None:
    said = "error: device is cuda, but torch sees no CUDA GPU; set `device: cpu` to run without one"
    assert prepared("cuda") == (1, said)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")
@pytest.mark.parametrize("device", ["auto", "cuda", "cuda_or_cpu"])
def test_a_gpu_is_taken_where_there_is_one(prepared, device: str) -> None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    assert prepared(device, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES=visible) == (0, "cuda")


# As `CODE`, for each device where torch says that there is a GPU; none is touched. It says what cuDNN may do.
WITH_A_GPU = """
import torch
from avrobust.runtime import prepare
torch.cuda.is_available = lambda: True
cudnn = torch.backends.cudnn
for device in sys.argv[1:]:
    torch.set_num_threads(1)
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = True, True, False
    print(prepare(device, 3), torch.get_num_threads(), cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic)
"""


def test_a_gpu_that_is_there_is_taken_unless_the_device_is_cpu(tmp_path: Path) -> None:
    """Convolutions in float32, by algorithms that give the same bits again."""
    taken = {"auto": "cuda", "cuda": "cuda", "cuda_or_cpu": "cuda", "cpu": "cpu"}
    (tmp_path / "prepared.py").write_text(OURS + WITH_A_GPU, encoding="utf-8")
    made = preloaded.program([tmp_path / "prepared.py", *taken])
    assert made.stdout.splitlines() == [f"{device} 3 False False True" for device in taken.values()]


# Pages that the system has to give, and to zero, for 64 MB of the 128 MB that were there a moment ago.
FREED = """
import resource
import torch
from avrobust.runtime import prepare
prepare("cpu", 1)
torch.ones(2**25)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_what_a_step_frees_is_not_asked_of_the_system_again() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    made = subprocess.run([sys.executable, "-c", FREED], env=environment, capture_output=True, text=True, check=True)
    assert int(made.stdout) < 100


# One step of a small net: oneDNN's convolutions, MKL's products and ATen's exponentials and sums; prints its digest.
STEP = """
import hashlib
import torch
from avrobust.program import run
from avrobust.runtime import prepare

def main():
    prepare("cpu", 1)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv1d(1, 16, 9, 4), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Conv1d(16, 32, 9, 4),
        torch.nn.Flatten(), torch.nn.Linear(32 * 60, 128), torch.nn.Tanh(), torch.nn.Linear(128, 11),
    )
    sound = torch.randn(16, 1, 1000, requires_grad=True)
    torch.nn.functional.cross_entropy(net(sound), torch.arange(16) % 11).backward()
    made = [sound.grad, *(weight.grad for weight in net.parameters())]
    print(hashlib.sha256(b"".join(part.numpy().tobytes() for part in made)).hexdigest())

run(main)
"""
OTHERS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AVX2"}


def step(**said: str) -> subprocess.CompletedProcess:
    """Take that step in a process whose environment says nothing of instructions but `said`."""
    own = {key: value for key, value in os.environ.items() if key not in INSTRUCTIONS}
    environment = {**own, "PYTHONPATH": str(SCRIPTS), **said}
    return subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def common_step() -> str:
    """The digest of the step where the environment names the instructions that all take."""
    made = step(**INSTRUCTIONS)
    assert made.stderr == ""
    return made.stdout


@pytest.mark.skipif(not has_common_instructions(), reason="this processor has not the instructions that are taken")
@pytest.mark.parametrize("variable", OTHERS)
def test_what_the_environment_says_of_instructions_changes_no_bit_and_a_line_says_so(variable, common_step) -> None:
    made = step(**{variable: OTHERS[variable]})
    assert made.stdout == common_step
    taken = f"{variable}={OTHERS[variable]} of the environment is not taken: results are made with"
    assert taken in made.stderr and len(made.stderr.splitlines()) == 1


@pytest.mark.skipif(not has_common_instructions(), reason="this processor has not the instructions that are taken")
def test_where_the_environment_says_nothing_the_same_instructions_are_taken(common_step) -> None:
    assert step().stdout == common_step


CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse2 avx2 fma

processor\t: 1
vendor_id\t: Other
flags\t\t: none
"""


def test_the_first_processor_is_named_with_maker_family_and_model(tmp_path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO, encoding="utf-8")
    assert name(tmp_path / "cpuinfo") == "AMD EPYC (AuthenticAMD, cpu family 25, model 17, stepping 1)"
    assert flags(tmp_path / "cpuinfo") == {"fpu", "sse2", "avx2", "fma"}


def test_where_linux_says_nothing_no_flag_is_known(tmp_path) -> None:
    assert flags(tmp_path / "none") == set()
    assert name(tmp_path / "none")


HEAP = """
import torch
from avrobust.runtime import give_back_freed_memory, keep_freed_memory

def used():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))

keep_freed_memory()
blocks = [torch.ones(2**18) for _ in range(400)]
kept = blocks[-1]
del blocks
before = used()
give_back_freed_memory()
print(before - used(), kept.sum().item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps it")
def test_what_is_freed_below_what_is_in_use_goes_back_to_the_system():
    """400 MiB of which the last is still there; torch's values stay."""
    made = subprocess.run([sys.executable, "-c", HEAP], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    freed, kept = made.stdout.split()
    assert int(freed) > 300 and float(kept) == 2**18


def test_kept_memory_goes_back_when_it_is_more_than_one_piece_of_work_leaves(monkeypatch):
    """400 after the first, which began with none; 500 goes back, so that the next one tells how much it leaves."""
    given_back = []
    monkeypatch.setattr(runtime, "give_back_freed_memory", lambda: given_back.append(True))
    kept, gone = runtime.KeptMemory(), []
    for held in (400, 400, 500, 450, 450, 500, 300):
        monkeypatch.setattr(runtime, "_resident", lambda held=held: held)
        kept.after_work()
        gone.append(len(given_back))
    assert gone == [0, 0, 1, 1, 1, 2, 2]
