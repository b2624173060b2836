"""Work that may not fit into memory."""

from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def unless_memory_lacks(work: Callable[[], Made]) -> tuple[Made] | None:
    """Return what `work` makes, in a tuple; None for lack of memory.

    A function of its own, because the exception holds the tensors of the attempt as long as it is handled.
    """
    try:
        return (work(),)
    except RuntimeError as error:
        # On a CPU it is a RuntimeError like any other.
        lacking = isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(
            error
        )
        if not lacking:
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
