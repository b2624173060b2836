"""mixup (Zhang et al., ICLR 2018) of clips within a batch, sound and picture by the same share."""

from collections.abc import Sequence
from math import inf

import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.data.batches import Batch
from avrobust.keyed import generator
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from avrobust.training.prepare.plain import Plain, Setting


class Mixup(Plain):
    """share * clip + (1 - share) * partner, inputs and targets alike, share ~ Beta(alpha, alpha) for each clip.

    A clip is mixed with `probability`, and else stays as it is. The batch in a drawn order is a circle, in which the
    next clip is the partner. All draws depend on seed, epoch and clip, so that a batch in another order gives the same
    mixtures.
    """

    def __init__(self, setting: Setting, alpha: float = 1.0, probability: float = 1.0):
        super().__init__(setting)
        if getattr(setting.objective, "needs_one_label", False):
            raise UserError(f"mixup: {type(setting.objective).__name__} needs one label a clip")
        if not 0 < alpha < inf:
            raise UserError(f"mixup: alpha must be a number above 0, not {alpha!r}")
        if not 0 <= probability <= 1:
            raise UserError(f"mixup: probability must be from 0 to 1, not {probability!r}")
        self.alpha, self.probability = alpha, probability

    def __call__(self, model: LateFusion, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return modality -> (N, ...) and the targets (N, classes), shares of each class that a clip is of."""
        inputs, labels = super().__call__(model, batch, epoch)
        chosen = self.partners(batch["clip_id"], labels, epoch)
        shares, partners = torch.ones(len(labels)), torch.arange(len(labels))
        for place, (share, partner) in chosen.items():
            shares[place], partners[place] = share, partner
        return self.mixtures(inputs, labels, shares.to(labels.device), partners.to(labels.device))

    def partners(self, clip_ids: Sequence[str], labels: Tensor, epoch: int) -> dict[int, tuple[float, int]]:
        """Return the places of the clips that are mixed, each with its own share and its partner's place."""
        drawn = []
        for place, clip in enumerate(clip_ids):
            draw = generator("mixup", self.setting.seed, epoch, clip)
            share, order, stays = draw.beta(self.alpha, self.alpha), draw.random(), draw.random() >= self.probability
            drawn.append((order, place, share, stays))
        drawn.sort()
        following = drawn[1:] + drawn[:1]
        return {
            place: (share, partner)
            for (_, place, share, stays), (_, partner, *_) in zip(drawn, following, strict=True)
            if not stays
        }

    def mixtures(
        self, inputs: dict[str, Tensor], labels: Tensor, shares: Tensor, partner: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return share * clip + (1 - share) * partner, with the places (N,) of the partners and shares (N,)."""

        def mixed(x: Tensor) -> Tensor:
            share = shares.to(x.dtype).view(-1, *[1] * (x.dim() - 1))
            return share * x + (1 - share) * x[partner]

        targets = labels if labels.dim() > 1 else F.one_hot(labels, self.setting.classes)
        return {name: mixed(x) for name, x in inputs.items()}, mixed(targets.float())
