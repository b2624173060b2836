"""The picture's branch of Li et al. (ICASSP 2022) on features that are standardised, as the sound's are."""

from torch import Tensor

from avrobust.models.encoders.video_transformer import VideoTransformer
from avrobust.models.standardise import Standardise


class StandardisedVideoTransformer(VideoTransformer):
    """`VideoTransformer` of features that are standardised inside, by the moments of the training clips."""

    def __init__(
        self,
        size: int = 512,
        features: int = 1024,
        passes: int = 2,
        shared: bool = True,
        heads: int = 8,
        dropout: float = 0.75,
    ):
        super().__init__(size, features, passes, shared, heads, dropout)
        self.standardise = Standardise(size)

    @property
    def scale(self) -> Tensor:
        """What 1 of a standardised value is in the features' own unit, (`size`,)."""
        return self.standardise.deviation

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(self.standardise(features))
