"""Head `gated_experts` of SSDF (Yang et al., CVPR 2021, section 3.2): the modality that does not fit is left out."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from avrobust.models.heads.linear import Linear
from avrobust.models.pooling import pooled
from avrobust.program import UserError

FUSIONS = ("concat", "sum")


class GatedExperts(nn.Module):
    """A linear layer on sum_i g_i e_i (equation 5), where g is the softmax of the odd-one-out net.

    For both features side by side, the visual one first, as the fusion `concat` gives them. Expert i leaves out
    modality i, and the last one none. Of two modalities, an expert that leaves one out is the other feature as it is.

    `fusion`: how the net fuses without this head. `concat`: an expert has both places, with 0 in that of the modality
    that is left out; `sum`: it has one. The last expert is a linear layer on what that fusion gives, at first the very
    same. `hidden`: units of the odd-one-out net, one hidden layer on both features.
    """

    modalities: ClassVar[tuple[str, ...]] = ("visual", "audio")
    side_by_side = True

    def __init__(self, features: int, classes: int, task: str, fusion: str = "concat", hidden: int = 512):
        super().__init__()
        if fusion not in FUSIONS:
            raise UserError(f"gated_experts: fusion is {' or '.join(FUSIONS)}, not {fusion!r}")
        self.added = fusion == "sum"
        size = features // 2 if self.added else features
        experts = len(self.modalities) + 1
        self.detector = nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, experts))
        self.joint = nn.Linear(size, size)
        nn.init.eye_(self.joint.weight)
        nn.init.zeros_(self.joint.bias)
        self.linear = Linear(size, classes, task)

    def odd_one_out(self, fused: Tensor) -> Tensor:
        """Return logits (N, 3) of what is attacked: each of `modalities`, or none; `fused` as of `forward`."""
        return self.detector(pooled(fused))

    def gates(self, fused: Tensor) -> Tensor:
        """Return the weight of each expert (N, 3), which sum to 1 for each clip."""
        return self.odd_one_out(fused).softmax(dim=1)

    def experts(self, fused: Tensor) -> Tensor:
        """Return what each expert makes of both features, (N, 3, D), or (N, 3, 2 D) where they stand side by side."""
        visual, audio = pooled(fused).chunk(2, dim=1)
        if self.added:
            return torch.stack([audio, visual, self.joint(visual + audio)], dim=1)
        nothing = torch.zeros_like(visual)
        without_visual, without_audio = torch.cat([nothing, audio], dim=1), torch.cat([visual, nothing], dim=1)
        return torch.stack([without_visual, without_audio, self.joint(pooled(fused))], dim=1)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits (N, classes) from (N, 2 D) or (N, T, 2 D), of which the mean over T is taken."""
        return self.linear((self.gates(fused).unsqueeze(2) * self.experts(fused)).sum(dim=1))

    @torch.no_grad()
    def take_over(self, linear: nn.Linear) -> None:
        """Begin with the weights of a trained linear head.

        Raises:
            UserError: it is of other features; one on concatenated ones is taken over with `fusion` concat, one on
                added ones with sum.
        """
        if not isinstance(linear, nn.Linear) or linear.weight.shape != self.linear.weight.shape:
            raise UserError(
                f"gated_experts: the head to start from is not linear on {self.linear.in_features} features; give as "
                "`fusion` that of its net, concat or sum"
            )
        self.linear.load_state_dict(linear.state_dict())
