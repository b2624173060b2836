"""PCL, prototype conformity (Mustafa et al., ICCV 2019), on the feature of each modality.

The baseline of Tian & Xu (CVPR 2021), section 4.6, whose code for it is not released. Here it follows the released
code of Mustafa et al.: two separate sets of class centres, one that a clip is drawn to and one that it is driven from.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.models.pooling import pooled

# The released code keeps squared distances in this range.
DISTANCE_RANGE = 1e-12, 1e12


class PrototypeConformity(nn.Module):
    """Cross-entropy + sum over modalities of `prox_weight` * ||f - c_y||^2 - `conprox_weight` * mean_j ||f - d_j||^2.

    The mean is over the classes j other than the clip's own, y. c and d are learned with the net, each by plain
    gradient steps of its own rate (`prox_rate`, `conprox_rate`), which the weights do not scale.
    """

    needs_one_label = True

    def __init__(
        self,
        dimensions: Mapping[str, int],
        classes: int,
        prox_weight: float,
        conprox_weight: float,
        prox_rate: float,
        conprox_rate: float,
    ):
        super().__init__()
        self.prox_weight, self.conprox_weight = prox_weight, conprox_weight
        self.prox_rate, self.conprox_rate = prox_rate, conprox_rate
        # Drawn from N(0, 1), as in the released code.
        self.prox_centres = nn.ParameterDict({name: torch.randn(classes, size) for name, size in dimensions.items()})
        self.conprox_centres = nn.ParameterDict({name: torch.randn(classes, size) for name, size in dimensions.items()})

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from features (N, D) of every modality, logits (N, C), C > 1, and labels (N,) int64."""
        loss = F.cross_entropy(logits, labels, reduction="none")
        others = 1 - F.one_hot(labels, logits.shape[1]).to(logits.dtype)
        for name in features:
            feature = pooled(features[name])
            prox = (feature - self.prox_centres[name][labels]).square().sum(dim=1).clamp(*DISTANCE_RANGE)
            distances = (feature[:, None] - self.conprox_centres[name]).square().sum(dim=2).clamp(*DISTANCE_RANGE)
            conprox = (distances * others).sum(dim=1) / others.sum(dim=1)
            loss = loss + self.prox_weight * prox - self.conprox_weight * conprox
        return loss

    def parameter_groups(self) -> list[dict]:
        """Return SGD's groups for the centres: no momentum, no decay, gradients free of the weights' scale."""
        plain = {"momentum": 0.0, "weight_decay": 0.0}
        return [
            # Of weight 0 a centre has no gradient, and any rate leaves it where it is.
            {"params": list(centres.values()), "lr": rate / weight if weight else 0.0, **plain}
            for centres, rate, weight in (
                (self.prox_centres, self.prox_rate, self.prox_weight),
                (self.conprox_centres, self.conprox_rate, self.conprox_weight),
            )
        ]
