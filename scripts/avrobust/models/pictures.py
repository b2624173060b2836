"""What all nets on pictures share: frames in natural units in, one feature for each out."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from avrobust import imagenet
from avrobust.models.initialisation import initialise

POOLINGS = ("average", "max", "none")


class PictureNet(nn.Module):
    """Convolutions on frames, pooled over the positions of the last map; `width` multiplies all channels.

    Input: (N, 3, H, W) pixels in [0, 1], or (N, T, 3, H, W), T of a clip; the ImageNet normalisation happens inside, so
    that an attack works on pixels. Output: (N, D) or (N, T, D), or the maps, (..., D, h, w), where `pooling` is `none`;
    D is `projection`, the size of a linear map of the pooled feature, or else `out_features` of the net itself.

    `stride`: pixels per position of the last map, one of the class's `strides`, the first where it is None.
    `channels`: of a picture given to `feature_map`. `initialisation`: of `avrobust.models.initialisation.WAYS`, the
    class's `way` where it is None.

    Raises:
        ValueError: an option is none of those that the net can have.
    """

    strides: tuple[int, ...]
    way = "he"
    memory_format = torch.channels_last

    def __init__(
        self,
        width: float = 1.0,
        pooling: str = "average",
        stride: int | None = None,
        channels: int = 3,
        projection: int | None = None,
        initialisation: str | None = None,
    ):
        super().__init__()
        stride = self.strides[0] if stride is None else stride
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
        if stride not in self.strides:
            raise ValueError(f"stride is one of {', '.join(map(str, self.strides))}, not {stride!r}")
        if pooling == "none" and projection is not None:
            raise ValueError("a map (pooling none) has no projection")
        self.pooling = pooling
        self.register_buffer("mean", torch.tensor(imagenet.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(imagenet.STD).view(3, 1, 1), persistent=False)
        self.projection: nn.Module | None = None
        self.out_features = self.layers(width, stride, channels)
        initialise(self, initialisation or self.way)
        if projection is not None:
            self.projection, self.out_features = nn.Linear(self.out_features, projection), projection
        self.to(memory_format=self.memory_format)

    @abstractmethod
    def layers(self, width: float, stride: int, channels: int) -> int:
        """Make the convolutions, `features` unless `feature_map` is the net's own; return the last map's channels."""

    def feature_map(self, pictures: Tensor) -> Tensor:
        """Return the last map, (N, channels, h, w), of pictures (N, C, H, W) as they are."""
        return self.features(pictures.contiguous(memory_format=self.memory_format))

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim == 5:
            return self(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        maps = self.feature_map((pixels - self.mean) / self.std)
        if self.pooling == "none":
            return maps
        feature = maps.mean(dim=(-2, -1)) if self.pooling == "average" else maps.amax(dim=(-2, -1))
        return feature if self.projection is None else self.projection(feature)
