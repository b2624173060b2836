"""Measure how densely the training clips of each class lie in a net's fused features, and how convex the class is."""

import argparse
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.data.batches import EvaluationViews
from avrobust.data.classes import check_classes
from avrobust.evaluation.geometry import FusedClips, class_rows, clip_rows, members
from avrobust.files import replacing, write_json
from avrobust.metrics.convexity import POINTS
from avrobust.metrics.geometry import IDENTITY
from avrobust.models.files import load_model
from avrobust.program import UserError, json_argument, positive, run
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.views.view import VIEW_HELP, build_view

log = logging.getLogger("geometry")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--pairs", type=positive, default=POINTS, help="points between two clips, of each class")
    parser.add_argument(
        "--shown-classes", nargs="*", default=[], metavar="CLASS", help="classes of which the points of clips are kept"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--batch-size", type=positive, default=32)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--key", type=json_argument, required=True, help="JSON: what the files say that they are of")
    parser.add_argument("--code", default="", help="digest of the code")
    parser.add_argument("--rows", type=Path, required=True, help="parquet: a row per class")
    parser.add_argument("--points", type=Path, required=True, help="parquet: a row per clip of the shown classes")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    if missing := [name for name in IDENTITY if name not in given.key]:
        raise UserError(f"--key: {', '.join(missing)} must be given")
    device = prepare(given.device, given.threads)
    meter, view = Meter(device), build_view(given.view)
    store, net = view.opened(given.shards), load_model(given.model, given.model_state, device)
    check_classes(given.model, net.classes, given.shards[0].parent, store.classes)
    clips = EvaluationViews(store, store.indices("train"), view, net.model.modalities, task=net.model.task)
    if not len(clips):
        raise UserError(f"no clip in split train of {given.shards[0].parent}; see the dataset's availability.csv")
    fused = FusedClips(net.model, clips, given.batch_size, given.threads, device)
    clip_ids, labels = ([of[index] for index in clips.indices] for of in (store.clip_ids, store.labels))
    of_classes = members(labels)
    if unknown := sorted({*given.shown_classes} - {*net.classes}):
        raise UserError(f"--shown-classes: {unknown[0]!r} is none of the net's, {', '.join(net.classes)}")
    if without := sorted({*given.shown_classes} - {net.classes[label] for label in of_classes}):
        log.warning("no clip to show of %s in split train", ", ".join(without))
    rows = class_rows(net.model, fused, clip_ids, of_classes, net.classes, device, given.pairs)
    _write(given.rows, rows, given.key)
    _write(
        given.points, clip_rows(fused.points, clip_ids, labels, of_classes, net.classes, given.shown_classes), given.key
    )
    said = {"model": str(given.model), "model_state": given.model_state, "view": given.view, "pairs": given.pairs}
    said |= {**given.key, "shown_classes": given.shown_classes}
    write_json(given.provenance, {**said, "code": given.code, "clips": len(labels), **meter.read()})


def _write(path: Path, rows: pa.Table, key: dict) -> None:
    with replacing(path) as temporary:
        told = rows.replace_schema_metadata({name: str(key[name]) for name in IDENTITY})
        pq.write_table(told, temporary, write_page_checksum=True)


if __name__ == "__main__":
    run(main)
