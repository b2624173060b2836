"""I-FGSM (Kurakin et al., ICLR 2017 workshop): `steps` steps of epsilon / `steps`."""

from avrobust.attacks.loop import Attack


def i_fgsm(steps: int = 10) -> Attack:
    """Return I-FGSM."""
    return Attack(steps)
