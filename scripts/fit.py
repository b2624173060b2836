"""Fit universal perturbations: for each attack and condition one of a clip's input that raises the loss of all clips.

Killed at any point, the same command goes on after the last whole pass and ends with the same perturbations.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

from avrobust.attacks.fit import SPLITS
from avrobust.attacks.perturbations import write_perturbations
from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import Opened, attacking_parser, conditions_of, opened
from avrobust.evaluation.fitting import Fitted, fit, part_size
from avrobust.evaluation.resume_key import resume_key
from avrobust.files import write_json
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import UserError, json_argument, run
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.conditions import ATTACKED

log = logging.getLogger("fit")

# What must be told of each attack.
PARTS = ("attack", "spec", "split", "conditions")
# What the perturbations of an attack depend on, beside itself, budgets, device and the files that are read.
SHAPING = ("key", "epsilon_space", "model_state", "code", "precision", "view", "extractor", "batch_size", "threads")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__, ("dataset", "variant", "seed"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument(
        "--attacks",
        type=json_argument,
        required=True,
        help='JSON: [{"attack": "released", "spec": {"update": "universal"}, "split": "test", '
        '"conditions": [["audio", "large"], ["both", "small"]]}, ...]',
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the encoders")
    parser.add_argument("--perturbations", type=Path, required=True, help="to write: tensors only")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    _check(given.attacks)
    job = opened(given, {"net": given.model}, given.attacks[0]["split"])
    made, facts = {}, []
    for told in given.attacks:
        fitted, said = _fitted(given, job, told)
        made[told["attack"]] = fitted.perturbations
        facts.append(said)
    write_perturbations(given.perturbations, given.key, made)
    common = {name: said for name, said in job.written_down(given).items() if name not in ("split", "clips")}
    shards = [str(path) for path in given.shards]
    write_json(
        given.provenance,
        {**common, "fits": facts, "model": str(given.model), "shards": shards, **job.meter.read()},
    )
    for told in given.attacks:
        _resume(given, told).unlink(missing_ok=True)


def _check(attacks: object) -> None:
    """Raise UserError if `--attacks` does not tell attacks, each by a name of its own."""
    if not isinstance(attacks, list) or not attacks:
        raise UserError(f"--attacks: a list of one attack or more is needed, not {attacks!r}")
    for one in attacks:
        if not isinstance(one, Mapping) or not one.keys() >= {*PARTS}:
            raise UserError(f"--attacks: {one!r} does not give {', '.join(PARTS)}")
        if one["split"] not in SPLITS:
            raise UserError(f"--attacks: {one['attack']}: split {one['split']!r} is none of {', '.join(SPLITS)}")
        if sum(other["attack"] == one["attack"] for other in attacks if isinstance(other, Mapping)) > 1:
            raise UserError(f"--attacks: {one['attack']} is given twice; leave one out, or give it another name")


def _fitted(given: argparse.Namespace, job: Opened, told: Mapping) -> tuple[Fitted, dict]:
    """Return what is fitted for an attack, and what is written down of it."""
    name, spec, job = told["attack"], AttackSpec.of(told["spec"]), job.of_split(told["split"])
    net, conditions = job.nets["net"], conditions_of(told["conditions"], job.budgets.named)
    if not conditions:
        raise UserError(f"--attacks: {name}: no condition is given")
    if idle := [one for one in conditions if not {*ATTACKED[one.modality]} & {*net.model.modalities}]:
        raise UserError(f"--attacks: {name}: {idle[0]}: the net takes {', '.join(net.model.modalities)} alone")
    net = net._replace(model=net.model.in_precision(spec.precision or given.precision))
    threat = bind(spec, net, name, int(given.key["seed"]))
    how = threat.attack.fit
    if how is None:
        raise UserError(f"--attacks: {name}: {spec.update} attacks each clip by itself, and is fitted to none before")
    if how.split != job.split:
        raise UserError(f"--attacks: {name}: it is fitted_on {how.split}, not {job.split}; give that split")
    size = part_size(how.batch, given.batch_size, net.model.clips_together)
    batches = job.batches(net.model.clips_together, size, given.threads, passes=how.passes)
    log.info("%s: %d clips of %s, %d passes, on %s", name, len(job.views), how.split, how.passes, job.device)
    shaping = [told, *(getattr(given, part) for part in SHAPING), job.budgets.named, job.device.type]
    key = resume_key(shaping, [*given.shards, given.model, *dict(given.extractor_weights).values()])
    shapes = {name: form.shape for name, form in job.views.view.inputs(job.store).items()}
    clips, resume = len(job.views), _resume(given, told)
    fitted = fit(threat, batches, clips, conditions, job.budgets, shapes, job.device, resume, key)
    return fitted, {
        **told,
        "clips": clips,
        "objective": type(threat.objective).__name__,
        "precision": threat.model.precision,
        "passes": how.passes,
        "fit_batch": how.batch,
        "lengths": fitted.lengths,
        "resumed_passes": fitted.resumed_passes,
    }


def _resume(given: argparse.Namespace, told: Mapping) -> Path:
    """What an attack's fit goes on from, kept until all of the file are fitted."""
    return given.perturbations.with_suffix(f".{told['attack']}.resume.pt")


if __name__ == "__main__":
    run(main)
