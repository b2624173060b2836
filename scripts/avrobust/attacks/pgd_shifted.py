"""PGD on gradients averaged over shifted copies (Dong et al., CVPR 2019), of the frame and of the sound alike.

What it finds depends less on where things are, and passes to other nets more often. The paper's kernel stands for
shifts that are the same for every clip; here they are drawn.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Point


def shifted(modality: str, x: Tensor, context: Context, copy: int, most: float) -> Tensor:
    """Return each clip's input shifted along its last axis, time or width, by a share of it in (-most, most).

    The share is drawn for the clip, the step and the copy, and the same for both modalities. What leaves at one end
    enters at the other.
    """
    shares = most * (2 * context.uniform(f"shift {copy}") - 1)
    shifts = (shares * x.shape[-1]).round().int().tolist()
    return torch.stack([one.roll(shift, -1) for one, shift in zip(x, shifts, strict=True)])


def copies_at(step: int, copies: int, most: float) -> Sequence[Point]:
    """Return the points of a step: `copies` of equal weight."""
    return [Point(partial(shifted, copy=copy, most=most), 1 / copies) for copy in range(copies)]


def pgd_shifted(steps: int = 10, step_size: float = 0.125, copies: int = 4, most: float = 0.05) -> Attack:
    """Return PGD whose gradients are means over `copies` that are shifted by less than `most` of their length."""
    return Attack(steps, step_size, points=partial(copies_at, copies=copies, most=most), random=True)
