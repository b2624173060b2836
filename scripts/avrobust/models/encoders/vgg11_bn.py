"""VGG-11 with batch normalisation (Simonyan & Zisserman, ICLR 2015), at any width, by torchvision's parameter names."""

from torch import nn

from avrobust.models.pictures import PictureNet

# The channels of each stage's convolutions.
STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG11BN(PictureNet):
    """VGG-11-BN without its classifier: 512 * width channels, non-negative; the map is H / 32 high, rounded down.

    `stride`: along a picture's last side. 32 is the original; with 16, 8 or 4 the last stages halve the other side
    only, for spectrograms so short that 32 would leave few positions in time.
    """

    own_features = 512  # at width 1; a plan reads it
    strides = (32, 16, 8, 4)

    def layers(self, width: float, stride: int, channels: int) -> int:
        """Make `features`."""
        layers, reached = [], 1
        for stage in STAGES:
            for wanted in stage:
                out = int(wanted * width)
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
            halving = 2 if reached < stride else 1
            reached *= halving
            layers.append(nn.MaxPool2d((2, halving)))
        self.features = nn.Sequential(*layers)
        return channels
