"""torch's optimisers without their classes: the steps are torch's own functions, groups and state are kept here.

The classes of torch.optim import torch's compiler when one is made, which takes as long as importing torch; and a
training of the demo scale is short.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Optimiser:
    """Moves parameters along the gradients that they hold; a child says by `_move` how.

    `groups`: dictionaries with `params` and their learning rate `lr`, and optionally options of their own in place of
    `options`. A rate may be changed in `groups` at any time. Parameters without a gradient are left alone.
    """

    def __init__(self, groups: Sequence[dict], **options: object):
        self.groups = [{**options, **group, "params": list(group["params"])} for group in groups]
        self._states: list[list[dict]] = [[{} for _ in group["params"]] for group in self.groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Go one step along the gradients that the parameters hold."""
        for group, states in zip(self.groups, self._states, strict=True):
            moving = [pair for pair in zip(group["params"], states, strict=True) if pair[0].grad is not None]
            if moving:
                parameters, own = map(list, zip(*moving, strict=True))
                self._move(parameters, [parameter.grad for parameter in parameters], own, group)

    def _move(self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict], group: dict) -> None:
        """Move `parameters`; `states`, empty at first, are kept for each from step to step."""
        raise NotImplementedError

    def state_dict(self) -> list[list[dict]]:
        """Return what is kept of each parameter, in the order of groups and parameters; rates are not part of it."""
        return self._states

    def load_state_dict(self, states: Sequence[Sequence[dict]]) -> None:
        """Go on with the states of `state_dict`; they are moved to where the parameters are."""
        self._states = [
            [
                {name: value.to(parameter) if isinstance(value, Tensor) else value for name, value in state.items()}
                for parameter, state in zip(group["params"], kept, strict=True)
            ]
            for group, kept in zip(self.groups, states, strict=True)
        ]
