"""One budget of requests per site, which all processes of a host address share through a file."""

import fcntl
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from avrobust.files import write_json
from avrobust.program import UserError

log = logging.getLogger(__name__)

# Seconds: the longest back-off, and how long is slept before the file is read again, for another process may have been
# throttled meanwhile.
LONGEST_WAIT, LONGEST_SLEEP = 3600.0, 60.0

# Seconds: a wait longer than this is told, and then told again so often.
TOLD_WAIT, TOLD_EVERY = 10.0, 60.0

# Seconds: a server that asks for more than a day is asked again after a day.
LONGEST_ASKED = 86400.0

# How many of the last starts the file keeps.
KEPT_STARTS = 500

# What the file says of a host, beside its last starts: when its bucket is full again, by how many gaps the next start
# is put off, when it may be asked again, and how often in a row it refused.
NUMBERS = ("due", "put_off", "closed_until", "refusals")


class Throttled(UserError):
    """A site refused several times in a row; `until` is when to try again, in seconds since 1970."""

    def __init__(self, host: str, times: int, until: float) -> None:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(until))
        super().__init__(
            f"{host} refused this machine's requests {times} times in a row; what was fetched is kept: run the same "
            f"command after {at}, perhaps with fewer videos per hour"
        )
        self.until = until


@dataclass
class Budget:
    """Lets videos of a site begin: `per_hour` of them on average, never more than `burst` ahead of that.

    Between any two starts with n - 1 others between them lie at least (n - burst) / per_hour hours, whichever processes
    they belong to. Each start is put off at random by up to half of the usual gap, so that requests are not regular.

    `path`: the file, JSON; a lock lies beside it. The system frees the lock of a process that is killed, and a file
    that cannot be read is started anew. `first_wait`: seconds of the first back-off. `waits`: after so many throttlings
    in a row `acquire` raises `Throttled`.
    """

    path: str | Path
    per_hour: float
    burst: int = 2
    first_wait: float = 1800.0
    waits: int = 3
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_hour) and self.per_hour > 0):
            raise UserError(f"{self.per_hour} videos per hour are no rate; give a number above 0")
        self.path, self.gap = Path(self.path), 3600.0 / self.per_hour

    def acquire(self, host: str) -> float:
        """Wait until one more video of `host` may begin, count it as begun, and return the seconds waited.

        Raises Throttled: the site refused `waits` times in a row, and its time is not yet over.
        """
        began = self.clock()
        told = None
        while (left := self._begin(host)) > 0:
            now = self.clock()
            if left > TOLD_WAIT and (told is None or now - told >= TOLD_EVERY):
                log.info("%s: the next video may begin in %s", host, _duration(left))
                told = now
            self.sleep(min(left, LONGEST_SLEEP))
        return self.clock() - began

    def throttled(self, host: str, retry_after: float | None = None) -> None:
        """Let no process begin a video of `host` before `retry_after` seconds, and not before the back-off is over.

        The back-off doubles with each throttling in a row, up to LONGEST_WAIT. One that is reported while the last one
        still holds belongs to a video that had begun before it, and is not counted again.
        """
        with self._state(host) as state:
            now = self.clock()
            if now >= state["closed_until"]:
                state["refusals"] += 1
                # The tenth power is beyond the longest wait, and a float has no thousandth.
                doubled = self.first_wait * 2 ** min(state["refusals"] - 1, 10)
                longest = max(LONGEST_WAIT, self.first_wait)
                state["closed_until"] = now + min(longest, doubled * self.random.uniform(1.0, 1.25))
            state["closed_until"] = max(state["closed_until"], now + min(retry_after or 0.0, LONGEST_ASKED))
            left = state["closed_until"] - now
        log.warning("%s refuses requests: no video begins for %s", host, _duration(left))

    def succeeded(self, host: str) -> None:
        """Forget the throttlings of `host`, unless the last one still holds: the video had begun before it."""
        with self._state(host) as state:
            if self.clock() >= state["closed_until"]:
                state["refusals"] = 0

    def _begin(self, host: str) -> float:
        """Count one video as begun and return 0, or return the seconds until that may be tried again."""
        with self._state(host) as state:
            now = self.clock()
            # What is further ahead was written before the clock was put back.
            state["due"] = min(state["due"], now + self.burst * self.gap)
            state["closed_until"] = min(state["closed_until"], now + LONGEST_ASKED)
            closed = state["closed_until"] - now
            if closed > 0:
                if state["refusals"] >= self.waits:
                    raise Throttled(host, state["refusals"], state["closed_until"])
                return closed
            wait = state["due"] - (self.burst - 1 - state["put_off"]) * self.gap - now
            if wait > 0:
                return wait
            state["due"] = max(state["due"], now) + self.gap
            state["put_off"] = self.random.uniform(0.0, 0.5)
            state["starts"] = [*state["starts"], now][-KEPT_STARTS:]
            return 0.0

    @contextmanager
    def _state(self, host: str) -> Iterator[dict]:
        """Yield what the file says of a host, for one process at a time, and write back what was made of it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                states = self._read()
                before = json.dumps(states.get(host))
                state = states.setdefault(host, {**dict.fromkeys(NUMBERS, 0), "starts": []})
                yield state
                if json.dumps(state) != before:
                    write_json(self.path, states)
        except OSError as error:
            raise UserError(
                f"{self.path}: the budget of requests cannot be shared there ({error.strerror}); name a file on a disk "
                "that can be written to and that knows locks (--rate-file)"
            ) from error

    def _read(self) -> dict[str, dict]:
        try:
            # A number that is none is damage, too.
            states = json.loads(self.path.read_text(encoding="utf-8"), parse_constant=int)
            return {
                host: {"starts": [at + 0 for at in state["starts"]], **{name: state[name] + 0 for name in NUMBERS}}
                for host, state in states.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, KeyError, TypeError):
            log.warning("%s is damaged; the budget of requests is started anew", self.path)
            return {}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
