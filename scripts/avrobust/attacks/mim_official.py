"""MIM as the released code of Tian & Xu does it; it leaves its ball.

Two differences from MIM. The l1 norm is that of the whole batch, so results depend on the batch, whose size the paper's
file states.
The "projection" compares the iterate with itself instead of the clean clip: a waveform drifts to
10 * epsilon / 8, and a frame's lower bound max(iterate - epsilon, 0) in normalised space lifts every value
below 0 by epsilon per step on top of the step itself, up to 11.25 epsilon in ten steps.
"""

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import Attack, Direction


def batch_momentum() -> Direction:
    """Accumulated gradients, each divided by the l1 norm of the whole batch's gradient."""
    velocity: dict[str, Tensor] = {}

    def direction(modality: str, gradient: Tensor) -> Tensor:
        unit = gradient / gradient.abs().sum().clamp_min(torch.finfo(gradient.dtype).tiny)
        velocity[modality] = velocity[modality] + unit if modality in velocity else unit
        return velocity[modality]

    return direction


def clamp_to_itself(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return the iterate after the released code's clamps, which never look at the clean clip."""
    if modality == "visual":
        lower = torch.maximum(iterate - budget.epsilon, budget.origin)
        iterate = torch.minimum(torch.maximum(iterate, lower), iterate + budget.epsilon)
    return budget.clamp(iterate)


def mim_official(steps: int = 10, step_size: float = 0.125) -> Attack:
    """Return the released MIM of `steps` steps of `step_size` * epsilon."""
    return Attack(steps, step_size, batch_momentum, clamp_to_itself, keeps_ball=False, mixes_clips=True)
