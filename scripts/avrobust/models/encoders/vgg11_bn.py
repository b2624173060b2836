"""VGG-11 with batch normalisation (Simonyan & Zisserman, ICLR 2015), at any width, by torchvision's parameter names."""

import torch
from torch import Tensor, nn

from avrobust.models.pictures import PictureNet

# The channels of each stage's convolutions.
STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG11BN(PictureNet):
    """VGG-11-BN without its classifier: 512 * width channels, non-negative; `avrobust.models.pictures` says the rest.

    `stride`: pixels along a picture's last side per position of the map. 32 is the original; with 16, 8 or 4 the last
    stages halve the other side only, for spectrograms so short that 32 would leave few positions in time.
    """

    def __init__(
        self,
        width: float = 1.0,
        pooling: str = "average",
        stride: int = 32,
        channels: int = 3,
        projection: int | None = None,
        initialisation: str = "he",
    ):
        super().__init__(pooling, stride, (4, 8, 16, 32))
        layers, inner, reached = [], channels, 1
        for stage in STAGES:
            for wanted in stage:
                out = int(wanted * width)
                layers += [nn.Conv2d(inner, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                inner = out
            halving = 2 if reached < stride else 1
            reached *= halving
            layers.append(nn.MaxPool2d((2, halving)))
        self.features = nn.Sequential(*layers)
        self.finish(inner, initialisation, projection)
        self.to(memory_format=torch.channels_last)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """Return the last map, (N, 512 * width, H / 32, W / stride), sizes rounded down."""
        return self.features(pictures.contiguous(memory_format=torch.channels_last))
