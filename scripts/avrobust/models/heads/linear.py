"""Head `linear`: Tian & Xu (CVPR 2021), section 3.2."""

from torch import Tensor, nn

from avrobust.models.pooling import pooled


class Linear(nn.Linear):
    """A fully connected layer on the fused feature, of which the mean is taken where it has steps.

    `deviation`: standard deviation of the initial weights, 1e-4 in the released code; None leaves torch's own.
    """

    def __init__(self, features: int, classes: int, task: str, deviation: float | None = 1e-4):
        super().__init__(features, classes)
        if deviation is not None:
            nn.init.normal_(self.weight, std=deviation)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits (N, classes) from (N, features) or (N, T, features)."""
        return super().forward(pooled(fused))
