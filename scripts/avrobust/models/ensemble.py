"""Several nets that are attacked as one: their logits averaged (Dong et al., CVPR 2018, section 3.3; equal weights).

A net that an attack takes gradients of, never one that answers: it has what `LateFusion` has for that.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError


class Ensemble(nn.Module):
    """`nets` of the same modalities and as many classes, of clips of one label.

    A modality's features are those of all nets, (N, M, T, D) of M nets; T is 1 where a net gives one for a clip. All
    have the same T and D.

    Raises:
        UserError: they are of other modalities or tasks than each other, or of several labels a clip.
    """

    def __init__(self, nets: Sequence[LateFusion]):
        super().__init__()
        self.nets = nn.ModuleList(nets)
        if len({net.modalities for net in nets}) > 1 or {net.task for net in nets} != {"single"}:
            takes = "; ".join(f"{', '.join(net.modalities)} ({net.task})" for net in nets)
            raise UserError(f"an ensemble's nets take the same modalities, and clips of a single label, not {takes}")
        self.modalities, self.task = nets[0].modalities, nets[0].task

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders."""
        return self.nets[0].precision

    @property
    def dimensions(self) -> dict[str, int]:
        """The size of each modality's feature."""
        return self.nets[0].dimensions

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on in evaluation mode; 1 if only on itself."""
        return math.lcm(*(net.clips_together for net in self.nets))

    def encode(self, modality: str, x: Tensor) -> Tensor:
        """Return the features of one modality: (N, ...) input in natural units -> (N, M, T, D).

        Raises:
            UserError: the nets' features are of other shapes than each other, or maps.
        """
        features = [net.encode(modality, x) for net in self.nets]
        features = [feature.unsqueeze(1) if feature.dim() == 2 else feature for feature in features]
        if len({feature.shape for feature in features}) > 1 or features[0].dim() != 3:
            shapes = ", ".join("x".join(map(str, feature.shape[1:])) for feature in features)
            raise UserError(f"an ensemble's nets have features of one shape, steps x size, not {shapes} of {modality}")
        return torch.stack(features, dim=1)

    def heads(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits of each net, (M, N, classes)."""
        each = [
            net.head({name: feature[:, number] for name, feature in features.items()})
            for number, net in enumerate(self.nets)
        ]
        return torch.stack(each)

    def head(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of the nets' logits, (N, classes)."""
        return self.heads(features).mean(dim=0)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits (N, classes) from the inputs, modality -> (N, ...)."""
        return self.head({name: self.encode(name, inputs[name]) for name in self.modalities})

    def without_defences(self) -> "Ensemble":
        """Return an ensemble of the same nets whose features pass no defence."""
        return type(self)([net.without_defences() for net in self.nets])

    def in_precision(self, precision: str) -> "Ensemble":
        """Return an ensemble of the very same parts whose encoders compute in `precision`; this one if they do."""
        return self if precision == self.precision else type(self)([net.in_precision(precision) for net in self.nets])
