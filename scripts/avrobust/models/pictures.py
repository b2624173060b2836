"""What all nets on pictures share: frames in natural units in, one feature for each out."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from avrobust import imagenet
from avrobust.models.initialisation import initialise

POOLINGS = ("average", "max", "none")


class PictureNet(nn.Module):
    """Convolutions on frames, pooled over the positions of the last map.

    Input: (N, 3, H, W) pixels in [0, 1], or (N, T, 3, H, W), T of a clip; the ImageNet normalisation happens inside, so
    that an attack works on pixels. Output: (N, D) or (N, T, D), or the maps, (..., D, h, w), where `pooling` is `none`;
    D is `projection`, the size of a linear map of the pooled feature, or else `out_features` of the net itself.

    A subclass makes its layers, says the channels of its last map by `finish` and has `feature_map`.
    """

    def __init__(self, pooling: str, stride: int, strides: tuple[int, ...]):
        """Refuse by a ValueError what is not among the poolings and the `strides` that the net can have."""
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
        if stride not in strides:
            raise ValueError(f"stride is one of {', '.join(map(str, strides))}, not {stride!r}")
        self.pooling = pooling
        self.register_buffer("mean", torch.tensor(imagenet.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(imagenet.STD).view(3, 1, 1), persistent=False)
        self.projection: nn.Module | None = None

    def finish(self, channels: int, initialisation: str, projection: int | None) -> None:
        """Initialise the layers made so far, and map `channels` to `projection` features."""
        initialise(self, initialisation)
        if projection is not None:
            if self.pooling == "none":
                raise ValueError("a map (pooling none) has no projection")
            self.projection = nn.Linear(channels, projection)
        self.out_features = projection or channels

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return pixels in [0, 1] as the nets of ImageNet want them."""
        return (pixels - self.mean) / self.std

    @abstractmethod
    def feature_map(self, pictures: Tensor) -> Tensor:
        """Return the last map, (N, channels, h, w), of pictures (N, C, H, W) as they are."""

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim == 5:
            return self(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        maps = self.feature_map(self.normalised(pixels))
        if self.pooling == "none":
            return maps
        feature = maps.mean(dim=(-2, -1)) if self.pooling == "average" else maps.amax(dim=(-2, -1))
        return feature if self.projection is None else self.projection(feature)
