"""PGD (Madry et al., ICLR 2018): steps of epsilon / 8 from the clip itself, no random start.

Tian & Xu (CVPR 2021) print "10-step" only; length and start are those of the released code.
"""

from avrobust.attacks.loop import Attack


def pgd(steps: int = 10, step_size: float = 0.125) -> Attack:
    """Return PGD of `steps` steps of `step_size` * epsilon."""
    return Attack(steps, step_size)
