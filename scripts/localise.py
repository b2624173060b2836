"""Attack one net with attention, and score where it looks for what sounds, clean and attacked."""

import argparse
import logging
from pathlib import Path

from avrobust.analysis.examples import Chosen, Examples, write_examples
from avrobust.attacks.budget import units
from avrobust.attacks.threat import bind
from avrobust.evaluation.arguments import attacking_parser, opened
from avrobust.evaluation.attention import CLEAN, localise, view_boxes
from avrobust.files import write_json
from avrobust.metrics.scores import write_scores
from avrobust.program import UserError, progress, run

log = logging.getLogger("localise")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__)
    parser.add_argument(
        "--example-classes", nargs="*", default=[], metavar="CLASS", help="classes of which one clip is kept whole"
    )
    parser.add_argument("--scores", type=Path, required=True, help="parquet: one value per clip, condition, measure")
    parser.add_argument("--examples", type=Path, required=True, help="npz: the clips that are kept whole")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job = opened(given)
    if not hasattr(job.victim.model.fusion, "attention"):
        raise UserError(f"{given.model}: the net has no attention to look at; give one with fusion attended_concat")
    conditions = list(dict.fromkeys([CLEAN, *job.conditions]))
    log.info("%d clips, %d conditions, on %s", len(job.views), len(conditions), job.device)
    boxes = view_boxes(job.views)
    threat = bind(job.spec, job.victim, name=given.key["attack"], seed=int(given.key["seed"]))
    batches = job.batches(threat, given.batch_size, given.threads)
    chosen = Chosen(tuple(dict.fromkeys(given.example_classes)))
    columns = localise(
        job.victim,
        threat,
        progress(batches, label="localise", unit="batches", total=len(batches)),
        boxes,
        units(given.epsilon_space),
        conditions,
        job.device,
        chosen,
    )
    write_scores(given.scores, given.key, columns)
    examples = chosen.examples()
    if without := sorted({*chosen.classes} - {example.label for example in examples}):
        log.warning("no clip to show of %s in split %s", ", ".join(without), given.split)
    identity = {name: str(given.key[name]) for name in ("dataset", "variant", "attack")}
    modalities, epsilons = zip(*((condition.modality, condition.epsilon) for condition in conditions), strict=True)
    write_examples(
        given.examples,
        Examples(**identity, seed=int(given.key["seed"]), modalities=modalities, epsilons=epsilons, examples=examples),
    )
    write_json(
        given.provenance,
        {
            **job.written_down(given),
            "clips_with_box": sum(box is not None for box in boxes.values()),
            "examples": {example.label: example.clip_id for example in examples},
            **job.meter.read(),
        },
    )


if __name__ == "__main__":
    run(main)
