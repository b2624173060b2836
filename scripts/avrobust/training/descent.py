"""The way down: parameters in groups, each with an optimiser and a rate, and a schedule for all that are the net's.

The steps are those of torch's own functions; groups and state are kept here. The classes of torch.optim import torch's
compiler when one is made, which takes as long as importing torch; and a training of the demo scale is short.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from avrobust.lazy import built
from avrobust.models.late_fusion import LateFusion
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.registry import OPTIMISERS
from avrobust.training.sgd import SGD


class Descent:
    """Moves parameters along the gradients that they hold, by their group's optimiser at `factor` times its rate.

    `groups`: dictionaries with `params`, their learning rate `lr`, and `by`, the optimiser; one with `constant` keeps
    its rate. `schedule`: number of the step, from 0 -> factor. Parameters without a gradient are left alone. `factor`
    is that of the last step.
    """

    def __init__(self, groups: Sequence[dict], schedule: Callable[[int], float] = lambda step: 1.0):
        self.groups, self._schedule = groups, schedule
        self._states: list[list[dict]] = [[{} for _ in group["params"]] for group in groups]
        self._steps, self.factor = 0, schedule(0)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Go one step along the gradients that the parameters hold."""
        self.factor = self._schedule(self._steps)
        for group, states in zip(self.groups, self._states, strict=True):
            moving = [pair for pair in zip(group["params"], states, strict=True) if pair[0].grad is not None]
            if moving:
                parameters, own = map(list, zip(*moving, strict=True))
                rate = group["lr"] if group.get("constant") else self.factor * group["lr"]
                group["by"].move(parameters, [parameter.grad for parameter in parameters], own, rate)
        self._steps += 1

    def state_dict(self) -> dict:
        """Return the number of steps and what is kept of each parameter, in the order of groups and parameters."""
        return {"steps": self._steps, "states": self._states}

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`, which is moved to where the parameters are."""
        self._steps = state["steps"]
        self._states = [
            [
                {name: value.to(parameter) if isinstance(value, Tensor) else value for name, value in own.items()}
                for parameter, own in zip(group["params"], kept, strict=True)
            ]
            for group, kept in zip(self.groups, state["states"], strict=True)
        ]


def descent_of(model: LateFusion, objective: nn.Module, recipe: TrainingRecipe, epoch_batches: int) -> Descent:
    """Return the recipe's descent: each encoder at its own rate, the fusion with the classifier at that of the head.

    Parameters of the objective keep their rates, by SGD.
    """
    head = [*model.fusion.parameters(), *model.classifier.parameters()]
    parts = {name: list(model.encoders[name].parameters()) for name in model.modalities} | {"head": head}
    optimiser = built(OPTIMISERS, recipe.optimiser)
    groups = [{"params": own, "lr": recipe.learning_rates[name], "by": optimiser} for name, own in parts.items()]
    for group in objective.parameter_groups() if any(True for _ in objective.parameters()) else []:
        own = {name: value for name, value in group.items() if name not in ("params", "lr")}
        groups.append({"params": list(group["params"]), "lr": group["lr"], "by": SGD(**own), "constant": True})
    return Descent(groups, partial(recipe.rate_factor, epoch_steps=-(-epoch_batches // recipe.accumulation)))
