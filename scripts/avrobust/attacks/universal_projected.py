"""One perturbation for all clips that keeps its budget: `universal`, projected after every update."""

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.fit import Fit
from avrobust.attacks.loop import Attack
from avrobust.attacks.universal import added


def into_the_ball(perturbation: Tensor, budget: Budget) -> Tensor:
    """Return the perturbation (...) or, where it is longer than epsilon, the nearest one that is not."""
    one = perturbation.unsqueeze(0)
    return budget.norm.project(one, torch.zeros_like(one), budget.epsilon)[0]


def universal_projected(passes: int = 20, fit_batch: int = 100, fitted_on: str = "test") -> Attack:
    """Return the projected perturbation of `passes` over the clips of `fitted_on`, `fit_batch` of them an update."""
    return Attack(0, start=added, fit=Fit(passes, fit_batch, fitted_on, into_the_ball))
