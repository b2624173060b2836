"""Encoders that do not see each other, a fusion, a linear classifier: Tian & Xu (CVPR 2021), section 3.2."""

from collections.abc import Mapping

from torch import Tensor, nn

# Standard deviation of the classifier's initial weights in the released code.
CLASSIFIER_STD = 1e-4


class LateFusion(nn.Module):
    """A classifier over named modalities.

    `encode` and `head` are separate because an attack on one modality needs the other's feature only once.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], fusion: nn.Module, classes: int):
        """`encoders`: modality -> module whose output the fusion takes; `classes`: number of logits."""
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.classifier = nn.Linear(fusion.out_features, classes)
        nn.init.normal_(self.classifier.weight, std=CLASSIFIER_STD)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the net takes, in a fixed order."""
        return tuple(self.encoders)

    def encode(self, modality: str, x: Tensor) -> Tensor:
        """Return the feature of one modality: (N, ...) input in natural units -> (N, D)."""
        return self.encoders[modality](x)

    def head(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits (N, classes) from the features of all modalities."""
        return self.classifier(self.fusion(features))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits (N, classes) from the inputs, modality -> (N, ...); modalities unused are ignored."""
        return self.head({name: self.encode(name, inputs[name]) for name in self.modalities})
