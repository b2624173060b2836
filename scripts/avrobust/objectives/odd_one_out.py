"""The loss of SSDF (Yang et al., CVPR 2021, section 3.3): the class, and which modality is attacked."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError


class OddOneOut(nn.Module):
    """Cross-entropy of the class + `weight` * cross-entropy of what is attacked, per clip.

    `attacked`: what the class of a clip that is attacked counts, where that of a clean one counts 1. Which modality is
    attacked, of those of the head, or none, its preparation says. Where nobody says it, as in an attack, the loss is
    the cross-entropy of the class.
    """

    needs_one_label = True
    # Of the preparation: that its targets have the modality that it attacked beside the class.
    needs_source = True

    def __init__(self, dimensions: Mapping[str, int], classes: int, weight: float = 1.0, attacked: float = 1.0):
        super().__init__()
        self.weight, self.attacked = weight, attacked

    def of_net(self, model: LateFusion) -> Callable[..., Tensor]:
        """Return the same, a function of features, logits and targets, that knows its net."""
        return partial(self, model, detecting_head(model))

    def forward(
        self, model: LateFusion, head: nn.Module, features: Mapping[str, Tensor], logits: Tensor, targets: Tensor
    ) -> Tensor:
        """Return (N,) from features of both modalities, logits (N, C) and labels (N,), or (N, 2) with sources, int64.

        Raises:
            UserError: the net is in training, and nobody says what is attacked.
        """
        if targets.dim() == 1:
            if model.training:
                raise UserError(
                    "objective odd_one_out learns which modality is attacked, and nobody says it; give prepare: "
                    "single_source"
                )
            return F.cross_entropy(logits, targets, reduction="none")
        labels, sources = targets.unbind(dim=1)
        counts = torch.where(sources < len(head.modalities), self.attacked, 1.0)
        told = F.cross_entropy(head.odd_one_out(model.fusion(features)), sources, reduction="none")
        return counts * F.cross_entropy(logits, labels, reduction="none") + self.weight * told


def detecting_head(model: LateFusion) -> nn.Module:
    """Return the head of a net that says which modality is attacked; UserError if it does not."""
    if not hasattr(model.classifier, "odd_one_out"):
        raise UserError("objective odd_one_out needs a head that says which modality is attacked; give gated_experts")
    return model.classifier
