"""A closed terminal ends Snakemake as Ctrl-C does; tests/end_to_end/test_interruption.py does it to a run."""

import os
import signal
from collections.abc import Iterator

import pytest

from lib import hangup


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_hangup_does_not_interrupt_the_end(handlers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal's end may reach Snakemake twice: from the shell and from the kernel."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A shell's background command ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup.end_as_by_ctrl_c()
    monkeypatch.setattr("psutil.Process.children", lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP) or [])
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGHUP)
        signal.pause()


def test_under_nohup_it_stays_ignored(handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hangup.end_as_by_ctrl_c()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
