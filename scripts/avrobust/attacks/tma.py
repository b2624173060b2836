"""TMA (Zhang et al., ICLR 2025, equation 4): TIA and MMA together."""

from collections.abc import Sequence

from avrobust.attacks.feature_terms import on_copies
from avrobust.attacks.loop import Attack
from avrobust.attacks.tia import LAMBDA1
from avrobust.attacks.transforms import ALL
from avrobust.objectives.similarity import similarity
from avrobust.objectives.temporal_variance import FLOOR, TemporalVariance


def tma(
    steps: int = 10,
    decay: float = 1.0,
    lambda1: float = LAMBDA1,
    lambda2: float = 1.0,
    floor: float = FLOOR,
    cosine: str = "signed",
    copies: int = 5,
    transforms: Sequence = ALL,
) -> Attack:
    """Return TMA: cross-entropy - `lambda1` * variance in time - `lambda2` * similarity, on copies as TIA has them."""
    terms = {
        "temporal_variance": (lambda1, TemporalVariance(floor)),
        "similarity": (lambda2, similarity(cosine)),
    }
    return on_copies(terms, steps, decay, copies, transforms)
