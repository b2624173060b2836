"""Stochastic gradient descent with momentum and weight decay."""

from collections.abc import Sequence

from torch import Tensor
from torch.optim.sgd import sgd

from avrobust.training.optimiser import Optimiser


class SGD(Optimiser):
    """v <- momentum v + (gradient + weight_decay p); p <- p - lr v, where v begins as the first such gradient."""

    def __init__(self, groups: Sequence[dict], momentum: float = 0.9, weight_decay: float = 1e-4):
        super().__init__(groups, momentum=momentum, weight_decay=weight_decay)

    def _move(self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict], group: dict) -> None:
        velocities = [state.get("velocity") for state in states]
        sgd(
            *(parameters, gradients, velocities),
            **{name: group[name] for name in ("lr", "momentum", "weight_decay")},
            dampening=0.0,
            nesterov=False,
            maximize=False,
            foreach=True,
        )
        for state, velocity in zip(states, velocities, strict=True):
            if velocity is not None:
                state["velocity"] = velocity
