"""Stochastic gradient descent with momentum and weight decay, to the bit that of torch.optim.

torch.optim imports torch's compiler when an optimiser is made, which takes longer than everything else that a training
imports, torch itself left out; and a training of the demo scale is short.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class SGD:
    """v <- momentum v + (gradient + weight_decay p); p <- p - lr v, where v begins as the first such gradient.

    `groups`: dictionaries with `params` and their learning rate `lr`, and optionally `momentum` and `weight_decay` of
    their own. A rate may be changed in `groups` at any time. Parameters without a gradient are left alone.
    """

    def __init__(self, groups: Sequence[dict], momentum: float, weight_decay: float):
        self.groups = [
            {"momentum": momentum, "weight_decay": weight_decay, **group, "params": list(group["params"])}
            for group in groups
        ]
        self._velocities: list[list[Tensor | None]] = [[None] * len(group["params"]) for group in self.groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Go one step along the gradients that the parameters hold."""
        for group, velocities in zip(self.groups, self._velocities, strict=True):
            moving = [index for index, parameter in enumerate(group["params"]) if parameter.grad is not None]
            parameters = [group["params"][index] for index in moving]
            if not parameters:
                continue
            gradients = torch._foreach_add(
                [parameter.grad for parameter in parameters], parameters, alpha=group["weight_decay"]
            )
            for index, gradient in zip(moving, gradients, strict=True):
                if velocities[index] is None:
                    velocities[index] = gradient
                else:
                    velocities[index].mul_(group["momentum"]).add_(gradient)
            torch._foreach_add_(parameters, [velocities[index] for index in moving], alpha=-group["lr"])

    def state_dict(self) -> list[list[Tensor | None]]:
        """Return the velocities, in the order of groups and parameters; rates are not part of it."""
        return self._velocities

    def load_state_dict(self, velocities: Sequence[Sequence[Tensor | None]]) -> None:
        """Go on with the velocities of `state_dict`; they are moved to where the parameters are."""
        self._velocities = [
            [None if velocity is None else velocity.to(parameter) for parameter, velocity in zip(*pair, strict=True)]
            for pair in zip((group["params"] for group in self.groups), velocities, strict=True)
        ]
