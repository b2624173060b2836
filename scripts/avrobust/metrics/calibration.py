"""How far an attack may go, where a paper does not say it but prints what the attack comes to.

A net is attacked at each strength of a list. That one is taken whose success is nearest to the printed one; of equally
near ones the smallest, because a curve need not rise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from avrobust.metrics.estimate import Estimate
from avrobust.metrics.interval import Mean
from avrobust.metrics.measured import measured
from avrobust.metrics.rows import Cells
from avrobust.program import UserError
from avrobust.spec.conditions import Reading
from avrobust.spec.nets import Nets, pairs

# What is 1e-9 points further away is as near.
_DECIMALS = 9
OF_ALL, IF_RECOGNISED = "success", "success_if_recognised"
MEASURES = (OF_ALL, IF_RECOGNISED)


@dataclass(frozen=True)
class Strength:
    """A budget, and what the attack comes to with it, in per cent by measure: white-box, and the mean of other nets."""

    budget: str
    white_box: dict[str, Mean | Estimate]
    black_box: dict[str, Mean | Estimate]


@dataclass(frozen=True)
class Calibrated:
    """`chosen` of `strengths` by `measure`; `clean_error` is that of the attacked net."""

    strengths: Sequence[Strength]
    clean_error: Mean
    measure: str
    chosen: Strength


def calibrate(
    cells: Cells, white_box: Reading, budgets: Sequence[str], others: Nets, success: float, near: float
) -> Calibrated:
    """Return which of `budgets`, the weakest first, has a success nearest to `success` per cent.

    `white_box`: what is read, whatever its budget. Success is that of all clips; where the net's clean error is no more
    than `near` points below `success`, that of the clips that it recognises clean.

    Raises:
        UserError: success among the clips that are recognised clean is asked for, and none is.
    """
    strengths = []
    for budget in budgets:
        one = white_box._replace(condition=white_box.condition._replace(budget=budget))
        elsewhere = [one._replace(victim=victim) for _, victim in pairs(one.surrogate, others)]
        strengths.append(
            Strength(budget, *({name: measured(cells, name, of) for name in MEASURES} for of in ([one], elsewhere)))
        )
    clean_error = measured(cells, "clean_error", [white_box])
    measure = OF_ALL if clean_error.value < success - near else IF_RECOGNISED
    values = [one.white_box[measure].value for one in strengths]
    if any(value != value for value in values):
        raise UserError(
            f"{white_box.victim} recognises none of {clean_error.clips} clips, by which no strength can be told; train "
            "it longer"
        )
    distances = [round(abs(value - success), _DECIMALS) for value in values]
    return Calibrated(strengths, clean_error, measure, strengths[distances.index(min(distances))])
