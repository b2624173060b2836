"""Head `attention`: what each step says, weighted by how much it is to be heard; Li et al. (ICASSP 2022), figure 2."""

from torch import Tensor, nn

from avrobust.models.task import TASKS


class Attention(nn.Module):
    """The probability of a class is the sum over the steps of attention times the step's own probability.

    Both come from a fully connected layer of their own; attention is a softmax over the steps, for each class. The
    logits returned are those whose activation is that probability, clamped to [1e-7, 1 - 1e-7] as in the released code.
    """

    def __init__(self, features: int, classes: int, task: str):
        super().__init__()
        self.task = TASKS[task]
        self.probability = nn.Linear(features, classes)
        self.attention = nn.Linear(features, classes)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits (N, classes) from (N, T, features); (N, features) is one step."""
        steps = fused if fused.ndim == 3 else fused.unsqueeze(1)
        weights = self.attention(steps).softmax(dim=1)
        probability = (weights * self.task.activation(self.probability(steps))).sum(dim=1)
        return self.task.logits(probability.clamp(1e-7, 1 - 1e-7))
