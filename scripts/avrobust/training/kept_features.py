"""An observer of a training: features of its last epoch, of which a feature memory of a later stage is made."""

from collections.abc import Mapping

import torch
from torch import Tensor


class KeptFeatures:
    """The first features of the last of `epochs` epochs, at most `count`, as the net in training saw them.

    The order of clips is shuffled, so they are a random sample.
    """

    def __init__(self, count: int, epochs: int):
        self.count, self.epochs = count, epochs
        self._parts: list[dict[str, Tensor]] = []

    def see(self, epoch: int, features: Mapping[str, Tensor]) -> None:
        """Look at the features of a batch, modality -> (N, D), in the order of training."""
        seen = sum(len(next(iter(part.values()))) for part in self._parts)
        if epoch == self.epochs and seen < self.count:
            self._parts.append({name: feature.detach() for name, feature in features.items()})

    def state_dict(self) -> dict[str, Tensor]:
        """Return modality -> (n, D) on the CPU, n <= `count`; empty before the last epoch."""
        names = self._parts[0] if self._parts else ()
        return {name: torch.cat([part[name] for part in self._parts])[: self.count].cpu() for name in names}

    def load_state_dict(self, features: dict[str, Tensor]) -> None:
        """Go on from `features`."""
        self._parts = [features] if features else []
