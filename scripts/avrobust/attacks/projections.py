"""Back into the ball and the valid range."""

from torch import Tensor

from avrobust.attacks.budget import Budget


def ball_then_range(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return `iterate` taken back into the ball around `clean`, then to the valid range, in which `clean` lies."""
    return budget.clamp(budget.norm.project(iterate, clean, budget.epsilon))
