"""What each epoch of a curriculum crafts with: Zhang et al. (ICLR 2025), section 5 and appendix B."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, floor, pi

# How far a cycle has come, from 0 to 1 -> the share of the way from the first to the second of two numbers.
SCHEDULES = {
    "linear": lambda phase: phase,
    "cosine": lambda phase: (1 - cos(pi * phase)) / 2,
}
CONSTANT = "constant"
# The preparation of a training that has stages, and its options that say them, where nothing else is said.
CURRICULUM = "curriculum"
SAID = {"sampled": (5, 20), "dropped": (5, 20), "schedule": "cosine", "cycle": 5, "steps": 10}


def half_up(number: float) -> int:
    """Return the nearest whole number, of two as near the larger one."""
    return floor(number + 0.5)


def count_sampled(percent: float, steps: int) -> int:
    """Return how many of a clip's steps are sampled: `percent` of them over the whole clip, one at least.

    Rounded for each segment, 5 and 20 % of 20 steps in 4 segments would both be 4.
    """
    return max(1, half_up(percent * steps / 100))


@dataclass(frozen=True)
class Stage:
    """Percentages of the steps that are sampled and of the fused features that are dropped; steps of the attack."""

    sampled: float
    dropped: float
    attack_steps: int


class Stages:
    """The stage of each epoch.

    `sampled` and `dropped`: a number, or [first, last], between which it goes by `schedule` (`linear`, `cosine`) in
    `cycle` epochs, the first of which is at phase 0 and the last at 1, and begins again. The attack then takes
    round(1 + (`steps` - 1) * phase) steps. Under `constant` all stays as it is, and the attack takes `steps`.

    Raises:
        ValueError: numbers or names that are none of these.
    """

    def __init__(
        self, sampled: float | Sequence[float], dropped: float | Sequence[float], schedule: str, cycle: int, steps: int
    ):
        if schedule not in (*SCHEDULES, CONSTANT):
            raise ValueError(f"schedule is {', '.join(SCHEDULES)} or {CONSTANT}, not {schedule!r}")
        for name, value in (("cycle", cycle), ("steps", steps)):
            if value < 1:
                raise ValueError(f"{name} is 1 or more, not {value}")
        if schedule != CONSTANT and cycle < 2:
            raise ValueError(f"cycle is 2 or more for a {schedule} schedule, not {cycle}")
        self.schedule, self.cycle, self.steps = schedule, cycle, steps
        self.sampled, self.dropped = self._pair("sampled", sampled), self._pair("dropped", dropped)
        if max(self.dropped) == 100:
            raise ValueError("dropped is below 100 per cent, or no feature is left")

    def at(self, epoch: int) -> Stage:
        """Return the stage of an epoch, counted from 1."""
        if self.schedule == CONSTANT:
            return Stage(self.sampled[0], self.dropped[0], self.steps)
        phase = (epoch - 1) % self.cycle / (self.cycle - 1)
        share = SCHEDULES[self.schedule](phase)
        sampled, dropped = (low + (high - low) * share for low, high in (self.sampled, self.dropped))
        return Stage(sampled, dropped, half_up(1 + (self.steps - 1) * phase))

    def _pair(self, name: str, told: float | Sequence[float]) -> tuple[float, float]:
        pair = tuple(told) if isinstance(told, list | tuple) else (told, told)
        if len(pair) != 2 or not all(isinstance(one, int | float) and 0 <= one <= 100 for one in pair):
            raise ValueError(f"{name} is a percentage or [first, last], not {told!r}")
        if self.schedule == CONSTANT and pair[0] != pair[1]:
            raise ValueError(f"{name} goes from {pair[0]:g} to {pair[1]:g}, but the schedule is {CONSTANT}")
        return pair


def stages_of(options: Mapping[str, object]) -> Stages:
    """Return the stages that the options of a `curriculum` say, among others.

    Raises:
        ValueError: they say none.
    """
    return Stages(**{name: options.get(name, said) for name, said in SAID.items()})


def standing(options: Mapping[str, object], stage: Mapping[str, float]) -> dict[str, object]:
    """Return options of a `curriculum` that stays where it ends, but for the percentages that `stage` says."""
    ends = {}
    for name in ("sampled", "dropped"):
        said = options.get(name, SAID[name])
        ends[name] = said[-1] if isinstance(said, list | tuple) else said
    return {**options, **ends, **stage, "schedule": CONSTANT}
