"""The audio net of Tian & Xu (CVPR 2021), appendix Figure 1: convolutions on the raw waveform."""

from torch import Tensor, nn

CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)


class Conv1d(nn.Module):
    """Eight strided convolutions on a waveform, then a global maximum over time.

    Input: (N, 1, L) waveform in [-1, 1], L >= 4096. Output: (N, 512 * width), non-negative.
    1,566,528 parameters at width 1.
    """

    def __init__(self, width: float = 1.0):
        super().__init__()
        layers, channels = [], 1
        for index, wanted in enumerate(CHANNELS):
            out = int(wanted * width)
            layers += [
                nn.Conv1d(channels, out, kernel_size=3, stride=2, padding=1),
                nn.BatchNorm1d(out),
                nn.ReLU(inplace=True),
            ]
            if index % 2:
                layers.append(nn.MaxPool1d(kernel_size=2, stride=2))
            channels = out
        self.layers = nn.Sequential(*layers)
        self.out_features = channels

    def forward(self, waveform: Tensor) -> Tensor:
        return self.layers(waveform).amax(dim=-1)
