"""NI-FGSM (Lin et al., ICLR 2020): momentum steps whose gradients are taken where the momentum is going to lead."""

from functools import partial

from torch import Tensor

from avrobust.attacks.loop import Attack
from avrobust.attacks.momentum import Momentum


def along_the_momentum(direction: Momentum, modality: str, length: Tensor) -> Tensor:
    """Return a step of `length` times the momentum that is left, equation 6."""
    return length * direction.decay * direction.velocity[modality]


def ni_fgsm(steps: int = 10, decay: float = 1.0, norm: str = "mean") -> Attack:
    """Return NI-FGSM of `steps` steps of epsilon / `steps`.

    `norm` of the gradients: `mean` as in the authors' code; `l1` as printed, which makes the look-ahead shorter by the
    number of values of an input, next to nothing.
    """
    return Attack(steps, direction=partial(Momentum, decay, norm), look_ahead=along_the_momentum)
