"""Fit universal perturbations: for each condition one of a clip's input that raises the loss of all clips of a split.

Killed at any point, the same command goes on after the last whole pass and ends with the same perturbations.
"""

import argparse
import logging
from pathlib import Path

from avrobust.attacks.perturbations import write_perturbations
from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import conditions_of, one_net_parser, opened
from avrobust.evaluation.fitting import fit, part_size
from avrobust.evaluation.resume_key import resume_key
from avrobust.files import write_json
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import UserError, run
from avrobust.spec.attacks import AttackSpec

log = logging.getLogger("fit")

# What the perturbations depend on, beside budgets, device and the files that are read.
SHAPING = ("key", "attack_spec", "conditions", "epsilon_space", "model_state", "split", "code", "precision", "view")
SHAPING += ("extractor", "batch_size", "threads")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = one_net_parser(__doc__)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the encoders")
    parser.add_argument("--perturbations", type=Path, required=True, help="to write: tensors only")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job, spec = opened(given, {"net": given.model}), AttackSpec.of(given.attack_spec)
    net, conditions = job.nets["net"], conditions_of(given.conditions, job.budgets.named)
    net = net._replace(model=net.model.in_precision(spec.precision or given.precision))
    threat = bind(spec, net, given.key["attack"], int(given.key["seed"]))
    told = threat.attack.fit
    if told is None:
        raise UserError(f"--attack-spec: {spec.update} attacks each clip by itself, and is fitted to none beforehand")
    if told.split != given.split:
        raise UserError(f"--split {given.split}: the attack is fitted_on {told.split}; give --split {told.split}")
    size = part_size(told.batch, given.batch_size, net.model.clips_together)
    batches = job.batches(net.model.clips_together, size, given.threads, passes=told.passes)
    log.info("%d clips of %s, %d passes, on %s", len(job.views), told.split, told.passes, job.device)
    shaping = [*(getattr(given, name) for name in SHAPING), job.budgets.named, job.device.type]
    shapes = {name: form.shape for name, form in job.views.view.inputs(job.store).items()}
    resume = given.perturbations.with_suffix(".resume.pt")
    key = resume_key(shaping, [*given.shards, given.model, *dict(given.extractor_weights).values()])
    fitted = fit(threat, batches, len(job.views), conditions, job.budgets, shapes, job.device, resume, key)
    write_perturbations(given.perturbations, given.key, fitted.perturbations)
    write_json(
        given.provenance,
        {
            **job.written_down(given),
            "attack_spec": given.attack_spec,
            "conditions": conditions,
            "objective": type(threat.objective).__name__,
            "precision": threat.model.precision,
            "passes": told.passes,
            "fit_batch": told.batch,
            "lengths": fitted.lengths,
            "resumed_passes": fitted.resumed_passes,
            "model": str(given.model),
            "shards": [str(path) for path in given.shards],
            **job.meter.read(),
        },
    )
    resume.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
