"""The direction that several attacks share; one that a single attack uses stands in its own file."""

from avrobust.attacks.loop import Direction


def sign() -> Direction:
    """FGSM and PGD: the sign of the gradient (Goodfellow et al., ICLR 2015)."""
    return lambda modality, gradient: gradient.sign()
