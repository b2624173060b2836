"""How torch runs in a program that trains or attacks: device, instructions, threads, precision, memory."""

import ctypes
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from avrobust.processor import has_common_instructions
from avrobust.program import UserError

log = logging.getLogger(__name__)

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

DEVICES = ("auto", "cpu", "cuda", "cuda_or_cpu")

# Each part of torch that chooses by the processor takes what x86-64 has had since AVX2. MKL's AVX2 is not the same on
# AMD and Intel; COMPATIBLE is (oneMKL developer guide: conditional numerical reproducibility), but for roots, log10,
# log2 and arcs of tensors, which nothing here takes.
INSTRUCTIONS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}


def prepare(device: str, threads: int) -> torch.device:
    """Set torch up and return the device: a CUDA GPU if there is one, unless `device` (of `DEVICES`) is `cpu`.

    To be called before torch computes anything. From then on torch uses `threads` threads and on a CPU the
    instructions that processors have in common (`take_common_instructions`); on a GPU convolutions are computed in
    float32, not in TF32, which cuDNN would take without being asked, and by algorithms that give the same bits again:
    the sign of a small gradient must not depend on chance.

    Raises:
        UserError: there is none, and it is wanted (`cuda`), or SLURM has given one to this job (`auto`).
    """
    cuda = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise UserError("device is cuda, but torch sees no CUDA GPU; set `device: cpu` to run without one")
    if device == "auto" and not cuda and (promise := promised_gpus(os.environ)):
        raise UserError(
            f"SLURM gave this job a GPU ({promise}), but torch sees no CUDA GPU on {os.uname().nodename}; see what "
            "nvidia-smi says there, or set `device: cuda_or_cpu` in config.yaml to run on the CPU where that happens"
        )
    if not cuda:
        take_common_instructions()
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if cuda else "cpu")


def promised_gpus(environment: Mapping[str, str]) -> str:
    """Return what SLURM says in a job's environment of the GPUs that it gave to it, "" where it gave none.

    `SLURM_JOB_GPUS` and `SLURM_STEP_GPUS` are the GPUs' numbers, of which 0 is the first GPU; `SLURM_GPUS_ON_NODE` is
    how many they are (see the manual of SLURM: output environment variables).
    """
    said = {name: environment.get(f"SLURM_{name}", "") for name in ("JOB_GPUS", "STEP_GPUS", "GPUS_ON_NODE")}
    nothing = {"GPUS_ON_NODE": "0"}
    return ", ".join(f"SLURM_{name}={value}" for name, value in said.items() if value and value != nothing.get(name))


def take_common_instructions() -> None:
    """Let torch compute alike on every x86-64 processor with AVX2 and FMA; on others this does nothing.

    By default ATen, oneDNN and MKL each take the widest instructions that there are, and MKL looks at the maker too.
    Their sums then differ in the last bits, and after some epochs a net recognises other clips. They read the
    environment when they first compute; a value that it has already is replaced, and a line in the log says so.
    """
    if not has_common_instructions():
        return
    for name, value in INSTRUCTIONS.items():
        if (given := os.environ.get(name, value)) != value:
            log.warning("%s=%s of the environment is not taken: results are made with %s", name, given, value)
        os.environ[name] = value


def keep_freed_memory() -> None:
    """Let glibc reuse what a training or attack step frees; elsewhere this does nothing.

    By default large blocks come from the system and go back to it at every step, zeroed anew each time. On a CPU at
    the paper's sizes that takes as long as the arithmetic. The peak stays the same.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_MAX, 0)


def give_back_freed_memory() -> None:
    """Give the system what glibc keeps between blocks that are in use; elsewhere this does nothing.

    One attack after another leaves ever more of it: ten of a bundle took 2 GB where each by itself takes 0.9.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


class KeptMemory:
    """What glibc keeps from one piece of work to the next: given back when it is more than any one leaves behind.

    What has gone back is zeroed anew when it is needed again; to give it back after each took a bundle 5 % of its time.
    """

    def __init__(self) -> None:
        self._most, self._begun_anew = 0, True

    def after_work(self) -> None:
        """Give freed memory back to the system if the process holds more than after work that began without any."""
        held = _resident()
        if self._begun_anew:
            self._most = max(self._most, held)
        self._begun_anew = held > self._most
        if self._begun_anew:
            give_back_freed_memory()


def _resident() -> int:
    """Return how many pages of memory the process holds, 0 where nothing tells."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
