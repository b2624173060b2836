"""FGSM (Goodfellow et al., ICLR 2015): one step of length epsilon. Tian & Xu (CVPR 2021), section 4.2."""

from avrobust.attacks.directions import sign
from avrobust.attacks.loop import Attack
from avrobust.attacks.projections import ball_then_range

FGSM = Attack(steps=1, step_size=1.0, direction=sign, project=ball_then_range)
