"""MIM (Dong et al., CVPR 2018): momentum steps of epsilon / 8, decay 1, projected to the ball.

The projection is what the released code lacks (`mim_official`): this one keeps to equation 1 of
Tian & Xu (CVPR 2021).
"""

from functools import partial

from avrobust.attacks.loop import Attack
from avrobust.attacks.momentum import Momentum


def mim(steps: int = 10, step_size: float = 0.125, decay: float = 1.0) -> Attack:
    """Return MIM of `steps` steps of `step_size` * epsilon."""
    return Attack(steps, step_size, partial(Momentum, decay))
