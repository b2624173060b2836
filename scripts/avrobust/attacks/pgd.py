"""PGD (Madry et al., ICLR 2018): ten steps of epsilon / 8 from the clip itself, no random start.

Tian & Xu (CVPR 2021) print "10-step" only; length and start are those of the released code.
"""

from avrobust.attacks.directions import sign
from avrobust.attacks.loop import Attack
from avrobust.attacks.projections import ball_then_range

PGD = Attack(steps=10, step_size=1 / 8, direction=sign, project=ball_then_range)
