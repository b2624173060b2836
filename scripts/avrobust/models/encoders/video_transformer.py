"""A transformer over features of a video: the picture's branch of Li et al. (ICASSP 2022), section 7.1."""

from torch import Tensor, nn

from avrobust.models.transformer import Transformer


class VideoTransformer(nn.Module):
    """A transformer over the features of a video's seconds, and a fully connected layer with ReLU.

    Input: (N, T, `size`), as an extractor made them. Output: (N, T, `features`). `passes`, `shared`, `heads`,
    `dropout`: of `avrobust.models.transformer.Transformer`; without a pass it is the layer alone.
    """

    def __init__(
        self,
        size: int = 512,
        features: int = 1024,
        passes: int = 2,
        shared: bool = True,
        heads: int = 8,
        dropout: float = 0.75,
    ):
        super().__init__()
        self.transformer = Transformer(size, passes, shared, heads, features, dropout)
        self.projection = nn.Sequential(nn.Linear(size, features), nn.ReLU())
        self.out_features = features

    def forward(self, features: Tensor) -> Tensor:
        return self.projection(self.transformer(features))
