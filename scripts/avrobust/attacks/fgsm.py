"""FGSM (Goodfellow et al., ICLR 2015): one step of length epsilon. Tian & Xu (CVPR 2021), section 4.2."""

from avrobust.attacks.loop import Attack


def fgsm() -> Attack:
    """Return FGSM."""
    return Attack(steps=1)
