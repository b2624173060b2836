"""How often Snakemake looks whether a job can start while none can."""

import threading
import time
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
    # Delay -> when it was last asked for, in the monotonic clock's seconds, while a timer of it runs.
    asked: dict[float, float] = {}

    def start(delay: float, seconds: float) -> None:
        threading.Timer(seconds, wake, [delay, time.monotonic()]).start()

    def wake(delay: float, started: float) -> None:
        # Who asked after the timer started is to be waken later than it rings.
        last = asked[delay]
        if last > started:
            start(delay, max(0.0, last + delay - time.monotonic()))
        else:
            del asked[delay]
        scheduler._open_jobs.release()

    def wake_later(delay: float) -> None:
        rings = delay in asked
        asked[delay] = time.monotonic()
        if not rings:
            start(delay, delay)

    scheduler._schedule_reevalutation = wake_later
