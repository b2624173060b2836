"""MMA (Zhang et al., ICLR 2025, section 4.2): momentum steps that also drive sound and frame apart."""

from collections.abc import Sequence

from avrobust.attacks.feature_terms import on_copies
from avrobust.attacks.loop import Attack
from avrobust.attacks.transforms import ALL
from avrobust.objectives.similarity import similarity


def mma(
    steps: int = 10,
    decay: float = 1.0,
    lambda2: float = 1.0,
    cosine: str = "signed",
    copies: int = 5,
    transforms: Sequence = ALL,
) -> Attack:
    """Return MMA: equation 4 without its middle term, of `copies` copies by `transforms` in turn.

    `cosine`: `signed`, as the text has it, or `absolute`, of which 0 is the least.
    """
    return on_copies({"similarity": (lambda2, similarity(cosine))}, steps, decay, copies, transforms)
