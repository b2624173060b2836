"""AlexNet's convolutions (Krizhevsky, 2014, as torchvision has them), any width, by torchvision's parameter names."""

import torch
from torch import Tensor, nn

from avrobust.models.pictures import PictureNet


class AlexNet(PictureNet):
    """AlexNet without its classifier: 256 * width channels, non-negative; `avrobust.models.pictures` says the rest.

    `stem_stride`: that of the first convolution, 4 in the original; 2 lets pictures pass of which 4 leaves nothing,
    those of fewer than 63 pixels.
    """

    def __init__(
        self,
        width: float = 1.0,
        pooling: str = "average",
        stem_stride: int = 4,
        channels: int = 3,
        projection: int | None = None,
        initialisation: str = "torch",
    ):
        super().__init__(pooling, stem_stride, (2, 4))
        first, second, third, last = (int(channels * width) for channels in (64, 192, 384, 256))
        self.features = nn.Sequential(
            nn.Conv2d(channels, first, 11, stride=stem_stride, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(third, last, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(last, last, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.finish(last, initialisation, projection)
        self.to(memory_format=torch.channels_last)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """Return the last map, (N, 256 * width, h, w); 6 x 6 for 224 pixels."""
        return self.features(pictures.contiguous(memory_format=torch.channels_last))
