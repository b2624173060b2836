"""Head `orthogonal` of CRMT (Yang et al., ICLR 2024): what each modality says of a class, and how much that counts."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.models.pooling import pooled
from avrobust.program import UserError


class Orthogonal(nn.Module):
    """Logits a_v z_v + a_a z_a + b, where z_m = W_m f_m, and a row of W_m has the mean 0 and the length 1.

    For both features side by side, the visual one first, as the fusion `concat` gives them. a_m has a number for each
    class; the released code begins with 0.1. Its rows are not orthogonal to each other either, whatever it is called.

    `shared`: W_v is W_a, as where features are added before a linear head.
    """

    modalities: ClassVar[tuple[str, ...]] = ("visual", "audio")
    side_by_side = True

    def __init__(self, features: int, classes: int, task: str, shared: bool = False):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(1 if shared else 2, classes, features // 2))
        self.modality_weights = nn.Parameter(torch.full((2, classes), 0.1))
        self.bias = nn.Parameter(torch.zeros(classes))

    def rows(self) -> Tensor:
        """Return W_v and W_a, (2, classes, D)."""
        centred = self.directions - self.directions.mean(dim=2, keepdim=True)
        return F.normalize(centred, dim=2).expand(2, -1, -1)

    def scores(self, fused: Tensor) -> Tensor:
        """Return z_v and z_a, (N, 2, classes), from (N, 2 D) or (N, T, 2 D), of which the mean over T is taken."""
        return torch.einsum("nmd,mcd->nmc", pooled(fused).unflatten(1, (2, -1)), self.rows())

    def score(self, modality: str, feature: Tensor) -> Tensor:
        """Return z of one modality, (N, classes), from its feature (N, D) or (N, T, D)."""
        return pooled(feature) @ self.rows()[self.modalities.index(modality)].T

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        return (self.modality_weights * self.scores(fused)).sum(dim=1) + self.bias

    @torch.no_grad()
    def take_over(self, linear: nn.Linear) -> None:
        """Begin as a trained linear head: its rows' directions, and their lengths as modality weights.

        What is lost is what each row has in common for all features.

        Raises:
            UserError: it is of other features; one on added features makes a head that is `shared`.
        """
        count, classes, size = self.directions.shape
        if not isinstance(linear, nn.Linear) or linear.weight.shape != (classes, count * size):
            raise UserError(
                f"orthogonal: the head to start from is not linear on {count * size} features; on concatenated ones "
                "`shared` is false, on added ones true"
            )
        self.directions.copy_(linear.weight.unflatten(1, (count, size)).transpose(0, 1))
        centred = self.directions - self.directions.mean(dim=2, keepdim=True)
        self.modality_weights.copy_(centred.norm(dim=2).expand(2, -1))
        self.bias.copy_(linear.bias)
