"""The way down: the net's optimiser on its schedule, and the objective's own parameters beside it."""

from torch import nn

from avrobust.lazy import built
from avrobust.models.late_fusion import LateFusion
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.registry import OPTIMISERS
from avrobust.training.sgd import SGD


def parameter_groups(model: LateFusion, recipe: TrainingRecipe) -> list[dict]:
    """Return an optimiser's groups: each encoder, and the fusion with the classifier, each at its own rate."""
    groups = [
        {"params": list(model.encoders[name].parameters()), "lr": recipe.learning_rates[name]}
        for name in model.modalities
    ]
    head = [*model.fusion.parameters(), *model.classifier.parameters()]
    return [*groups, {"params": head, "lr": recipe.learning_rates["head"]}]


class Descent:
    """Steps of the recipe's optimiser at the schedule's rates; an objective's parameters keep their rates, by SGD.

    `factor` is the schedule's in the last step.
    """

    def __init__(self, model: LateFusion, objective: nn.Module, recipe: TrainingRecipe, epoch_batches: int):
        groups = parameter_groups(model, recipe)
        own = objective.parameter_groups() if any(True for _ in objective.parameters()) else []
        self.optimisers = [built(OPTIMISERS, recipe.optimiser, groups), SGD(own)]
        self._rates, self._recipe = [group["lr"] for group in groups], recipe
        self._epoch_steps = -(-epoch_batches // recipe.accumulation)
        self._steps, self.factor = 0, recipe.rate_factor(0, self._epoch_steps)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimiser in self.optimisers:
            optimiser.zero_grad()

    def step(self) -> None:
        """Go one step along the gradients that the parameters hold."""
        self.factor = self._recipe.rate_factor(self._steps, self._epoch_steps)
        for group, rate in zip(self.optimisers[0].groups, self._rates, strict=True):
            group["lr"] = self.factor * rate
        for optimiser in self.optimisers:
            optimiser.step()
        self._steps += 1

    def state_dict(self) -> dict:
        """Return the number of steps and the optimisers' states."""
        return {"steps": self._steps, "optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`."""
        self._steps = state["steps"]
        for optimiser, own in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(own)
