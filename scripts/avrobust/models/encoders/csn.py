"""Convolutional self-attention net: the sound's branch of Li et al. (ICASSP 2022), figure 2."""

from itertools import pairwise

from torch import Tensor, nn

from avrobust.models.standardise import Standardise
from avrobust.models.transformer import Transformer

CHANNELS = (32, 64, 128, 256, 512)
# Of a pooling behind each pair of convolutions: steps, mel bands.
POOLINGS = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2))


class CSN(nn.Module):
    """Ten 3x3 convolutions with five poolings on a log-mel picture, then a transformer over what is left of the steps.

    Input: (N, T, `mels`) in dB, standardised inside by the moments of the training clips. Output: (N, T // 4, D), D is
    512 * `width` * `mels` // 32. At 400 x 64 and width 1 that is (N, 100, 1024).

    `passes`, `shared`, `heads`, `dropout`: of `avrobust.models.transformer.Transformer`; without a pass it is left out.

    Raises:
        ValueError: fewer than 32 mel bands, which the poolings leave nothing of.
    """

    def __init__(
        self,
        mels: int = 64,
        width: float = 1.0,
        passes: int = 2,
        shared: bool = True,
        heads: int = 8,
        dropout: float = 0.75,
    ):
        super().__init__()
        if mels < 2 ** len(POOLINGS):
            raise ValueError(f"{len(POOLINGS)} poolings leave nothing of {mels} mel bands; give 32 or more")
        self.standardise = Standardise(mels)
        sizes = [1, *(int(channels * width) for channels in CHANNELS)]
        layers: list[nn.Module] = []
        for (given, made), pooling in zip(pairwise(sizes), POOLINGS, strict=True):
            for channels in (given, made):
                layers += [nn.Conv2d(channels, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU()]
            layers.append(nn.MaxPool2d(pooling))
        self.layers = nn.Sequential(*layers)
        self.out_features = sizes[-1] * (mels // 2 ** len(POOLINGS))
        self.transformer = Transformer(self.out_features, passes, shared, heads, dropout=dropout)

    @property
    def scale(self) -> Tensor:
        """What 1 of a standardised value is in dB, (`mels`,)."""
        return self.standardise.deviation

    def forward(self, picture: Tensor) -> Tensor:
        maps = self.layers(self.standardise(picture).unsqueeze(1))
        return self.transformer(maps.permute(0, 2, 3, 1).flatten(2))
