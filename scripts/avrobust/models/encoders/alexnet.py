"""AlexNet's convolutions (Krizhevsky, 2014, as torchvision has them), any width, by torchvision's parameter names."""

from torch import nn

from avrobust.models.pictures import PictureNet


class AlexNet(PictureNet):
    """AlexNet without its classifier: 256 * width channels, non-negative, at torch's own initial weights.

    `stride`: 32 is the original; 16 halves the step of the first convolution and lets pictures pass of which 32 leaves
    nothing, those of fewer than 63 pixels. The map of 224 pixels is 6 x 6.
    """

    own_features = 256  # at width 1; a plan reads it
    strides = (32, 16)
    way = "torch"

    def layers(self, width: float, stride: int, channels: int) -> int:
        """Make `features`."""
        first, second, third, last = (int(channels * width) for channels in (64, 192, 384, 256))
        self.features = nn.Sequential(
            nn.Conv2d(channels, first, 11, stride=stride // 8, padding=2),
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
        return last
