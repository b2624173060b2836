"""Attack one net with attention, and score where it looks for what sounds, clean and attacked."""

import argparse
import logging
from pathlib import Path

from avrobust.evaluation.arguments import one_net_parser, opened_one_net
from avrobust.evaluation.attention import localise, view_boxes
from avrobust.files import write_json
from avrobust.metrics.examples import Chosen, Examples, write_examples
from avrobust.metrics.scores import write_scores
from avrobust.program import UserError, run
from avrobust.spec.conditions import CLEAN

log = logging.getLogger("localise")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = one_net_parser(__doc__)
    parser.add_argument(
        "--example-classes", nargs="*", default=[], metavar="CLASS", help="classes of which one clip is kept whole"
    )
    parser.add_argument("--scores", type=Path, required=True, help="parquet: one value per clip, condition, measure")
    parser.add_argument("--kept", type=Path, required=True, help="npz: the clips that are kept whole")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job, net, threat, conditions, batches, said = opened_one_net(given, "localise")
    if not hasattr(net.model.fusion, "attention"):
        raise UserError(f"{given.model}: the net has no attention to look at; give one with fusion attended_concat")
    conditions = list(dict.fromkeys([CLEAN, *conditions]))
    boxes, chosen = view_boxes(job.views), Chosen(tuple(dict.fromkeys(given.example_classes)))
    columns = localise(net, threat, batches, boxes, job.budgets, conditions, job.device, chosen)
    write_scores(given.scores, given.key, columns)
    examples = chosen.examples()
    if without := sorted({*chosen.classes} - {example.label for example in examples}):
        log.warning("no clip to show of %s in split %s", ", ".join(without), given.split)
    identity = {name: str(given.key[name]) for name in ("dataset", "variant", "attack")}
    modalities, budgets, _ = zip(*conditions, strict=True)
    write_examples(
        given.kept,
        Examples(**identity, seed=int(given.key["seed"]), modalities=modalities, budgets=budgets, examples=examples),
    )
    write_json(
        given.provenance,
        {
            **said,
            "conditions": conditions,
            "clips_with_box": sum(box is not None for box in boxes.values()),
            "examples": {example.label: example.clip_id for example in examples},
            **job.meter.read(),
        },
    )


if __name__ == "__main__":
    run(main)
