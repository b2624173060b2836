"""R(2+1)D-18 (Tran et al., CVPR 2018): a feature for each window of a clip, as in Li et al. (ICASSP 2022).

torchvision's own class cannot be made narrower, so the net is written out here, with torchvision's parameter names: its
weights load as they are.
"""

import torch
from torch import Tensor, nn

from avrobust.models.initialisation import initialise

# Mean and deviation of Kinetics-400's pixels, by which torchvision's nets on videos were trained.
MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class Conv2Plus1D(nn.Sequential):
    """A 3x3 convolution in space, then one of 3 frames in time, through `middle` channels."""

    def __init__(self, channels: int, out: int, middle: int, stride: int = 1):
        super().__init__(
            nn.Conv3d(channels, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            nn.Conv3d(middle, out, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


class BasicBlock(nn.Module):
    """Two such pairs and a shortcut. (N, C, T, H, W) -> (N, `out`, T, H, W), the last three over `stride`.

    Both have as many `middle` channels as give the first about the weights of a 3x3x3 convolution.
    """

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        middle = channels * out * 27 // (channels * 9 + 3 * out)
        self.conv1 = nn.Sequential(
            Conv2Plus1D(channels, out, middle, stride), nn.BatchNorm3d(out), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(Conv2Plus1D(out, out, middle), nn.BatchNorm3d(out))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class R2Plus1D18(nn.Module):
    """R(2+1)D-18 without its classifier, averaged over the positions of the last map of each window.

    Input: (N, W * `frames_per_window`, 3, height, width) pixels in [0, 1], of W windows one after the other; the
    normalisation of Kinetics-400 happens inside. Output: (N, W, 512 * `width`), not negative.

    `width` multiplies all channels, `gain` what comes out: a net that nothing has trained gives features of another
    length than published weights do, and an epsilon on them would be another share of them.

    Raises:
        ValueError: when called, frames that make no whole number of windows.
    """

    own_features = 512  # at width 1; a plan reads it

    def __init__(self, frames_per_window: int, width: float = 1.0, gain: float = 1.0):
        super().__init__()
        self.frames_per_window, self.gain = frames_per_window, gain
        middle, stem, *stages = (int(channels * width) for channels in (45, 64, 64, 128, 256, 512))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1, 1), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            nn.Conv3d(middle, stem, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(stem),
            nn.ReLU(inplace=True),
        )
        inner = stem
        for number, out in enumerate(stages, start=1):
            first = BasicBlock(inner, out, 1 if number == 1 else 2)
            self.add_module(f"layer{number}", nn.Sequential(first, BasicBlock(out, out, 1)))
            inner = out
        initialise(self, "he")
        self.out_features = inner

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.shape[1] % self.frames_per_window:
            raise ValueError(f"{pixels.shape[1]} frames make no whole windows of {self.frames_per_window}")
        windows = pixels.unflatten(1, (-1, self.frames_per_window))
        x = (windows.flatten(0, 1).transpose(1, 2) - self.mean) / self.std
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.gain * x.mean(dim=(-3, -2, -1)).unflatten(0, windows.shape[:2])
