"""A cell as a program is told it, and as its provenance has it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

from avrobust.attacks.perturbations import read_perturbations
from avrobust.attacks.threat import Threat, bind
from avrobust.evaluation.arguments import Opened, conditions_of
from avrobust.evaluation.as_files import AsFiles
from avrobust.evaluation.cell import Cell
from avrobust.lazy import attribute, load
from avrobust.models.files import Trained
from avrobust.models.registry import ENSEMBLES
from avrobust.objectives.registry import OBJECTIVES
from avrobust.program import UserError
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.coded import CODER
from avrobust.spec.conditions import CLEAN

NOTHING: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class CellSpec:
    """A cell as JSON: `spec` is an AttackSpec, `victims` name -> conditions.

    `coded`: under which conditions clips also go through H.264 and AAC. `nets`: what `surrogate` is an ensemble of;
    none where it is a net itself. `floats`: victims that are shown clips as they are made, and not as files hold them.
    `clips`: how many of the split it attacks at most (`avrobust.data.stratified`); None for all.
    `joined`: how its nets are made one, of `avrobust.models.registry.ENSEMBLES`. `ranked`: whether its rows hold every
    logit, too, where clips have one label; where they have several, they always do.
    """

    surrogate: str
    attack: str
    spec: Mapping
    victims: Mapping[str, Sequence]
    coded: Sequence = ()
    nets: Sequence[str] = ()
    floats: Sequence[str] = ()
    clips: int | None = None
    joined: str = "mean_logits"
    ranked: bool = False

    @property
    def surrogates(self) -> tuple[str, ...]:
        """The nets whose gradients are taken."""
        return tuple(self.nets) or (self.surrogate,)


def bound_cells(
    specs: Iterable[CellSpec], job: Opened, precision: str, key: Mapping[str, str], fitted: Mapping[str, Path] = NOTHING
) -> list[Cell]:
    """Return the cells; `precision`: of the encoders where gradients are taken, unless the attack says it.

    `key`: what the files say that they are of, the seed among it. `fitted`: surrogate/attack -> the file
    of its perturbations.

    Cells of one surrogate in one precision have the very same net, so that they share its first gradients.

    Raises:
        UserError: a net is not among those that are open, or a condition or an option is unknown; nets are no ensemble.
    """
    surrogate = cache(partial(_surrogate, job))
    return [_cell(spec, job, surrogate, precision, key, fitted) for spec in specs]


def _cell(
    spec: CellSpec,
    job: Opened,
    surrogate_of: Callable[..., Trained],
    precision: str,
    key: Mapping[str, str],
    fitted: Mapping[str, Path],
) -> Cell:
    if missing := [name for name in (*spec.surrogates, *spec.victims) if name not in job.nets]:
        raise UserError(f"--nets: no {', '.join(dict.fromkeys(missing))}, which {spec.surrogate}/{spec.attack} needs")
    attack = AttackSpec.of(spec.spec)
    surrogate = surrogate_of(spec.surrogate, tuple(spec.nets), spec.joined, attack.precision or precision)
    conditions = {name: conditions_of(told, job.budgets.named) for name, told in spec.victims.items()}
    victims = {name: job.nets[name].model for name in spec.victims}
    threat = _with_perturbations(
        bind(attack, surrogate, spec.attack, int(key["seed"])), spec.surrogate, job, key, fitted
    )
    as_files = AsFiles(job.views.view.inputs(job.store))
    if spec.coded:
        coded = [CLEAN, *conditions_of(spec.coded, job.budgets.named)]
        as_files = AsFiles(as_files.forms, attribute(CODER)(job.views, job.threads), coded)
    return Cell(spec.surrogate, spec.attack, threat, victims, conditions, as_files, tuple(spec.floats), spec.ranked)


def _with_perturbations(
    threat: Threat, surrogate: str, job: Opened, key: Mapping[str, str], fitted: Mapping[str, Path]
) -> Threat:
    """The threat with what was fitted for it beforehand, if it adds any such thing."""
    attack = threat.attack.fitted_as(threat.name)
    if not attack:
        return threat
    if (path := fitted.get(f"{surrogate}/{attack}")) is None:
        raise UserError(
            f"--perturbations: no {surrogate}/{attack}=FILE, which {surrogate}/{threat.name} adds; fit it by "
            "scripts/fit.py (the workflow does)"
        )
    of = {"dataset": key["dataset"], "variant": surrogate, "seed": str(key["seed"])}
    forms = job.views.view.inputs(job.store)
    return replace(threat, perturbations=read_perturbations(path, of, attack, forms, job.device))


def _surrogate(job: Opened, name: str, nets: tuple[str, ...], joined: str, precision: str) -> Trained:
    """The net whose gradients are taken, or several as one, which maximise cross-entropy unless an attack says more."""
    if not nets:
        return job.nets[name]._replace(model=job.nets[name].model.in_precision(precision))
    trained = [job.nets[net] for net in nets]
    model = load(ENSEMBLES, joined)([one.model for one in trained]).in_precision(precision)
    classes = trained[0].classes
    objective = load(OBJECTIVES, "cross_entropy")(model.dimensions, len(classes))
    return Trained(model.eval(), objective, classes, {})
