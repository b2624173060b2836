"""Cross-entropy of a clip that may be of several classes."""

from collections.abc import Mapping

from torch import Tensor, nn

from avrobust.models.task import TASKS


class BinaryCrossEntropy(nn.Module):
    """The mean over the classes of the binary cross-entropy of each, in nats."""

    task = "multiple"  # a plan reads it; without it an objective is of single labels

    def __init__(self, dimensions: Mapping[str, int], classes: int):
        super().__init__()

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C) and labels (N, C) of 0 and 1, or shares between them of mixed clips."""
        return TASKS["multiple"].loss(logits, labels)
