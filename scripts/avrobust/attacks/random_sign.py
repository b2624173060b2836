"""A control: noise as large as an attack may be, along no gradient. What it leaves less than is too weak an attack.

In l-infinity every value moves by epsilon, up or down; in l2 the way is drawn uniformly, as long as the ball allows.
"""

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack, ball_then_range


def on_the_sphere(modality: str, clean: Tensor, budget: Budget, context: Context) -> Tensor:
    """Return clips with noise of the whole budget, (N, ...): the steepest way of a gradient that is noise itself."""
    noise = context.normal(modality, *clean.shape[1:]).to(clean)
    moved = clean + budget.epsilon * budget.norm.steepest(noise, torch.ones_like(budget.epsilon))
    return ball_then_range(modality, moved, clean, budget)


def random_sign() -> Attack:
    """Return noise: a start without a step."""
    return Attack(steps=0, start=on_the_sphere, random=True)
