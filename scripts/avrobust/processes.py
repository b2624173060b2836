"""Work done in several processes, its results in order, and nothing left behind when the program is killed."""

import gc
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from avrobust.program import SIGTERM_SPREAD, UserError

Given, Made = TypeVar("Given"), TypeVar("Made")

# Items under way for each process: enough that none waits, few enough that memory stays flat.
UNDER_WAY = 3


def in_order(make: Callable[[Given], Made], given: Iterable[Given], processes: int) -> Iterator[tuple[Given, Made]]:
    """Yield (item, make(item)) in the order given, made in that many processes, never far ahead.

    One process means this one. Raises UserError if a process dies, and names the items it may have been.
    """
    if processes == 1:
        yield from ((item, make(item)) for item in given)
        return
    # Not forked: the libraries in use hold threads and locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin)
    under_way: deque[tuple[Given, Future[Made]]] = deque()
    try:
        for item in given:
            under_way.append((item, pool.submit(make, item)))
            if len(under_way) == UNDER_WAY * processes:
                yield under_way[0][0], under_way[0][1].result()
                under_way.popleft()
        while under_way:
            yield under_way[0][0], under_way[0][1].result()
            under_way.popleft()
    except BrokenProcessPool:
        # It may have been SIGTERM, which is then about to come here.
        time.sleep(SIGTERM_SPREAD)
        suspects = "; ".join(str(item) for item, future in under_way if not future.done() or future.exception())
        raise UserError(f"a worker process died, from a crash or lack of memory, at one of: {suspects}") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Make this worker process end when the program that started it is killed; idle workers would stay for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    # What was imported stays, and need not be looked through for garbage.
    gc.freeze()
