"""What is written down about how a result was made."""

import pytest
import torch

from avrobust import provenance
from avrobust.provenance import Meter, Waited


def test_a_meter_counts_from_its_making_on(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((5.0, 7.5, 10.0))
    monkeypatch.setattr(provenance.time, "perf_counter", lambda: next(times))
    meter = Meter(torch.device("cpu"))
    told = meter.read()
    assert (told["seconds"], meter.read()["seconds"]) == (2.5, 5.0)
    # torch alone takes more than 100 MiB, and this is no unit too small or too large.
    assert 100 < told["peak_memory_mib"] < 100_000
    assert told["peak_gpu_memory_mib"] == 0 and told["device"].endswith(" CPU")


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
