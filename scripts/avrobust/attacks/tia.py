"""TIA (Zhang et al., ICLR 2025, section 4.1): momentum steps that also take away how features change in time."""

from collections.abc import Sequence

from avrobust.attacks.feature_terms import on_copies
from avrobust.attacks.loop import Attack
from avrobust.attacks.transforms import ALL
from avrobust.objectives.temporal_variance import FLOOR, TemporalVariance

# Not given. By 1, cross-entropy and similarity would make 1 % or less of the frames' gradient, on validation clips of
# four nets of a demo; by this each term makes 5 to 86 % in each modality.
LAMBDA1 = 0.01


def tia(
    steps: int = 10,
    decay: float = 1.0,
    lambda1: float = LAMBDA1,
    floor: float = FLOOR,
    copies: int = 5,
    transforms: Sequence = ALL,
) -> Attack:
    """Return TIA: equation 4 without its last term, of `copies` copies by `transforms` in turn."""
    return on_copies({"temporal_variance": (lambda1, TemporalVariance(floor))}, steps, decay, copies, transforms)
