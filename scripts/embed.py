"""Embed the clips of a split with one trained variant, clean and attacked, and score how the classes cluster."""

import argparse
import json
import logging
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.attacks.budget import units
from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import IDENTITY, attacking_parser, opened
from avrobust.evaluation.embedding import MODALITIES, embed, rows, scores
from avrobust.files import replacing, write_json
from avrobust.metrics.scores import write_scores
from avrobust.program import UserError, progress, run

log = logging.getLogger("embed")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, required=True, help="parquet: one row per clip and condition")
    parser.add_argument("--scores", type=Path, required=True, help="parquet: one value per clip, condition, measure")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job = opened(given)
    model = job.victim.model
    if {*model.modalities} != {*MODALITIES}:
        raise UserError(f"{given.model}: the net takes only {', '.join(model.modalities)}; give one of both")
    if len({job.store.labels[index][0] for index in job.views.indices}) < 2:
        raise UserError(
            f"{len(job.views)} clips of fewer than two classes in split {given.split} of {given.shards[0].parent}; "
            "clusters cannot be compared; see availability.csv"
        )
    log.info("%d clips, clean and %d conditions, on %s", len(job.views), len(job.conditions), job.device)
    threat = bind(job.spec, job.victim, name=given.key["attack"], seed=int(given.key["seed"]))
    batches = job.batches(threat, given.batch_size, given.threads)
    clip_ids, labels, points = embed(
        model,
        threat,
        progress(batches, label="embedding", unit="batches", total=len(batches)),
        units(given.epsilon_space),
        job.conditions,
        job.device,
    )
    metadata = {**{name: str(given.key[name]) for name in IDENTITY}, "classes": json.dumps(job.victim.classes)}
    with replacing(given.embeddings) as temporary:
        table = rows(clip_ids, labels, points).replace_schema_metadata(metadata)
        pq.write_table(table, temporary, write_page_checksum=True)
    write_scores(given.scores, given.key, scores(clip_ids, labels, points))
    write_json(given.provenance, {**job.written_down(given), **job.meter.read()})


if __name__ == "__main__":
    run(main)
