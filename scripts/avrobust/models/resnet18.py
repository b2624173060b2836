"""ResNet-18 (He et al., CVPR 2016) as the frame encoder of Tian & Xu (CVPR 2021).

torchvision's own class cannot be made narrower and its import costs more than all else that an attack
imports, so the net is written out here, with torchvision's parameter names: its weights load as they are.
"""

import torch
from torch import Tensor, nn

from avrobust import imagenet


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


class ResNet18(nn.Module):
    """ResNet-18 without its classifier, on frames in natural units.

    Input: (N, 3, H, W) pixels in [0, 1]; the ImageNet normalisation happens inside, so that an attack
    works on pixels. Output: (N, 512 * width), non-negative, pooled over the positions by `pooling`:
    `average` as in the released code, `max` as in the paper's appendix A.3; `none` leaves the map,
    (N, 512 * width, H / stride, W / stride), for the localisation net of section 4.5.

    `stride`: pixels per position of the map. 32 is He et al.'s net; 16 leaves out the halving of the last stage
    and 8 that of the last two, with the same weights, for frames so small that 32 would leave few positions.

    Raises:
        ValueError: `pooling` or `stride` is none of these.
    """

    def __init__(self, width: float = 1.0, pooling: str = "average", stride: int = 32):
        super().__init__()
        if pooling not in ("average", "max", "none"):
            raise ValueError(f"pooling is 'average', 'max' or 'none', not {pooling!r}")
        if stride not in (8, 16, 32):
            raise ValueError(f"stride is 8, 16 or 32, not {stride!r}")
        stem, *stages = (int(channels * width) for channels in (64, 64, 128, 256, 512))
        self.register_buffer("mean", torch.tensor(imagenet.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(imagenet.STD).view(3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        # Each stage but the first halves the map, from stride 4 on, until `stride` is reached.
        channels, reached = stem, 4
        for index, out in enumerate(stages, start=1):
            halving = 2 if index > 1 and reached < stride else 1
            blocks = BasicBlock(channels, out, halving), BasicBlock(out, out, 1)
            reached *= halving
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
            channels = out
        self.pooling = pooling
        self.out_features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # oneDNN limited to AVX2 writes beyond its memory in the backward pass of a strided 1 x 1 convolution of fewer
        # than 8 channels, if they are stored last.
        self.memory_format = torch.channels_last if stem >= 8 else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """Return the last stage's map, (N, 512 * width, H / stride, W / stride), sizes rounded up."""
        x = ((pixels - self.mean) / self.std).contiguous(memory_format=self.memory_format)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.feature_map(pixels)
        if self.pooling == "none":
            return maps
        return maps.mean(dim=(-2, -1)) if self.pooling == "average" else maps.amax(dim=(-2, -1))
