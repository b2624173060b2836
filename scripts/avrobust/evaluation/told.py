"""A cell as a program is told it, and as its provenance has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import Opened, conditions_of
from avrobust.evaluation.as_files import AsFiles
from avrobust.evaluation.cell import Cell
from avrobust.lazy import attribute
from avrobust.program import UserError
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.coded import CODER
from avrobust.spec.conditions import CLEAN


@dataclass(frozen=True)
class CellSpec:
    """A cell as JSON: `spec` is an AttackSpec, `victims` name -> conditions.

    `coded`: under which conditions clips also go through H.264 and AAC.
    """

    surrogate: str
    attack: str
    spec: Mapping
    victims: Mapping[str, Sequence]
    coded: Sequence = ()


def cell_of(spec: CellSpec, job: Opened, precision: str, seed: int) -> Cell:
    """Return the cell; `precision`: of the encoders where gradients are taken, unless the attack says it.

    Raises:
        UserError: a net is not among those that are open, or a condition or an option is unknown.
    """
    if missing := [name for name in (spec.surrogate, *spec.victims) if name not in job.nets]:
        raise UserError(f"--nets: no {', '.join(dict.fromkeys(missing))}, which {spec.surrogate}/{spec.attack} needs")
    attack = AttackSpec.of(spec.spec)
    net = job.nets[spec.surrogate]
    surrogate = net._replace(model=net.model.in_precision(attack.precision or precision))
    conditions = {name: conditions_of(told, job.budgets.named) for name, told in spec.victims.items()}
    victims = {name: job.nets[name].model for name in spec.victims}
    threat = bind(attack, surrogate, spec.attack, seed)
    as_files = AsFiles(job.views.view.inputs(job.store))
    if spec.coded:
        coded = [CLEAN, *conditions_of(spec.coded, job.budgets.named)]
        as_files = AsFiles(as_files.forms, attribute(CODER)(job.views, job.threads), coded)
    return Cell(spec.surrogate, spec.attack, threat, victims, conditions, as_files)
