"""How well an attention map finds what sounds, and what an attack does to it.

Maps are (N, h, w), non-negative. Points are (x, y) and boxes (x0, y0, x1, y1), in fractions of the view's width and
height, (0, 0) at its upper left corner; the box of a clip in which none is known is NaN, and so is what is
measured of it. The view is the square that a net sees.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[float, float, float, float]

# Part of the way from a map's least to its greatest value from which on it counts as sounding, and the overlap from
# which on a clip counts as localised: Senocak et al. (CVPR 2018).
SOUNDING, LOCALISED = 0.5, 0.5


def box_in_view(box: Box, width: int, height: int, size: int) -> Box | None:
    """Move a box of a stored picture into its evaluation view; None if the view shows nothing of it.

    `box` is in fractions of the picture, which is `width` x `height` pixels; the view is what
    `avrobust.data.views.evaluation_frame` cuts out: the shorter side resized to `size`, the centre square.
    """
    short = min(width, height)
    moved = []
    for side, low, high in ((width, box[0], box[2]), (height, box[1], box[3])):
        pixels = size * side // short
        offset = round((pixels - size) / 2)
        moved.append([min(max((end * pixels - offset) / size, 0.0), 1.0) for end in (low, high)])
    (x0, x1), (y0, y1) = moved
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def upsampled(maps: Tensor, size: int) -> Tensor:
    """Return the maps bilinearly resized to the view's pixels, (N, size, size)."""
    return F.interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]


def least_to_most(maps: Tensor) -> Tensor:
    """Return each map moved and scaled to [0, 1]; a map that is the same everywhere becomes 0."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, torch.ones_like(high))


def peaks(maps: Tensor) -> Tensor:
    """Return where each map is greatest when it is drawn at the view's size: (N, 2), the first place of several.

    Between positions bilinear values lie between those of the positions, so it is the centre of a position.
    """
    _, height, width = maps.shape
    place = maps.flatten(1).argmax(dim=1)
    return torch.stack([(place % width + 0.5) / width, (place // width + 0.5) / height], dim=1)


def pointing(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return whether the peak lies in the box: 1 or 0, (N,). `boxes`: (N, 4)."""
    return _holds(boxes, peaks(maps).to(boxes))


def centre_pointing(boxes: Tensor) -> Tensor:
    """Return what `pointing` is for a map whose peak is the view's centre: (N,) from (N, 4)."""
    return _holds(boxes, boxes.new_full((len(boxes), 2), 0.5))


def box_share(boxes: Tensor) -> Tensor:
    """Return the box's share of the view, which is how often a random point lies in it: (N,) from (N, 4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def iou(maps: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Return the intersection over union of the box and the sounding region, (N,), pixel by pixel.

    The region is where the map, drawn at the view's `size` in pixels, is above `SOUNDING` between its least and its
    greatest value. With one annotation per clip this is the consensus IoU of Senocak et al. (CVPR 2018).
    """
    region = least_to_most(upsampled(maps, size)) > SOUNDING
    centres = (torch.arange(size, dtype=boxes.dtype, device=boxes.device) + 0.5) / size
    x0, y0, x1, y1 = (side[:, None] for side in boxes.unbind(dim=1))
    columns, rows = (centres >= x0) & (centres < x1), (centres >= y0) & (centres < y1)
    inside = rows[:, :, None] & columns[:, None, :]
    union = (region | inside).sum(dim=(1, 2))
    shares = (region & inside).sum(dim=(1, 2)).to(boxes) / union.clamp(min=1)
    return _known(boxes, shares)


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


def _holds(boxes: Tensor, points: Tensor) -> Tensor:
    inside = (points >= boxes[:, :2]) & (points < boxes[:, 2:])
    return _known(boxes, inside.all(dim=1).to(boxes))


def _known(boxes: Tensor, values: Tensor) -> Tensor:
    return torch.where(boxes.isnan().any(dim=1), boxes.new_tensor(torch.nan), values)
