"""What a result was made with: versions, device, time and memory."""

import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy
import torch

Item = TypeVar("Item")


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
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": numpy.__version__,
            },
        }


class Waited(Generic[Item]):
    """What an iterable yields; `seconds` is how long it has let its users wait for it, over all passes."""

    def __init__(self, items: Iterable[Item]):
        self._items, self.seconds = items, 0.0

    def __iter__(self) -> Iterator[Item]:
        start = time.perf_counter()
        for item in self._items:
            self.seconds += time.perf_counter() - start
            yield item
            start = time.perf_counter()
        self.seconds += time.perf_counter() - start
