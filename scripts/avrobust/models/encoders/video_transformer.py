"""A transformer over features of a video: the picture's branch of Li et al. (ICASSP 2022), section 7.1."""

from collections.abc import Mapping

from torch import Tensor, nn

from avrobust.models.standardise import Standardise
from avrobust.models.transformer import Transformer


class VideoTransformer(nn.Module):
    """A transformer over the features of a video's seconds, and a fully connected layer with ReLU.

    Input: (N, T, `size`), as an extractor made them. Output: (N, T, `features`). Without a pass of the transformer
    (`transformer: {passes: 0}`) it is the layer alone.
    """

    def __init__(self, size: int = 512, features: int = 1024, transformer: Mapping | None = None):
        super().__init__()
        self.transformer = Transformer(size, **{"inner": features, **(transformer or {})})
        self.projection = nn.Sequential(nn.Linear(size, features), nn.ReLU())
        self.out_features = features

    def forward(self, features: Tensor) -> Tensor:
        return self.projection(self.transformer(features))


class StandardisedVideoTransformer(VideoTransformer):
    """The same of features that are standardised inside, by the moments of the training clips."""

    def __init__(self, size: int = 512, features: int = 1024, transformer: Mapping | None = None):
        super().__init__(size, features, transformer)
        self.standardise = Standardise(size)

    @property
    def scale(self) -> Tensor:
        """What 1 of a standardised value is in the features' own unit, (`size`,)."""
        return self.standardise.deviation

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(self.standardise(features))
