"""How torch runs in a program that trains or attacks: device, threads, precision, memory."""

import ctypes
import sys

import torch

from avrobust.program import UserError

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def prepare(device: str, threads: int) -> torch.device:
    """Set torch up and return the device for `auto`, `cpu` or `cuda`; `auto` takes a CUDA GPU if there is one.

    From then on torch uses `threads` threads, and convolutions are computed in float32, not in TF32, which cuDNN would
    take without being asked, and by algorithms that give the same bits again: the sign of a small gradient must not
    depend on chance.

    Raises:
        UserError: `cuda` is wanted and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but torch sees no CUDA GPU; set `device: cpu` to run without one")
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


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
