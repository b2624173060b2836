"""What is written down about how a result was made."""

import pytest

from avrobust import provenance
from avrobust.provenance import Waited


def test_only_waiting_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds for each of three items and one for their end, twice; what is done with an item is not waiting."""
    now = 0.0

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    class Slow:
        def __iter__(self):
            for item in "abc":
                work(2)
                yield item
            work(1)

    monkeypatch.setattr(provenance.time, "perf_counter", lambda: now)
    items = Waited(Slow())
    for _ in range(2):
        for _ in items:
            work(100)
    assert items.seconds == 14
    assert list(items) == list("abc")
