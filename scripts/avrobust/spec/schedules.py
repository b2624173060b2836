"""Schedules of adversarial training: what an epoch crafts with, and how many steps and features that is.

Zhang et al. (ICLR 2025), section 5.3 and appendix B.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, floor, pi

# How far a cycle has come, from 0 on to below 1 -> the share of the way from the first to the second of two numbers.
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "linear": lambda phase: phase,
    "cosine": lambda phase: (1 - cos(pi * phase)) / 2,
}
CONSTANT = "constant"


@dataclass(frozen=True)
class Stage:
    """What an epoch crafts with: percentages of steps and of fused features, and the steps of the attack."""

    sampled: float
    dropped: float
    attack_steps: int


def stage(
    epoch: int,
    sampled: float | Sequence[float] = (5, 20),
    dropped: float | Sequence[float] = (5, 20),
    schedule: str = "cosine",
    cycle: int = 5,
    steps: int = 10,
) -> Stage:
    """Return what an epoch, counted from 1, crafts with, by the options of the preparation `curriculum`."""
    (low, high), (first, last) = (
        told if isinstance(told, list | tuple) else (told, told) for told in (sampled, dropped)
    )
    if schedule == CONSTANT:
        return Stage(low, first, steps)
    phase = (epoch - 1) % cycle / cycle
    share = SCHEDULES[schedule](phase)
    return Stage(low + (high - low) * share, first + (last - first) * share, half_up(1 + (steps - 1) * phase))


def half_up(number: float) -> int:
    """Return the nearest whole number, of two as near the larger one."""
    return floor(number + 0.5)


def count_sampled(percent: float, steps: int) -> int:
    """Return how many of a clip's steps are sampled: `percent` of them over the whole clip, one at least.

    Rounded for each segment, 5 and 20 % of 20 steps in 4 segments would both be 4.
    """
    return max(1, half_up(percent * steps / 100))
