"""MIM (Dong et al., CVPR 2018): ten momentum steps of epsilon / 8, decay 1, projected to the ball.

The projection is what the released code lacks (`mim_official`): this one keeps to equation 1 of
Tian & Xu (CVPR 2021).
"""

import torch
from torch import Tensor

from avrobust.attacks.loop import Attack, Direction
from avrobust.attacks.projections import ball_then_range


def momentum_sign(decay: float = 1.0) -> Direction:
    """MIM: the sign of the accumulated gradients, each divided by its own clip's l1 norm.

    Dong et al. (CVPR 2018), equations 6 and 7. A clip whose gradient is zero keeps its momentum: 0 / 0
    would make it NaN, and the sign of NaN is 0 for ever.
    """
    velocity: dict[str, Tensor] = {}

    def direction(modality: str, gradient: Tensor) -> Tensor:
        norm = gradient.abs().flatten(1).sum(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
        unit = gradient / norm.view(-1, *[1] * (gradient.dim() - 1))
        velocity[modality] = decay * velocity[modality] + unit if modality in velocity else unit
        return velocity[modality].sign()

    return direction


MIM = Attack(steps=10, step_size=1 / 8, direction=momentum_sign, project=ball_then_range)
