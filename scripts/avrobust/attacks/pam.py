"""PAM (Zhang et al., CVPR 2023): momentum on gradients along paths from the clip to baselines, a colour each.

The baselines are taken as they are (r = 1); the paper weighs each by a small net's guess, which is from 0.9 to 1. A
sound has silence alone for a baseline, so that its paths are one, of quieter copies.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import HERE, Point
from avrobust.attacks.momentum import Momentum
from avrobust.program import UserError

# Those of the authors' code, in its order; red, green, blue.
COLOURS = (
    (0, 0, 0), (0.5, 0.5, 0.5), (1, 1, 1), (0.5, 0.5, 0),
    (1, 1, 0.5), (1, 0.5, 1), (0.5, 1, 1), (0, 0.5, 0.5),
)  # fmt: skip
GRADIENTS = ("path", "point")


def towards(modality: str, x: Tensor, context: Context, share: float, colour: Sequence[float]) -> Tensor:
    """Return share * x + (1 - share) * the baseline: pictures towards a colour, sounds towards silence."""
    if modality == "visual" and x.dim() >= 4:
        return share * x + (1 - share) * x.new_tensor(colour).view(3, 1, 1)
    return share * x


def paths_at(step: int, paths: int, scales: int, gradient: str) -> Sequence[Point]:
    """Return the clip and, on each path, the points that are 1 / 2^i of the way from its baseline, i = 1, 2 ...

    The gradient through the path is 1 / 2^i times that at the point.
    """
    along = [
        Point(partial(towards, share=2.0**-i, colour=colour), 1.0 if gradient == "path" else 2.0**i)
        for colour in COLOURS[:paths]
        for i in range(1, scales + 1)
    ]
    return [HERE, *along]


def pam(steps: int = 10, decay: float = 1.0, paths: int = 8, scales: int = 4, gradient: str = "path") -> Attack:
    """Return PAM of `steps` steps of epsilon / `steps`, the gradient summed over 1 + `paths` * `scales` points.

    `gradient`: through the `path`, that of a summed loss, or at each `point`.
    """
    if gradient not in GRADIENTS or not 1 <= paths <= len(COLOURS) or scales < 1:
        raise UserError(
            f"pam: gradient {gradient!r} of {paths} paths of {scales} points; give {' or '.join(GRADIENTS)}, 1 to "
            f"{len(COLOURS)} paths and 1 point or more"
        )
    points = partial(paths_at, paths=paths, scales=scales, gradient=gradient)
    return Attack(steps, direction=partial(Momentum, decay), points=points)
