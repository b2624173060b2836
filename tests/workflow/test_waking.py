"""Snakemake's scheduler wakes for the first and for the last of all looks that ask for it, and when asked again."""

import threading
from types import SimpleNamespace

from snakemake.scheduling.job_scheduler import JobScheduler

from lib import waking

DELAY = 0.05


def test_looks_that_come_together_lead_to_that_of_the_first_and_that_of_the_last() -> None:
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0), _schedule_reevalutation=None)
    waking.by_one_timer(scheduler)
    for _ in range(2):
        for _ in range(50):
            scheduler._schedule_reevalutation(DELAY)
        assert all(scheduler._open_jobs.acquire(timeout=10) for _ in range(2))
        assert not scheduler._open_jobs.acquire(timeout=3 * DELAY)


def test_a_look_that_is_asked_for_alone_is_one() -> None:
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0), _schedule_reevalutation=None)
    waking.by_one_timer(scheduler)
    scheduler._schedule_reevalutation(DELAY)
    assert scheduler._open_jobs.acquire(timeout=10)
    assert not scheduler._open_jobs.acquire(timeout=3 * DELAY)


def test_another_delay_is_another_timer() -> None:
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0), _schedule_reevalutation=None)
    waking.by_one_timer(scheduler)
    for delay in (DELAY, 2 * DELAY):
        scheduler._schedule_reevalutation(delay)
    assert all(scheduler._open_jobs.acquire(timeout=10) for _ in range(2))
    assert not scheduler._open_jobs.acquire(timeout=3 * DELAY)


def test_a_scheduler_that_does_otherwise_is_left_alone() -> None:
    scheduler = SimpleNamespace()
    waking.by_one_timer(scheduler)
    assert vars(scheduler) == {}
    # The version that is installed is none of these.
    assert hasattr(JobScheduler, "_schedule_reevalutation")
