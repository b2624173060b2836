"""Embed the clips of a split with one trained variant, clean and attacked, and score how the classes cluster."""

import argparse
import json
import logging
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import conditions_of, one_net_parser, opened
from avrobust.evaluation.embedding import MODALITIES, embed, rows, scores
from avrobust.files import replacing, write_json
from avrobust.metrics.scores import IDENTITY, write_scores
from avrobust.program import UserError, progress, run
from avrobust.spec.attacks import AttackSpec

log = logging.getLogger("embed")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = one_net_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, required=True, help="parquet: one row per clip and condition")
    parser.add_argument("--scores", type=Path, required=True, help="parquet: one value per clip, condition, measure")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job = opened(given, {"net": given.model})
    net, conditions = job.nets["net"], conditions_of(given.conditions, job.budgets.named)
    model = net.model
    if {*model.modalities} != {*MODALITIES}:
        raise UserError(f"{given.model}: the net takes only {', '.join(model.modalities)}; give one of both")
    if len({job.store.labels[index][0] for index in job.views.indices}) < 2:
        raise UserError(
            f"{len(job.views)} clips of fewer than two classes in split {given.split} of {given.shards[0].parent}; "
            "clusters cannot be compared; see availability.csv"
        )
    log.info("%d clips, clean and %d conditions, on %s", len(job.views), len(conditions), job.device)
    threat = bind(AttackSpec.of(given.attack_spec), net, given.key["attack"], int(given.key["seed"]))
    batches = job.batches(threat.clips_together(model), given.batch_size, given.threads, threat.batch_size)
    clip_ids, labels, points = embed(
        model,
        threat,
        progress(batches, label="embedding", unit="batches", total=len(batches)),
        job.budgets,
        conditions,
        job.device,
    )
    metadata = {**{name: str(given.key[name]) for name in IDENTITY}, "classes": json.dumps(net.classes)}
    with replacing(given.embeddings) as temporary:
        table = rows(clip_ids, labels, points).replace_schema_metadata(metadata)
        pq.write_table(table, temporary, write_page_checksum=True)
    write_scores(given.scores, given.key, scores(clip_ids, labels, points))
    said = {"conditions": conditions, "attack_spec": given.attack_spec}
    write_json(given.provenance, {**job.written_down(given), **said, **job.meter.read()})


if __name__ == "__main__":
    run(main)
