"""ResNet-18 (He et al., CVPR 2016): the frame encoder of Tian & Xu (CVPR 2021).

torchvision's own class cannot be made narrower and its import costs more than all else that an attack
imports, so the net is written out here, with torchvision's parameter names: its weights load as they are.
"""

import torch
from torch import Tensor, nn

from avrobust.models.pictures import PictureNet


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut. (N, C, H, W) -> (N, `out`, H / `stride`, W / `stride`)."""

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(PictureNet):
    """ResNet-18 without its classifier: 512 * width channels, non-negative.

    Released code of Tian & Xu: `pooling` `average`; `max` as in the paper's appendix A.3; `none` for the localisation
    net of section 4.5.

    `stride`: 32 is He et al.'s net; 16 leaves out the halving of the last stage and 8 that of the last two, with the
    same weights, for frames so small that 32 would leave few positions. Sizes of the map are rounded up.
    """

    own_features = 512  # at width 1; a plan reads it
    strides = (32, 16, 8)

    def layers(self, width: float, stride: int, channels: int) -> int:
        """Make the stem and the stages."""
        stem, *stages = (int(channels * width) for channels in (64, 64, 128, 256, 512))
        self.conv1 = nn.Conv2d(channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        # Each stage but the first halves the map, from stride 4 on, until `stride` is reached.
        inner, reached = stem, 4
        for index, out in enumerate(stages, start=1):
            halving = 2 if index > 1 and reached < stride else 1
            reached *= halving
            self.add_module(f"layer{index}", nn.Sequential(BasicBlock(inner, out, halving), BasicBlock(out, out, 1)))
            inner = out
        # oneDNN limited to AVX2 writes beyond its memory in the backward pass of a strided 1 x 1 convolution of fewer
        # than 8 channels, if they are stored last.
        if stem < 8:
            self.memory_format = torch.contiguous_format
        return inner

    def feature_map(self, pictures: Tensor) -> Tensor:
        """Return the last stage's map."""
        x = pictures.contiguous(memory_format=self.memory_format)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
