"""Copies of a clip that gradients are taken of: scaled, masked in time, blurred, or mixed with a clip of another class.

Zhang et al. (ICLR 2025), section 4.1, name them and give no strengths; these are of the works that they come from.
Time is the axis of pictures (N, T, 3, H, W), else the last one: of a waveform its samples, of one picture its width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature

import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust import imagenet
from avrobust.attacks.context import Context
from avrobust.attacks.loss import Point
from avrobust.program import UserError

BOTH = ("audio", "visual")
# The five copies of an attack where nothing else is said.
ALL = ("identity", "scaling", "masking", "blurring", "mixing")


def identity(modality: str, x: Tensor, context: Context, draw: str) -> Tensor:
    """Return (N, ...) as it is."""
    return x


def scaling(modality: str, x: Tensor, context: Context, draw: str, factor: float = 0.5) -> Tensor:
    """Return (N, ...) times `factor`: SI-NI-FGSM (Lin et al., ICLR 2020), whose first copy is halved."""
    return factor * x


def masking(
    modality: str, x: Tensor, context: Context, draw: str, share: float = 0.2, synchronous: bool = True
) -> Tensor:
    """Return (N, ...) in which `share` of the parts in time, drawn for each clip, are silent or of the mean colour.

    So many parts as frames are masked, share * T, rounded, half up. `synchronous`: sound and pictures in the same
    parts. A larger share masks what a smaller one does, and more.
    """
    hidden = masked_parts(context, draw if synchronous else f"{draw}, {modality}", share)
    axis = 1 if x.dim() == 5 else x.dim() - 1
    length = x.shape[axis]
    inside = hidden[:, torch.arange(length) * context.parts // length].to(x.device)
    shape = [len(x), *(length if number == axis else 1 for number in range(1, x.dim()))]
    is_picture = modality == "visual" and x.dim() >= 4
    fill = x.new_tensor(imagenet.MEAN).view(3, 1, 1) if is_picture else x.new_zeros(())
    return torch.where(inside.view(shape), fill, x)


def masked_parts(context: Context, draw: str, share: float) -> Tensor:
    """Return which parts of each clip are masked, (N, parts) of bool on the CPU."""
    if not 0 <= share <= 1:
        raise UserError(f"a share of {share:g} of a clip cannot be masked; give one from 0 to 1")
    return context.uniform(draw, context.parts).argsort(dim=1) < int(share * context.parts + 0.5 + 1e-9)


def blurring(modality: str, x: Tensor, context: Context, draw: str, size: int = 5, deviation: float = 1.0) -> Tensor:
    """Return pictures (N, ..., H, W) after a Gaussian kernel of `size` x `size` pixels, sounds after one of samples.

    `deviation` in pixels or samples. Beyond the ends there is nothing, and the kernel is the smaller there.
    """
    if size % 2 == 0 or size < 1:
        raise UserError(f"a kernel of {size} values has no middle; give an odd size")
    kernel = torch.exp(-0.5 * ((torch.arange(size) - size // 2) / deviation).square()).tolist()
    along = (-1, -2) if modality == "visual" and x.dim() >= 4 else (-1,)
    for axis in along:
        x = _weighted(x, axis, kernel)
    return x


def mixing(modality: str, x: Tensor, context: Context, draw: str, share: float = 0.2) -> Tensor:
    """Return (1 - `share`) x + `share` times each clip's partner, by the strength of Admix (Wang et al., ICCV 2021)."""
    if modality not in context.partner:
        raise RuntimeError(f"the attack {context.attack} mixes {modality} with that of partners, which it is not told")
    return (1 - share) * x + share * context.partner[modality]


# (modality, (N, ...), context, name of its draws) and options -> (N, ...), differentiable.
Transform = Callable[..., Tensor]
TRANSFORMS: dict[str, Transform] = {
    "identity": identity, "scaling": scaling, "masking": masking, "blurring": blurring, "mixing": mixing,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Copies:
    """`count` copies of equal weight, by the transforms in turn: the points of an attack at a step.

    `told`: names of `TRANSFORMS`, or `{name, modalities, options}`, where `modalities` are those that it changes.

    Raises:
        UserError: a transform or an option is unknown, or there is no copy.
    """

    told: Sequence[str | Mapping] = ALL
    count: int = len(ALL)

    def __post_init__(self) -> None:
        if not self.told or self.count < 1:
            raise UserError(f"{self.count} copies by {len(self.told)} transforms are none; give 1 or more of each")
        for one in self._taken:
            _check(one)

    @property
    def names(self) -> list[str]:
        """The transform of each copy."""
        return [one["name"] for one in self._taken]

    @property
    def random(self) -> bool:
        """Whether another seed gives other copies."""
        return "masking" in self.names

    @property
    def needs_partner(self) -> bool:
        """Whether a copy is mixed with another clip."""
        return "mixing" in self.names

    def __call__(self, step: int) -> list[Point]:
        """Return the points; what is drawn for them goes by the step of the context."""
        return [self._point(number, one) for number, one in enumerate(self._taken)]

    @property
    def _taken(self) -> list[Mapping]:
        told = [{"name": one} if isinstance(one, str) else one for one in self.told]
        return [told[number % len(told)] for number in range(self.count)]

    def _point(self, number: int, one: Mapping) -> Point:
        place = partial(TRANSFORMS[one["name"]], draw=f"copy {number}", **one.get("options", {}))
        touches = () if one["name"] == "identity" else tuple(one.get("modalities", BOTH))
        return Point(place, 1 / self.count, touches)


def _check(one: Mapping) -> None:
    if not {"name"} <= one.keys() <= {"name", "modalities", "options"} or one["name"] not in TRANSFORMS:
        raise UserError(f"{dict(one)!r} is no transform {{name, modalities, options}} of {', '.join(TRANSFORMS)}")
    if unknown := set(one.get("modalities", BOTH)) - set(BOTH):
        raise UserError(f"transform {one['name']}: {', '.join(sorted(unknown))} is none of {', '.join(BOTH)}")
    known = list(signature(TRANSFORMS[one["name"]]).parameters)[4:]
    if unknown := set(one.get("options", {})) - set(known):
        raise UserError(
            f"transform {one['name']}: unknown option {', '.join(sorted(unknown))}; its options are "
            f"{', '.join(known) or 'none'}"
        )


def _weighted(x: Tensor, axis: int, kernel: Sequence[float]) -> Tensor:
    """Return the mean of the values around each along an axis, weighted by the kernel.

    By slices, whose gradients come in one order; a convolution's and a reflection's may not.
    """
    radius, length = len(kernel) // 2, x.shape[axis]
    before = (0, 0) * (-axis - 1)
    padded, inside = F.pad(x, (*before, radius, radius)), F.pad(x.new_ones(length), (radius, radius))
    summed = sum(weight * padded.narrow(axis, place, length) for place, weight in enumerate(kernel))
    total = sum(weight * inside.narrow(0, place, length) for place, weight in enumerate(kernel))
    return summed / total.view(-1, *[1] * (-axis - 1))
