"""How far a condition lets an attack go in each modality, and whether an attack kept to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from avrobust.attacks.budget import Budget, Units
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Inputs
from avrobust.spec.budgets import SLACK
from avrobust.spec.conditions import ATTACKED, Condition

# How far float32 may round each value of clip + perturbation, as a share of it. Features may be a hundred deviations
# large, so that of many in one vector it is more than the slack of pixels and samples.
ROUNDING = 2.0**-23


@dataclass(frozen=True)
class Budgets:
    """Budgets by name: modality -> what `avrobust.attacks.budget.Units.budget` takes; none is left to a file.

    `units`: what an epsilon of 1 is in each modality, on the device of the inputs.
    """

    named: Mapping[str, Mapping[str, Mapping]]
    units: Mapping[str, Units]

    def given(self, condition: Condition) -> dict[str, Mapping]:
        """Return what each attacked modality is given; conditions for which it is equal are attacked alike."""
        budget = self.named[condition.budget] if condition.budget else {}
        return {name: budget[name] for name in ATTACKED[condition.modality] if name in budget}

    def under(self, condition: Condition, clean: Inputs) -> dict[str, Budget]:
        """Return the budget of each attacked modality of the inputs `clean`: modality -> (N, ...)."""
        return {
            name: self.units[name].budget(**given, clean=clean[name])
            for name, given in self.given(condition).items()
            if name in clean
        }

    def norms(self, condition: Condition, name: str, perturbation: Tensor) -> Tensor:
        """Return each clip's norm in the paper's unit: (N, ...) -> (N,).

        It is of the budget's kind, and l-infinity where nothing is given: a file changes what no attack did.
        """
        return self.units[name].norm(perturbation, self.given(condition).get(name, {"norm": "linf"})["norm"])

    def step_norms(self, name: str, perturbation: Tensor) -> Tensor:
        """Return the l2 norm of the longest time step of each clip's perturbation, as `clip_norms`."""
        return self.units[name].norm(perturbation, "l2_step")

    def clip_norms(self, name: str, perturbation: Tensor) -> Tensor:
        """Return the l2 norm of each clip's whole perturbation in the paper's unit: (N, ...) -> (N,)."""
        return self.units[name].norm(perturbation, "l2_clip")

    def epsilons(self, condition: Condition, name: str, budgets: Mapping[str, Budget], count: int) -> list[float]:
        """Return each of `count` clips' epsilon in the paper's unit; 0 where the modality is not attacked."""
        if name not in budgets:
            return [0.0] * count
        given = self.given(condition)[name]
        epsilon = self.units[name].number(given.get("epsilon"), given.get("range"))
        if epsilon is not None:
            return [float(epsilon)] * count
        return (budgets[name].epsilon / self.units[name].scale).flatten(1).amax(dim=1).tolist()

    def check_promises(
        self,
        attack: Attack,
        clean: Inputs,
        attacked: Inputs,
        budgets: Mapping[str, Budget],
        condition: Condition,
    ) -> None:
        """Raise RuntimeError if an input left its ball or its valid range, or changed without being attacked.

        Only what the attack promises is checked of ball and range: the authors' own variants break one of them.
        """
        for name, inputs in attacked.items():
            if name not in budgets:
                if inputs is not clean[name]:
                    raise RuntimeError(f"{condition}: {name} is not attacked, yet it changed")
                continue
            norms = self.norms(condition, name, inputs.double() - clean[name].double()).tolist()
            rounding = self.norms(condition, name, inputs.double() * ROUNDING).tolist()
            epsilons = self.epsilons(condition, name, budgets, len(norms))
            for norm, rounded, epsilon in zip(norms, rounding, epsilons, strict=True):
                slack = max(SLACK * max(1, epsilon), rounded)
                if attack.keeps_ball and not norm <= epsilon + slack:  # nan is no norm either
                    raise RuntimeError(f"{condition}: {name} moved by {norm:.9f}, out of its ball")
            low, high = inputs.min().item(), inputs.max().item()
            if attack.keeps_range and not budgets[name].low <= low <= high <= budgets[name].high:
                raise RuntimeError(f"{condition}: {name} reached [{low}, {high}], out of its valid range")
