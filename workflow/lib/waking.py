"""How often Snakemake looks whether a job can start while none can."""

import threading
from typing import Any


def by_one_timer(scheduler: Any) -> None:
    """Let Snakemake's `scheduler` wake itself by one timer at a time.

    A second after it looked it looks again, for a limit of jobs a second may have held some back. What ends a job lets
    it look as well, and each look starts a timer, which ends in another look: after 100 jobs it looked 100 times a
    second, at every file that the jobs in its queue read. 144 jobs that did nothing but wait for 2.5 seconds cost it
    27 seconds of CPU time, with one timer 16.
    """
    if not hasattr(scheduler, "_schedule_reevalutation"):
        return  # another version of Snakemake's, which may do it otherwise
    waiting: set[float] = set()

    def wake(delay: float) -> None:
        waiting.discard(delay)
        scheduler._open_jobs.release()

    def wake_later(delay: float) -> None:
        if delay not in waiting:
            waiting.add(delay)
            threading.Timer(delay, wake, [delay]).start()

    scheduler._schedule_reevalutation = wake_later
