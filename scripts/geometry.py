"""Measure how densely the training clips of each class lie in a net's fused features, and how convex the class is."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.data.batches import EvaluationViews, evaluation_batches, whole_groups
from avrobust.data.classes import check_classes
from avrobust.evaluation.geometry import class_rows, fused_features
from avrobust.files import replacing, write_json
from avrobust.metrics.convexity import POINTS
from avrobust.models.files import load_model
from avrobust.program import UserError, json_argument, positive, run
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.views.view import VIEW_HELP, build_view


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--pairs", type=positive, default=POINTS, help="points between two clips, of each class")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--batch-size", type=positive, default=32)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--code", default="", help="digest of the code")
    parser.add_argument("--rows", type=Path, required=True, help="parquet: a row per class")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    device = prepare(given.device, given.threads)
    meter, view = Meter(device), build_view(given.view)
    store, net = view.opened(given.shards), load_model(given.model, given.model_state, device)
    check_classes(given.model, net.classes, given.shards[0].parent, store.classes)
    if net.model.task != "single":
        raise UserError(f"{given.model}: its clips may be of several classes; give a net of one label a clip")
    clips = EvaluationViews(store, store.indices("train"), view, net.model.modalities)
    if not len(clips):
        raise UserError(f"no clip in split train of {given.shards[0].parent}; see the dataset's availability.csv")
    batches = evaluation_batches(clips, whole_groups(given.batch_size, net.model.clips_together), 1, given.threads)
    features, labels = fused_features(net.model, batches, device)
    rows = class_rows(net.model, features, labels, net.classes, device, given.pairs)
    with replacing(given.rows) as temporary:
        pq.write_table(rows, temporary, write_page_checksum=True)
    said = {"model": str(given.model), "model_state": given.model_state, "view": given.view, "pairs": given.pairs}
    write_json(given.provenance, {**said, "code": given.code, "clips": len(labels), **meter.read()})


if __name__ == "__main__":
    run(main)
