"""Make one cell: attack one trained variant under every modality and budget that an artefact needs."""

import argparse
import logging
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.attacks.budget import units
from avrobust.attacks.registry import ATTACKS
from avrobust.data.batches import EvaluationViews, evaluation_batches
from avrobust.data.store import Store
from avrobust.data.views import Recipe
from avrobust.evaluation.cell import Condition, evaluate
from avrobust.files import replacing, write_json
from avrobust.lazy import load
from avrobust.models.files import load_model
from avrobust.objectives.registry import OBJECTIVES
from avrobust.program import UserError, json_argument, progress, run
from avrobust.provenance import Meter
from avrobust.runtime import prepare

log = logging.getLogger("attack")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--attack", required=True, help="a name of avrobust.attacks.registry")
    parser.add_argument("--objective", required=True, help="a name of avrobust.objectives.registry")
    parser.add_argument(
        "--conditions",
        type=json_argument,
        required=True,
        help='JSON: [["audio", 0.012], ["both", 0.006], ...]',
    )
    parser.add_argument(
        "--epsilon-space",
        choices=("normalised", "pixel"),
        default="normalised",
        help="what a frame's epsilon counts in: ImageNet-normalised values, or pixels in [0, 1]",
    )
    parser.add_argument("--audio-samples", type=int, required=True)
    parser.add_argument("--frame-size", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--key", type=json_argument, required=True, help="JSON: dataset, variant and seed")
    parser.add_argument("--code", default="", help="digest of the code, written down")
    parser.add_argument("--cell", type=Path, required=True)
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    model, _ = load_model(given.model, given.model_state, device)
    store, attack = Store(given.shards), load(ATTACKS, given.attack)
    views = EvaluationViews(
        store, store.indices(given.split), Recipe(given.audio_samples, given.frame_size), model.modalities
    )
    if not len(views):
        raise UserError(f"no clips in split {given.split} of {given.shards[0].parent}; see availability.csv")
    conditions = [Condition(modality, epsilon) for modality, epsilon in given.conditions]
    log.info("%d clips, %d conditions, on %s", len(views), len(conditions), device)
    batches = evaluation_batches(views, given.batch_size, 1, given.threads)
    rows, sanity = evaluate(
        model,
        progress(batches, label=given.attack, unit="batches", total=len(batches)),
        attack,
        load(OBJECTIVES, given.objective),
        units(given.epsilon_space),
        conditions,
        device,
    )
    key = {**given.key, "attack": given.attack}
    rows = rows.replace_schema_metadata({name: str(value) for name, value in key.items()})
    with replacing(given.cell) as temporary:
        pq.write_table(rows, temporary)
    for flag in sanity.flags():
        log.warning("sanity check: %s", flag)
    made = meter.read()
    write_json(
        given.provenance,
        {
            **key,
            "status": "ok",
            "conditions": given.conditions,
            "objective": given.objective,
            "epsilon_space": given.epsilon_space,
            "model_state": given.model_state,
            "steps": attack.steps,
            "step_size": attack.step_size,
            "clips": len(views),
            "code": given.code,
            "sanity": {**vars(sanity), "flags": sanity.flags()},
            "attacked_clips_per_second": round(len(views) * len(conditions) / made["seconds"], 2),
            **made,
        },
    )


if __name__ == "__main__":
    run(main)
