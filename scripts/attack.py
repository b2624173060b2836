"""Make one cell: attack one trained variant under every modality and budget that an artefact needs."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.attacks.budget import units
from avrobust.attacks.threat import bind
from avrobust.data.classes import check_classes
from avrobust.evaluation.arguments import attacking_parser, opened
from avrobust.evaluation.cell import evaluate
from avrobust.files import replacing, write_json
from avrobust.models.files import load_model
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import progress, run

log = logging.getLogger("attack")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__)
    parser.add_argument("--surrogate", type=Path, help="model whose adversarial clips are transferred to --model")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the encoders where gradients are taken; the victim answers in float32",
    )
    parser.add_argument("--cell", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job = opened(given)
    model = job.victim.model
    surrogate = load_model(given.surrogate, given.model_state, job.device) if given.surrogate else None
    if surrogate:
        check_classes(given.surrogate, surrogate.classes, given.shards[0].parent, job.store.classes)
        surrogate = job.folded(surrogate)
    victim, surrogate = (
        net and net._replace(model=net.model.in_precision(given.precision)) for net in (job.victim, surrogate)
    )
    drawn = {"name": given.key["attack"], "seed": int(given.key["seed"])}
    threat = bind(job.spec, victim, surrogate, **drawn)
    white_box = None if job.spec.source == "victim" else bind(replace(job.spec, source="victim"), victim, **drawn)
    log.info("%d clips, %d conditions, on %s", len(job.views), len(job.conditions), job.device)
    batches = job.batches(threat, given.batch_size, given.threads)
    rows, sanity = evaluate(
        model,
        progress(batches, label=given.key["attack"], unit="batches", total=len(batches)),
        threat,
        units(given.epsilon_space),
        job.conditions,
        job.device,
        white_box,
    )
    rows = rows.replace_schema_metadata({name: str(value) for name, value in given.key.items()})
    with replacing(given.cell) as temporary:
        pq.write_table(rows, temporary, write_page_checksum=True)
    for flag in sanity.flags():
        log.warning("sanity check: %s", flag)
    made = job.meter.read()
    write_json(
        given.provenance,
        {
            **job.written_down(given),
            "surrogate": str(given.surrogate or ""),
            "precision": given.precision,
            "steps": threat.attack.steps,
            "step_size": threat.attack.step_length,
            "sanity": {**vars(sanity), "flags": sanity.flags()},
            "attacked_clips_per_second": round(len(job.views) * len(job.conditions) / made["seconds"], 2),
            **made,
        },
    )


if __name__ == "__main__":
    run(main)
