"""Encoders that do not see each other, a fusion, a classifier: Tian & Xu (CVPR 2021), section 3.2."""

import math
from collections.abc import Mapping
from copy import copy

import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "bfloat16")


class LateFusion(nn.Module):
    """A classifier over named modalities.

    `encode` and `head` are separate because an attack on one modality needs the other's feature only once.

    `precision`: `float32` (whatever the parameters are), or `bfloat16` for the encoders' arithmetic; features,
    defences, fusion and classifier stay as they are. `task`: a name of `avrobust.models.task.TASKS`.
    """

    precision, task = "float32", "single"

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        classifier: nn.Module,
        defences: Mapping[str, nn.Module] | None = None,
    ):
        """Put the parts together.

        `encoders`: modality -> module whose output the fusion takes; `classifier`: from fused features to logits;
        `defences`: modality -> module that every feature of that modality passes, (N, D) -> (N, D). One whose result
        for a clip depends on its neighbours says of how many consecutive ones, from the first of a batch on, by
        `clips_together`.
        """
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.defences = nn.ModuleDict(defences or {})
        self.fusion = fusion
        self.classifier = classifier

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the net takes, in a fixed order."""
        return tuple(self.encoders)

    @property
    def dimensions(self) -> dict[str, int]:
        """The size of each modality's feature."""
        return {name: encoder.out_features for name, encoder in self.encoders.items()}

    @property
    def scales(self) -> dict[str, Tensor]:
        """What 1 of a standardised input is in natural units, of the modalities whose encoder standardises it."""
        return {name: encoder.scale for name, encoder in self.encoders.items() if hasattr(encoder, "scale")}

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on in evaluation mode; 1 if only on itself."""
        return math.lcm(*(getattr(defence, "clips_together", 1) for defence in self.defences.values()))

    def encode(self, modality: str, x: Tensor) -> Tensor:
        """Return the feature of one modality: (N, ...) input in natural units -> (N, D) or (N, T, D), of T steps.

        Where the encoder leaves its map, (N, D, h, w).
        """
        if self.precision == "bfloat16":
            with torch.autocast(x.device.type, torch.bfloat16):
                feature = self.encoders[modality](x).float()
        else:
            feature = self.encoders[modality](x)
        return self.defences[modality](feature) if modality in self.defences else feature

    def head(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits (N, classes) from the features of all modalities."""
        return self.classifier(self.fusion(features))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits (N, classes) from the inputs, modality -> (N, ...); modalities unused are ignored."""
        return self.head({name: self.encode(name, inputs[name]) for name in self.modalities})

    def without_defences(self) -> "LateFusion":
        """Return a net of the very same encoders, fusion and classifier whose features pass no defence."""
        bare = LateFusion(self.encoders, self.fusion, self.classifier)
        bare.precision, bare.task = self.precision, self.task
        return bare.train(self.training)

    def in_precision(self, precision: str) -> "LateFusion":
        """Return a net of the very same parts whose encoders compute in `precision`; this one if they do."""
        if precision == self.precision:
            return self
        other = copy(self)
        other.precision = precision
        return other
