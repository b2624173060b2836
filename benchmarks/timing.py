"""What the benchmarks measure with."""

import time
from collections.abc import Callable


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
