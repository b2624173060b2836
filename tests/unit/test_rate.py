"""The budget: with a clock of its own, and between real processes."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data.rate import LONGEST_ASKED, LONGEST_SLEEP, LONGEST_WAIT, Budget, Throttled
from avrobust.program import UserError, run

SCRIPTS = Path(__file__).parents[2] / "scripts"
HOST = "www.example.org"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(tmp_path, clock):
    def make(per_hour: float = 360.0, **named) -> Budget:
        return Budget(tmp_path / "rate.json", per_hour, clock=clock, sleep=clock.sleep, random=Random(0), **named)

    return make


def starts(path: Path, host: str = HOST) -> list[float]:
    return json.loads(path.read_text())[host]["starts"]


def check_bound(times: list[float], gap: float, burst: int) -> None:
    """Check that between n starts lie n - burst gaps at least."""
    for first in range(len(times)):
        for last in range(first + burst, len(times)):
            assert times[last] - times[first] >= (last - first + 1 - burst) * gap - 1e-6


def test_the_folder_of_the_file_is_made(tmp_path, clock):
    Budget(tmp_path / "new/rate.json", 360.0, clock=clock, sleep=clock.sleep, random=Random(0)).acquire(HOST)
    assert len(starts(tmp_path / "new/rate.json")) == 1


def test_starts_keep_the_rate_and_are_not_regular(budget, clock, tmp_path):
    made, began = budget(360.0), clock.now
    waited = [made.acquire(HOST) for _ in range(400)]
    times = starts(tmp_path / "rate.json")
    check_bound(times, 10.0, 2)
    # The mean is the rate; a random part of the gap comes and goes.
    assert clock.now - began == pytest.approx(398 * 10.0, abs=10.0)
    assert sum(waited) == pytest.approx(clock.now - began)
    gaps = [later - sooner for sooner, later in pairwise(times[2:])]
    assert min(gaps) < 7.0 and max(gaps) > 13.0
    assert max(clock.slept) <= 60.0


@given(st.integers(1, 5), st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30), st.integers(0, 2**32))
def test_the_bound_holds_however_videos_come(tmp_path_factory, burst, idle, seed):
    path, clock = tmp_path_factory.mktemp("rate") / "rate.json", Clock()
    made = Budget(path, 360.0, burst=burst, clock=clock, sleep=clock.sleep, random=Random(seed))
    for seconds in idle:
        clock.now += seconds
        made.acquire(HOST)
    check_bound(starts(path), 10.0, burst)


def test_hosts_have_budgets_of_their_own(budget):
    made = budget(1.0)
    assert [made.acquire("one"), made.acquire("two")] == [0.0, 0.0]


def test_budgets_of_one_file_are_one_budget(budget, clock, tmp_path):
    one, other = budget(360.0), budget(360.0)
    for _ in range(20):
        one.acquire(HOST)
        other.acquire(HOST)
    check_bound(starts(tmp_path / "rate.json"), 10.0, 2)


def test_a_throttled_site_is_left_alone_by_all(budget, clock):
    one, other = budget(), budget()
    one.acquire(HOST)
    one.throttled(HOST, None)
    waited = other.acquire(HOST)
    assert 1800.0 <= waited <= 1.25 * 1800.0
    # Another site has nothing to do with it.
    assert other.acquire("elsewhere") == 0.0


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(10.0, 1800.0, 2250.0), (5000.0, 5000.0, 5000.0), (1e30, LONGEST_ASKED, LONGEST_ASKED), (-5.0, 1800.0, 2250.0)],
)
def test_a_server_may_ask_for_longer(budget, asked, least, most):
    made = budget()
    made.throttled(HOST, asked)
    assert least <= made.acquire(HOST) <= most + 1e-6


def test_the_wait_doubles_and_then_the_run_ends(budget, clock):
    made = budget(first_wait=1000.0, waits=4)
    waits = []
    for _ in range(3):
        made.throttled(HOST)
        waits.append(made.acquire(HOST))
    for wait, doubled in zip(waits, (1000.0, 2000.0, LONGEST_WAIT), strict=True):
        assert doubled <= wait <= min(1.25 * doubled, LONGEST_WAIT) + 1e-6
    made.throttled(HOST)
    before = clock.now
    with pytest.raises(Throttled, match=rf"{HOST} refused .* 4 times .* after \d{{4}}-\d\d-\d\d \d\d:\d\d") as caught:
        made.acquire(HOST)
    assert clock.now == before and caught.value.until == pytest.approx(before + LONGEST_WAIT)
    assert isinstance(caught.value, UserError) and len(str(caught.value).splitlines()) == 1
    # A run after that time tries once more, and a refusal ends it again.
    clock.now = caught.value.until
    assert made.acquire(HOST) == 0.0
    made.throttled(HOST)
    with pytest.raises(Throttled):
        made.acquire(HOST)


def test_a_worker_that_waits_ends_when_another_one_is_refused_for_the_last_time(budget, clock):
    waiting, other = budget(1.0, waits=1), budget(1.0, waits=1)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            other.throttled(HOST)

    waiting.sleep = sleep
    began = clock.now
    waiting.acquire(HOST)
    with pytest.raises(Throttled):
        waiting.acquire(HOST)
    assert clock.now == began + 3 * LONGEST_SLEEP


def test_a_success_ends_the_row(budget, clock):
    made = budget()
    for _ in range(5):
        made.throttled(HOST)
        assert made.acquire(HOST) <= 1.25 * 1800.0 + 1e-6
        made.succeeded(HOST)


def test_what_had_begun_before_the_refusal_changes_nothing(budget):
    made = budget()
    for _ in range(3):
        made.throttled(HOST)
    made.succeeded(HOST)
    assert 1800.0 <= made.acquire(HOST) <= 1.25 * 1800.0 + 1e-6
    # It was the first in a row, not the fourth and not forgotten.
    made.throttled(HOST)
    assert made.acquire(HOST) >= 2 * 1800.0 - 1e-6


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'{"www.example.org": {"due": 1}}', b'{"a": 1}']
)
def test_a_damaged_file_is_started_anew(budget, tmp_path, caplog, content):
    path = tmp_path / "rate.json"
    path.write_bytes(content)
    assert budget().acquire(HOST) == 0.0
    assert "damaged" in caplog.text and len(starts(path)) == 1
    caplog.clear()
    budget().acquire(HOST)
    assert not caplog.text


def test_a_number_that_is_none_is_damage(budget, tmp_path, caplog):
    made = budget()
    made.acquire(HOST)
    state = json.loads((tmp_path / "rate.json").read_text())
    state[HOST]["due"] = float("nan")
    (tmp_path / "rate.json").write_text(json.dumps(state))
    assert made.acquire(HOST) == 0.0 and "damaged" in caplog.text


def test_a_clock_that_is_put_back_stops_nobody_for_long(budget, clock):
    made = budget(360.0)
    made.acquire(HOST)
    clock.now -= 1e6
    assert made.acquire(HOST) <= 2 * 10.0
    clock.now += 1e6
    made.throttled(HOST)
    clock.now -= 1e6
    assert made.acquire(HOST) <= LONGEST_ASKED


def test_a_long_wait_is_told_once_a_minute(budget, clock, caplog):
    caplog.set_level(logging.INFO)
    made = budget(12.0)
    made.acquire(HOST)
    caplog.clear()
    made.acquire(HOST)
    wait = sum(clock.slept)
    assert wait > 10.0
    assert len(caplog.messages) == -(-(wait - 10.0) // 60.0)
    assert all(f"{HOST}: the next video may begin in" in message for message in caplog.messages)
    caplog.clear()
    budget(3600.0).acquire("elsewhere")
    assert not caplog.messages


@pytest.mark.parametrize("per_hour", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_a_mistake_of_the_user(tmp_path, per_hour):
    with pytest.raises(UserError, match="no rate"):
        Budget(tmp_path / "rate.json", per_hour)


def test_a_place_that_cannot_be_written_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be shared"):
        Budget(tmp_path / "file/rate.json", 250.0).acquire(HOST)


def test_the_end_of_a_run_is_one_line():
    def main() -> None:
        raise Throttled(HOST, 3, 0.0)

    with pytest.raises(SystemExit, match=f"^error: {HOST} refused"):
        run(main)


def worker(path: Path, code: str) -> subprocess.Popen:
    head = f"from avrobust.data.rate import Budget; budget = Budget({str(path)!r}, 36000.0)\n"
    return subprocess.Popen([sys.executable, "-c", head + code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})


def test_two_processes_share_one_budget(tmp_path):
    path = tmp_path / "rate.json"
    both = [worker(path, f"[budget.acquire({HOST!r}) for _ in range(20)]") for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    times = starts(path)
    assert len(times) == 40 and times == sorted(times)
    check_bound(times, 0.1, 2)


def test_a_process_that_is_killed_holds_nobody_up(tmp_path):
    path = tmp_path / "rate.json"
    held = tmp_path / "held"
    lines = ["import pathlib, time", f"with budget._state({HOST!r}):"]
    lines += [f"    pathlib.Path({str(held)!r}).touch()", "    time.sleep(600)"]
    holder = worker(path, "\n".join(lines))
    while not held.exists() and holder.poll() is None:
        time.sleep(0.01)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert held.exists()
    budget = Budget(path, 36000.0)
    budget.acquire(HOST)
    assert len(starts(path)) == 1


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(89, "89 s"), (90, "2 min"), (600, "10 min"), (5399, "90 min"), (5400, "1.5 h"), (36000, "10.0 h")],
)
def test_a_wait_is_told_in_fitting_units(budget, caplog, seconds, told):
    budget(first_wait=1.0).throttled(HOST, retry_after=float(seconds))
    assert caplog.messages == [f"{HOST} refuses requests: no video begins for {told}"]
