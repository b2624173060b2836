"""What the labels of a clip are: one class, or any number of them. Activation, loss and validation metric follow."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Task(NamedTuple):
    """What becomes of logits (N, C).

    Attributes:
        activation: logits -> probabilities, along the last dimension.
        logits: probabilities in (0, 1) -> logits whose activation they are, scaled to a sum of 1 for one class.
        loss: (logits, targets) -> (N,), in nats.
        metric: (logits, targets) -> per cent; the epoch of which it is highest on the validation clips is kept.
        metric_name: what the history of a training calls it.

    Targets are (N,) int64 for one class, (N, C) of 0 and 1 for any number of them.
    """

    activation: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Callable[[Tensor, Tensor], float]
    metric_name: str


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return (N,): the mean over the classes of the cross-entropy of each."""
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none").mean(dim=1)


def top1_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the percentage of clips whose largest logit is their label's."""
    return 100 * (logits.argmax(dim=1) == labels).double().mean().item()


def mean_average_precision(logits: Tensor, targets: Tensor) -> float:
    """Return, in per cent, the mean over the classes that have a positive clip of their average precision.

    That is the mean over a class's positives of the precision at the score of each; clips of equal score count
    together, as in scikit-learn. nan without any positive.
    """
    positives = targets.bool()
    precisions = []
    for scores, positive in zip(logits.T[positives.any(0)], positives.T[positives.any(0)], strict=True):
        ranked = scores.sort().values
        at_least = len(scores) - torch.searchsorted(ranked, scores[positive].contiguous())
        own = scores[positive].sort().values
        hits = len(own) - torch.searchsorted(own, scores[positive].contiguous())
        precisions.append((hits / at_least).double().mean())
    return 100 * torch.stack(precisions).mean().item() if precisions else float("nan")


TASKS = {
    "single": Task(
        activation=partial(torch.softmax, dim=-1),
        logits=torch.log,
        loss=partial(F.cross_entropy, reduction="none"),
        metric=top1_accuracy,
        metric_name="accuracy",
    ),
    "multiple": Task(
        activation=torch.sigmoid,
        logits=torch.logit,
        loss=binary_cross_entropy,
        metric=mean_average_precision,
        metric_name="mean_average_precision",
    ),
}
