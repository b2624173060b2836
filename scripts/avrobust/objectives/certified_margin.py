"""The second phase of CRMT (Yang et al., ICLR 2024): weigh the modalities so that more of a clip may be changed."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.objectives.told import head_of_modalities

# Below the length of a class's gradients: nets whose scores depend on nothing divide by it.
FLOOR = 1e-12


class CertifiedMargin(nn.Module):
    """Minus the l2 norm of a change of both inputs together below which a clip keeps its class.

    With the scores z of a head `orthogonal`, its modality weights a and L_k^m, how fast z_k^m changes at most with the
    input of m:

        min over other classes j of (logit_y - logit_j) / sqrt(sum_m (|a_y^m| L_y^m + |a_j^m| L_j^m)^2)

    below 0 where the clip is not recognised. L is a table, measured once at the training's beginning: the largest norm
    of a gradient over training clips, each modality on its own. `clips`: of so many of them, all if None.
    """

    needs_one_label = True
    lipschitz: Tensor

    def __init__(self, dimensions: Mapping[str, int], classes: int, clips: int | None = None):
        super().__init__()
        self.clips = clips
        self.register_buffer("lipschitz", torch.zeros(2, classes))

    def measure(self, model: LateFusion, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Measure the table (2, classes), visual first, in evaluation mode; `batches`: modality -> (N, ...)."""
        head = head_of_modalities(model, "certified_margin")
        table = torch.zeros_like(self.lipschitz)
        with evaluating(model):
            for inputs in batches:
                for number, name in enumerate(head.modalities):
                    leaf = inputs[name].detach().requires_grad_()
                    scores = head.score(name, model.encode(name, leaf)).sum(dim=0)
                    for place, score in enumerate(scores):
                        (gradient,) = torch.autograd.grad(score, leaf, retain_graph=place + 1 < len(scores))
                        table[number, place] = max(table[number, place], gradient.flatten(1).norm(dim=1).max())
        self.lipschitz.copy_(table)

    def of_net(self, model: LateFusion) -> Callable[..., Tensor]:
        """Return the same, a function of features, logits and labels, that knows the head of its net."""
        return partial(self, head_of_modalities(model, "certified_margin"))

    def forward(self, head: nn.Module, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N,) int64."""
        own = F.one_hot(labels, logits.shape[1]).bool()
        speeds = head.modality_weights.abs() * self.lipschitz
        pairs = torch.linalg.vector_norm(speeds[:, labels].unsqueeze(2) + speeds.unsqueeze(1), dim=0)
        margins = (logits.gather(1, labels.unsqueeze(1)) - logits) / pairs.clamp_min(FLOOR)
        return -margins.masked_fill(own, float("inf")).amin(dim=1)
