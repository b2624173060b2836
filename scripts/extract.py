"""Extract features of all clips of some packed shards into one, and the moments of those of its training clips."""

import argparse
import logging
from pathlib import Path

from avrobust.data import feature_store
from avrobust.data.moments import write_part
from avrobust.data.one_by_one import OneByOne, in_order
from avrobust.evaluation.extraction import RunningMoments, extracted, feature_shapes
from avrobust.files import write_json
from avrobust.models.extractor import build_extractor
from avrobust.program import UserError, json_argument, named_path, positive, progress, run
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.views.view import VIEW_HELP, build_view

log = logging.getLogger("extract")

# The view of what is made here.
FEATURES = "features"


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="of packed clips")
    parser.add_argument("--extractor", required=True, help="its name, which also seeds encoders without weights")
    parser.add_argument(
        "--encoders",
        type=json_argument,
        required=True,
        help='modality -> encoder, JSON: {"visual": {"name": "r2plus1d18", "options": {"frames_per_window": 16}}}',
    )
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument(
        "--weights", nargs="*", default=[], type=named_path, metavar="MODALITY=FILE",
        help="published weights of an encoder; one without is initialised by a seed",
    )  # fmt: skip
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--batch-size", type=positive, required=True, help="clips at a time")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--code", default="", help="digest of the code")
    parser.add_argument("--features", type=Path, required=True, help="output, Arrow")
    parser.add_argument("--moments", type=Path, required=True, help="output, JSON: of the training clips")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    if isinstance(given.view, dict) and given.view.get("name") == FEATURES:
        raise UserError("--view: features are what this program makes; give the view of clips that its encoders see")
    device = prepare(given.device, given.threads)
    meter, view = Meter(device), build_view(given.view)
    extractor, weights = build_extractor(given.extractor, given.encoders, dict(given.weights))
    clips = OneByOne(given.shards, view, tuple(extractor))
    shapes = feature_shapes(extractor.to(device), view.inputs(clips.store), device)
    log.info("%d clips, %s, on %s", len(clips), shapes, device)
    facts = {"extractor": given.extractor, "weights": weights, "shapes": shapes, "classes": clips.store.classes}
    made = extracted(extractor, in_order(clips, given.batch_size, given.threads), clips.store, device)
    moments = RunningMoments(shapes)
    try:
        with feature_store.writing(given.features, **facts) as shard:
            for clip in progress(made, label="extracting", unit="clips", total=len(clips)):
                shard.add(clip)
                moments.add(clip)
    except ValueError as error:  # more than float16 holds
        raise UserError(f"extractor {given.extractor}: {error}; give other options or weights") from error
    write_part(given.moments, moments.parts)
    spent = meter.read()
    write_json(
        given.provenance,
        {
            **{name: getattr(given, name) for name in ("extractor", "encoders", "view", "code", "batch_size")},
            "weights": weights,
            "shapes": shapes,
            "shards": [str(path) for path in given.shards],
            "clips": len(clips),
            "clips_per_second": round(len(clips) / spent["seconds"], 2),
            **spent,
        },
    )


if __name__ == "__main__":
    run(main)
