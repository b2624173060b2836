"""Stochastic gradient descent with momentum and weight decay."""

from dataclasses import dataclass

from torch import Tensor
from torch.optim.sgd import sgd


@dataclass(frozen=True)
class SGD:
    """v <- momentum v + (gradient + weight_decay p); p <- p - lr v, where v begins as the first such gradient."""

    momentum: float = 0.9
    weight_decay: float = 1e-4

    def move(self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict], rate: float) -> None:
        """Move `parameters` in place; `states`, empty at first, are kept for each from step to step."""
        velocities = [state.get("velocity") for state in states]
        options = {"lr": rate, "dampening": 0.0, "nesterov": False, "maximize": False, "foreach": True}
        sgd(parameters, gradients, velocities, **vars(self), **options)
        for state, velocity in zip(states, velocities, strict=True):
            if velocity is not None:
                state["velocity"] = velocity
