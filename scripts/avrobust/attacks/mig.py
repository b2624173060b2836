"""MIG (Ma et al., ICCV 2023): momentum on integrated gradients of the probability of a clip's class."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Point
from avrobust.attacks.momentum import Momentum
from avrobust.objectives.minus_probability import MinusProbability
from avrobust.program import UserError

GRADIENTS = ("point", "path")


def on_the_path(modality: str, x: Tensor, context: Context, share: float, base: dict[str, float]) -> Tensor:
    """Return base + `share` * (x - base)."""
    return base[modality] + share * (x - base[modality])


def path_at(step: int, points: int, base: dict[str, float], gradient: str) -> Sequence[Point]:
    """Return the points k / s of the way from the base to the clip, k = 1 ... s, each of weight 1 / s.

    The gradient through the path is k / s times that at the point.
    """
    factor = [1.0 if gradient == "path" else points / k for k in range(1, points + 1)]
    return [
        Point(partial(on_the_path, share=k / points, base=base), factor[k - 1] / points) for k in range(1, points + 1)
    ]


def times_the_way(modality: str, iterate: Tensor, gradient: Tensor, budget: Budget, base: dict[str, float]) -> Tensor:
    """Return (x - base) * gradient, which sums up what every value has done to the probability."""
    return (iterate - base[modality]) * gradient


def mig(
    steps: int = 10,
    decay: float = 1.0,
    points: int = 20,
    audio_base: float = -1.0,
    visual_base: float = 0.0,
    gradient: str = "point",
) -> Attack:
    """Return MIG of `steps` steps of epsilon / `steps`, on integrals of `points` points.

    The bases are where the ranges begin: a factor x - base below 0 would turn the sign of the step, as 0 does for
    half of a waveform. `gradient`: at each `point`, as integrated gradients are defined, or through the `path`, as
    TransferAttack has it.
    """
    if gradient not in GRADIENTS or points < 1:
        raise UserError(f"mig: gradient {gradient!r} of {points} points; give {' or '.join(GRADIENTS)}, of 1 or more")
    base = {"audio": audio_base, "visual": visual_base}
    return Attack(
        steps,
        direction=partial(Momentum, decay),
        points=partial(path_at, points=points, base=base, gradient=gradient),
        combine=partial(times_the_way, base=base),
        objective=MinusProbability,
    )
