"""How well an attention map finds what sounds, and what an attack does to it.

Maps are (N, h, w), non-negative. Points are (x, y) and boxes (x0, y0, x1, y1), in fractions of the view's width and
height, (0, 0) at its upper left corner; the box of a clip in which none is known is NaN, and so is what is
measured of it. The view is the square that a net sees. A position of a map is in a box if its centre is.

Attention is a softmax, which may put nearly all its weight on one position. The overlap of a box with what is above
half of the greatest weight (IoU, cIoU) is then that of one position, however right it is, and large for the broad map
of an untrained net. So overlap is not measured here: `pointing` asks for the greatest weight alone, `mass` for all of
them. Boxes and untrained attention both favour the view's centre, so the floor of both measures is not an even map's
but that of the same maps `on_other_boxes`: what has nothing to do with its clip gets as much there.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[float, float, float, float]


def box_in_view(box: Box, width: int, height: int, size: int) -> Box | None:
    """Move a box of a stored picture into its evaluation view; None if the view shows nothing of it.

    `box` is in fractions of the picture, which is `width` x `height` pixels; the view is what
    `avrobust.views.moment` cuts out: the shorter side resized to `size`, the centre square.
    """
    short = min(width, height)
    moved = []
    for side, low, high in ((width, box[0], box[2]), (height, box[1], box[3])):
        pixels = size * side // short
        offset = round((pixels - size) / 2)
        moved.append([min(max((end * pixels - offset) / size, 0.0), 1.0) for end in (low, high)])
    (x0, x1), (y0, y1) = moved
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def peaks(maps: Tensor) -> Tensor:
    """Return the centre of the position where each map is greatest: (N, 2), the first of several.

    A map that is drawn larger by bilinear interpolation is greatest there too.
    """
    _, height, width = maps.shape
    place = maps.flatten(1).argmax(dim=1)
    return torch.stack([(place % width + 0.5) / width, (place // width + 0.5) / height], dim=1)


def pointing(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return whether the peak lies in the box: 1 or 0, (N,); `boxes`: (N, 4).

    The mean over clips is the accuracy of the pointing game of Zhang et al. (ECCV 2016), without a margin.
    """
    return mass(peaked(maps), boxes)


def mass(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return the part of each map's weight on the positions in the box: (N,) in [0, 1]; `boxes`: (N, 4).

    The energy-based pointing game of Wang et al. (Score-CAM, CVPR Workshops 2020), taken of the positions
    themselves. A map with all its weight on one position has what it has in `pointing`, one that is the same everywhere
    has the `position_share`.
    """
    return (_weights(maps, boxes) * in_boxes(boxes, *maps.shape[1:])).sum(dim=(1, 2))


def on_other_boxes(maps: Tensor, boxes: Tensor, everyone: Tensor) -> Tensor:
    """Return the mean of `mass` over the boxes of all other clips: (N,) in [0, 1], the floor of a clip's own `mass`.

    It is the expectation over the permutations that give every clip the box of another one, without drawing any. Maps
    that do not depend on the clip have, on average over the clips, the same on their own boxes. `boxes`: (N, 4), those
    of the maps; `everyone`: (M, 4), those of all clips, the N among them. NaN if there is no other box.
    """
    positions = maps.shape[1:]
    known = everyone[~everyone.isnan().any(dim=1)]
    others = in_boxes(known, *positions).sum(dim=0) - in_boxes(boxes, *positions)
    return (_weights(maps, boxes) * others / (len(known) - 1)).sum(dim=(1, 2))


def peaked(maps: Tensor) -> Tensor:
    """Return maps with all their weight where the given ones are greatest, the first position of several."""
    flat = maps.flatten(1)
    return torch.zeros_like(flat).scatter_(1, flat.argmax(dim=1, keepdim=True), 1).view_as(maps)


def in_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return which positions of a map lie in each box: 1 or 0, (N, height, width) from (N, 4)."""
    x0, y0, x1, y1 = (side[:, None] for side in boxes.unbind(dim=1))
    x, y = ((torch.arange(count).to(boxes) + 0.5) / count for count in (width, height))
    columns, rows = (x >= x0) & (x < x1), (y >= y0) & (y < y1)
    return _known(boxes, (rows[:, :, None] & columns[:, None, :]).to(boxes))


def position_share(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return the share of a map's positions that lie in the box: (N,) from (N, 4).

    So often does a random position point into it, and so much of the weight of an even map lies in it.
    """
    return in_boxes(boxes, height, width).mean(dim=(1, 2))


def centre_pointing(boxes: Tensor) -> Tensor:
    """Return what `pointing` is for a map whose peak is the view's centre: (N,) from (N, 4)."""
    inside = (boxes[:, :2] <= 0.5) & (boxes[:, 2:] > 0.5)
    return _known(boxes, inside.all(dim=1).to(boxes))


def peak_shift(attacked: Tensor, clean: Tensor) -> Tensor:
    """Return how far the peak moved from the clean map's, as a share of the view's diagonal: (N,) in [0, 1)."""
    return (peaks(attacked) - peaks(clean)).double().norm(dim=1) / math.sqrt(2)


def correlation(attacked: Tensor, clean: Tensor) -> Tensor:
    """Return Pearson's correlation of the positions' weights with the clean ones, (N,).

    0 where one of the two maps is the same everywhere and there is nothing to correlate.
    """
    first, second = attacked.flatten(1).double(), clean.flatten(1).double()
    varied = (first.amax(1) > first.amin(1)) & (second.amax(1) > second.amin(1))
    similarity = (_centred(first) * _centred(second)).sum(dim=1).clamp(-1, 1)
    return torch.where(varied, similarity, torch.zeros_like(similarity))


def _centred(values: Tensor) -> Tensor:
    """Return each row minus its mean, with the length 1."""
    return F.normalize(values - values.mean(dim=1, keepdim=True), dim=1, eps=0.0)


def _weights(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return each map divided by its sum, in the type of the boxes."""
    maps = maps.to(boxes)
    return maps / maps.sum(dim=(1, 2), keepdim=True)


def _known(boxes: Tensor, values: Tensor) -> Tensor:
    """Return the values, (N, ...), NaN for the clips without a box."""
    unknown = boxes.isnan().any(dim=1).view(-1, *(1,) * (values.dim() - 1))
    return values.masked_fill(unknown, torch.nan)
