"""Objectives that look at the net."""

from collections.abc import Callable

from torch import Tensor, nn

from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError


def told(objective: nn.Module, model: LateFusion) -> Callable[..., Tensor]:
    """Return the objective, told its net where it has a method `of_net` (model) -> objective."""
    of_net = getattr(objective, "of_net", None)
    return of_net(model) if of_net else objective


def head_of_modalities(model: LateFusion, objective: str) -> nn.Module:
    """Return the head of a net that says what each modality does; UserError if it does not."""
    if not hasattr(model.classifier, "modality_weights"):
        raise UserError(f"objective {objective} needs a head that weighs modalities; give head: orthogonal")
    return model.classifier
