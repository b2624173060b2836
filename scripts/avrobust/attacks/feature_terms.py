"""What TIA, MMA and TMA share: momentum steps of epsilon / `steps` on copies of a clip.

They differ in what they take away from cross-entropy: Zhang et al. (ICLR 2025), equation 4.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor

from avrobust.attacks.loop import Attack
from avrobust.attacks.momentum import Momentum
from avrobust.attacks.transforms import Copies
from avrobust.objectives.cross_entropy_less import CrossEntropyLess


def on_copies(
    terms: Mapping[str, tuple[float, Callable[..., Tensor]]],
    steps: int,
    decay: float,
    copies: int,
    transforms: Sequence,
) -> Attack:
    """Return the attack that maximises cross-entropy less `terms`, on `copies` copies by `transforms` in turn.

    `terms`: name -> (weight, features -> (N,)).
    """
    points = Copies(transforms, copies)
    return Attack(
        steps,
        direction=partial(Momentum, decay),
        points=points,
        objective=partial(CrossEntropyLess, terms=terms),
        needs_partner=points.needs_partner,
        random=points.random,
    )
