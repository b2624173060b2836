"""The factor of all learning rates in a step of the optimiser."""

import math

from avrobust.program import UserError
from avrobust.training.recipe import TrainingRecipe


def rate_factor(recipe: TrainingRecipe, step: int, epoch_steps: int) -> float:
    """Return the factor of `step`, counted from 0, where an epoch has `epoch_steps`.

    The product of three: `decay` to the power of the milestones that are over; (step + 1) / warm_up, at most 1; and,
    with x the share of the steps after the warm-up that are over, 1 - x (linear) or (1 + cos(pi x)) / 2 (cosine).

    Raises:
        UserError: the warm-up takes the whole training.
    """
    whole = recipe.epochs * epoch_steps
    if recipe.warm_up >= whole:
        raise UserError(f"a warm_up of {recipe.warm_up} steps in a training of {whole}; lower it, or train for longer")
    factor = recipe.decay ** sum(step // epoch_steps + 1 > milestone for milestone in recipe.milestones)
    if step < recipe.warm_up:
        return factor * (step + 1) / recipe.warm_up
    over = (step - recipe.warm_up) / (whole - recipe.warm_up)
    return factor * {"none": 1, "linear": 1 - over, "cosine": (1 + math.cos(math.pi * over)) / 2}[recipe.annealing]
