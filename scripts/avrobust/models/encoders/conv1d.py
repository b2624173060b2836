"""The audio net of Tian & Xu (CVPR 2021), appendix Figure 1: convolutions on the raw waveform."""

import torch
from torch import Tensor, nn

CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)


class Conv1d(nn.Module):
    """Eight strided convolutions on a waveform, then a global maximum over time.

    Input: (N, 1, L) waveform in [-1, 1], L >= 4096. Output: (N, 512 * width), non-negative.
    1,566,528 parameters at width 1.
    """

    own_features = 512  # at width 1; a plan reads it

    def __init__(self, width: float = 1.0):
        super().__init__()
        layers, channels = [], 1
        for index, wanted in enumerate(CHANNELS):
            out = int(wanted * width)
            layers += [
                nn.Conv2d(channels, out, kernel_size=(1, 3), stride=(1, 2), padding=(0, 1)),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            if index % 2:
                layers.append(nn.MaxPool2d(kernel_size=(1, 2), stride=(1, 2)))
            channels = out
        # As a picture one pixel high, because torch stores pictures with the channels last: twice as fast on a CPU.
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.out_features = channels

    def forward(self, waveform: Tensor) -> Tensor:
        picture = waveform.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.layers(picture).amax(dim=(-2, -1))
