"""A control and no defence: features rounded, so that no gradient passes (Athalye et al., ICML 2018, section 3.1).

A net that has it looks robust to every attack by its own gradients and is as weak as before. It stands among the nets
so that everybody sees whether the checks notice.
"""

import torch
from torch import Tensor, nn


class PlantedMasking(nn.Module):
    """Rounds each feature to one of `levels` steps of the clip's largest; the derivative is 0 wherever there is one."""

    def __init__(self, features: int, levels: int = 8):
        super().__init__()
        self.levels = levels

    def forward(self, features: Tensor) -> Tensor:
        """Return rounded features: (N, D) -> (N, D)."""
        largest = features.detach().abs().amax(dim=1, keepdim=True)
        step = (largest / self.levels).clamp_min(torch.finfo(features.dtype).tiny)
        return (features / step).round() * step
