"""What Snakemake does when its terminal is closed."""

import os
import signal
import threading


def end_as_by_ctrl_c() -> None:
    """Let SIGHUP do what Ctrl-C does: jobs are ended and the lock is removed, so that the same command goes on.

    By itself it kills Snakemake at once, and the lock stays. Under nohup it goes on being ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # somebody's program that uses Snakemake as a library
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _end)


def _end(*_: object) -> None:
    import psutil  # Snakemake's own

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A shell passes the signal on to jobs, a terminal's end does not; Snakemake would wait for them.
    for job in psutil.Process().children(recursive=True):
        try:
            job.send_signal(signal.SIGHUP)
        except psutil.NoSuchProcess:
            continue
    os.kill(os.getpid(), signal.SIGINT)
