"""One perturbation for all clips, as the released code of Li et al. (ICASSP 2022) finds it; it leaves its ball.

It goes up: the minus in equations 2 to 6 of the paper would go down. In a pass over all clips each counts alike, and
its way at the perturbed clip is rescaled to epsilon in every time step, up as well as down; the sum is never projected,
so that after p passes it may be p * epsilon long. (The released code leaves out the clips of the last, incomplete
batch: of 20,098 clips 98, so that where all clips agree a pass goes 0.0995 and not 0.1.)
"""

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.fit import Fit
from avrobust.attacks.loop import Attack


def added(modality: str, clean: Tensor, budget: Budget, context: Context) -> Tensor:
    """Return the clips (N, ...) plus what was fitted, inside the valid range; features have none."""
    return budget.clamp(clean + context.fitted[modality])


def as_it_is(perturbation: Tensor, budget: Budget) -> Tensor:
    """Return the perturbation, however long."""
    return perturbation


def universal(passes: int = 20, fit_batch: int = 100, fitted_on: str = "test") -> Attack:
    """Return the perturbation of `passes` over the clips of the split `fitted_on`, `fit_batch` of them an update."""
    return Attack(0, start=added, fit=Fit(passes, fit_batch, fitted_on, as_it_is), keeps_ball=False)
