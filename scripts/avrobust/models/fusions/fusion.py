"""What most fusions share: they take both modalities and hand on as many features."""

from typing import ClassVar

from torch import nn


class Fusion(nn.Module):
    """Features {modality: (N, `features`), ...} -> (N, `out_features`), which are `times` as many."""

    modalities: ClassVar[tuple[str, ...]] = ("audio", "visual")
    times = 1

    def __init__(self, features: int):
        super().__init__()
        self.out_features = self.times * features
