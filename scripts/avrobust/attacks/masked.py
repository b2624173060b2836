"""A corruption: parts of a clip in time silent, or of the mean colour. Zhang et al. (ICLR 2025), Figure 1.

It is no attack: it takes no gradient, and a budget says only which modalities are masked, not how far they may go.
"""

from functools import partial

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack
from avrobust.attacks.transforms import masking


def without_parts(
    modality: str, clean: Tensor, budget: Budget, context: Context, share: float, synchronous: bool
) -> Tensor:
    """Return the clips with `share` of their time masked, (N, ...)."""
    return masking(modality, clean, context, "parts", share, synchronous)


def masked(share: float = 0.2, synchronous: bool = True) -> Attack:
    """Return the masking of `share` of a clip's time; `synchronous`: sound and frames in the same parts."""
    start = partial(without_parts, share=share, synchronous=synchronous)
    return Attack(steps=0, start=start, keeps_ball=False, random=True)
