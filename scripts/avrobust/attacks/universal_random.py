"""A control: one perturbation for all clips, in every time step as long as a fitted one, along no gradient."""

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack


def as_long_as_fitted(modality: str, clean: Tensor, budget: Budget, context: Context) -> Tensor:
    """Return the clips (N, ...) plus noise that is drawn once for all of them, inside the valid range."""
    fitted = context.fitted[modality].unsqueeze(0)
    noise = context.normal_for_all(modality, *fitted.shape[1:]).to(fitted).unsqueeze(0)
    way = budget.norm.steepest(noise, torch.ones_like(budget.epsilon))
    return budget.clamp(clean + budget.epsilon * budget.norm.lengths(fitted / budget.epsilon) * way)


def universal_random(as_long_as: str) -> Attack:
    """Return noise as long as the perturbation that the attack `as_long_as` of the same paper is fitted to be."""
    return Attack(0, start=as_long_as_fitted, fitted_by=as_long_as, keeps_ball=False, random=True)
