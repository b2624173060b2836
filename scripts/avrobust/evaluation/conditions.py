"""Under what a net is attacked, and whether an attack kept to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from avrobust.attacks.budget import Budget, Units
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Inputs

# Which modalities each condition attacks.
ATTACKED = {"clean": (), "audio": ("audio",), "visual": ("visual",), "both": ("audio", "visual")}

# Float32 rounding of clip + step: allowed on top of an epsilon.
SLACK = 1e-6


@dataclass(frozen=True)
class Condition:
    """`modality` is a key of `ATTACKED`; `epsilon` is in the paper's units, the same for each modality."""

    modality: str
    epsilon: float


def budgets_under(condition: Condition, units: Mapping[str, Units]) -> dict[str, Budget]:
    """Return modality -> budget of each modality that is attacked."""
    return {name: units[name].budget(condition.epsilon) for name in ATTACKED[condition.modality]}


def check_promises(
    attack: Attack, clean: Inputs, attacked: Inputs, units: Mapping[str, Units], condition: Condition
) -> None:
    """Raise RuntimeError if an input left its ball or its valid range, or changed without being attacked.

    Only what the attack promises is checked of ball and range: the authors' own variants break one of them.
    """
    for name, inputs in attacked.items():
        if name not in ATTACKED[condition.modality]:
            if inputs is not clean[name]:
                raise RuntimeError(f"{condition}: {name} is not attacked, yet it changed")
            continue
        linf = units[name].linf(inputs.double() - clean[name].double()).max().item()
        if attack.keeps_ball and linf > condition.epsilon + SLACK:
            raise RuntimeError(f"{condition}: {name} moved by {linf:.9f}, out of its ball")
        low, high = inputs.min().item(), inputs.max().item()
        if attack.keeps_range and not units[name].low <= low <= high <= units[name].high:
            raise RuntimeError(f"{condition}: {name} reached [{low}, {high}], out of its valid range")
