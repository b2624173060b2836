"""Embed the clips of a split with one trained variant, clean and attacked, and score how the classes cluster."""

import argparse
import json
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.evaluation.arguments import one_net_parser, opened_one_net
from avrobust.evaluation.embedding import MODALITIES, embed, rows, scores
from avrobust.files import replacing, write_json
from avrobust.metrics.scores import IDENTITY, write_scores
from avrobust.program import UserError, run


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = one_net_parser(__doc__)
    parser.add_argument("--kept", type=Path, required=True, help="parquet: one row per clip and condition")
    parser.add_argument("--scores", type=Path, required=True, help="parquet: one value per clip, condition, measure")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job, net, threat, conditions, batches, said = opened_one_net(given, "embedding")
    if {*net.model.modalities} != {*MODALITIES}:
        raise UserError(f"{given.model}: the net takes only {', '.join(net.model.modalities)}; give one of both")
    if len({job.store.labels[index][0] for index in job.views.indices}) < 2:
        raise UserError(
            f"{len(job.views)} clips of fewer than two classes in split {given.split} of {given.shards[0].parent}; "
            "clusters cannot be compared; see availability.csv"
        )
    clip_ids, labels, points = embed(net.model, threat, batches, job.budgets, conditions, job.device)
    metadata = {**{name: str(given.key[name]) for name in IDENTITY}, "classes": json.dumps(net.classes)}
    with replacing(given.kept) as temporary:
        table = rows(clip_ids, labels, points).replace_schema_metadata(metadata)
        pq.write_table(table, temporary, write_page_checksum=True)
    write_scores(given.scores, given.key, scores(clip_ids, labels, points))
    write_json(given.provenance, {**said, **job.meter.read()})


if __name__ == "__main__":
    run(main)
