"""Back into the ball and the valid range."""

from torch import Tensor

from avrobust.attacks.budget import Budget


def ball_then_range(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return `iterate` clamped to `clean` +- epsilon, then to the valid range; `clean` lies in the range."""
    iterate = iterate.clamp(clean - budget.epsilon, clean + budget.epsilon)
    return iterate.clamp(budget.low, budget.high)
