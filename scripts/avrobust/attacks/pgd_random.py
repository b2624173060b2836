"""PGD from a random start, with restarts (Madry et al., ICLR 2018)."""

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack


def anywhere_in_the_ball(modality: str, clean: Tensor, budget: Budget, context: Context) -> Tensor:
    """Return a point drawn uniformly of the ball around each clip, (N, ...), inside the valid range."""
    drawn = budget.norm.inside(modality, clean.shape[1:], context.uniform, context.normal).to(clean)
    return budget.clamp(clean + budget.epsilon * drawn)


def pgd_random(steps: int = 10, step_size: float = 0.25, restarts: int = 1) -> Attack:
    """Return PGD of `steps` steps of `step_size` * epsilon; of `restarts` runs each clip keeps its worst.

    A quarter of epsilon, as on CIFAR-10 in the paper, leads in ten steps from any point of the ball to any other.
    """
    return Attack(steps, step_size, start=anywhere_in_the_ball, restarts=restarts, random=True)
