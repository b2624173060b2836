"""What a result was made with: versions, device, time and memory."""

import platform
import resource
import sys
import time

import torch

from avrobust.program import UserError


def prepare_device(wanted: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; `auto` takes a CUDA GPU if there is one.

    From then on convolutions are computed in float32, not in TF32, which cuDNN would take without being asked, and
    by algorithms that give the same bits again: the sign of a small gradient must not depend on chance.

    Raises:
        UserError: `cuda` is wanted and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but torch sees no CUDA GPU; set `device: cpu` to run without one")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


class Meter:
    """Seconds and peak memory from its making on."""

    def __init__(self, device: torch.device):
        self.device, self.start = device, time.perf_counter()

    def read(self) -> dict:
        """Return seconds, peak memory in MiB of the process and of the GPU, device and versions."""
        # Linux counts in KiB, macOS in bytes.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if cuda else platform.machine() + " CPU",
            "seconds": round(time.perf_counter() - self.start, 3),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit),
            "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated(self.device) / 2**20) if cuda else 0,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
