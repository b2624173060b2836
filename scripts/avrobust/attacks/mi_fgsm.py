"""MI-FGSM (Dong et al., CVPR 2018): `steps` momentum steps of epsilon / `steps`."""

from functools import partial

from avrobust.attacks.loop import Attack
from avrobust.attacks.momentum import Momentum


def mi_fgsm(steps: int = 10, decay: float = 1.0) -> Attack:
    """Return MI-FGSM."""
    return Attack(steps, direction=partial(Momentum, decay))
