"""The first phase of CRMT (Yang et al., ICLR 2024): each modality by itself shall tell the classes apart."""

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.told import head_of_modalities


class UncertainMargin(nn.Module):
    """Cross-entropy + `weight` * log sum over modalities m and other classes k of exp(z_k^m - z_y^m), per clip.

    z are the scores of a head `orthogonal`. `weight` is 2 in the released code.
    """

    needs_one_label = True

    def __init__(self, dimensions: Mapping[str, int], classes: int, weight: float = 2.0):
        super().__init__()
        self.weight = weight

    def of_net(self, model: LateFusion) -> Callable[..., Tensor]:
        """Return the same, a function of features, logits and labels, that knows the head of its net."""
        return partial(self, model, head_of_modalities(model, "uncertain_margin"))

    def forward(
        self, model: LateFusion, head: nn.Module, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor
    ) -> Tensor:
        """Return (N,) from features (N, D) or (N, T, D) of both modalities, logits (N, C), labels (N,) int64."""
        scores = head.scores(model.fusion(features))
        own = F.one_hot(labels, logits.shape[1]).bool().unsqueeze(1)
        margins = scores - scores.where(own, 0).sum(dim=2, keepdim=True)
        uncertainty = margins.masked_fill(own, float("-inf")).flatten(1).logsumexp(dim=1)
        return F.cross_entropy(logits, labels, reduction="none") + self.weight * uncertainty
