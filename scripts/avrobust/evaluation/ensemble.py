"""Several nets as one surrogate: the mean of their logits (Liu et al., ICLR 2017, with equal weights)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion


class Ensemble(nn.Module):
    """Nets of the same classes; a feature is the tuple of theirs, logits are the mean of theirs."""

    def __init__(self, nets: Sequence[LateFusion]):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that any of the nets takes."""
        return tuple(dict.fromkeys(name for net in self.nets for name in net.modalities))

    @property
    def precision(self) -> str:
        """The arithmetic of the nets' encoders."""
        return self.nets[0].precision

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on; 1 if only on itself."""
        return math.lcm(*(net.clips_together for net in self.nets))

    @property
    def dimensions(self) -> dict[str, int]:
        """No size: a feature is no vector, and an objective of features cannot take it."""
        return {}

    def encode(self, modality: str, x: Tensor) -> tuple[Tensor | None, ...]:
        """Return each net's feature of one modality, None of a net that does not take it."""
        return tuple(net.encode(modality, x) if modality in net.modalities else None for net in self.nets)

    def head(self, features: Mapping[str, tuple[Tensor | None, ...]]) -> Tensor:
        """Return the mean of the nets' logits (N, classes)."""
        own = [{name: features[name][number] for name in net.modalities} for number, net in enumerate(self.nets)]
        return torch.stack([net.head(one) for net, one in zip(self.nets, own, strict=True)]).mean(dim=0)

    def without_defences(self) -> "Ensemble":
        """Return the ensemble of the same nets whose features pass no defence."""
        return Ensemble([net.without_defences() for net in self.nets])


def as_surrogate(nets: Sequence[Trained]) -> Trained:
    """Return the net that several are as one surrogate; a single one is itself. Only the first's objective is kept."""
    return nets[0] if len(nets) == 1 else nets[0]._replace(model=Ensemble([net.model for net in nets]))
