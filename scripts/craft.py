"""Craft a batch of a training's first epoch as that training does, and keep what becomes of one clip of it."""

import argparse
from pathlib import Path

from avrobust.files import write_json
from avrobust.metrics.one_clip import OneClip, write_one_clip
from avrobust.models.build import Part
from avrobust.program import UserError, json_argument, run
from avrobust.training.job import Job, training_parser
from avrobust.training.one_clip import EPOCH, batch_of, looked_at
from avrobust.training.prepare.curriculum import Curriculum
from avrobust.training.start import continued_model


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = training_parser(__doc__)
    parser.add_argument("--clip", default="", help="id; without it the first one of the first class")
    parser.add_argument("--key", type=json_argument, required=True, help="JSON: dataset, variant, start, attack")
    parser.add_argument("--kept", type=Path, required=True, help="npz: the clip")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    job = Job(given)
    if not job.start:
        raise UserError("--start must be given: what crafts is shown on a trained net")
    _, model = continued_model(job.spec, job.start, job.seed, {}, {})
    model, _, preparation = job.prepared(model, Part(**given.objective))
    if not isinstance(preparation, Curriculum):
        raise UserError(
            f"--recipe: {job.recipe.prepare['name']} samples no steps; give one that prepares by curriculum"
        )
    batch, place = batch_of(given.clip, job.store, job.view, model, job.recipe, job.seed)
    crafted = preparation.craft(model, batch, EPOCH)
    spent = preparation.facts()
    seen = looked_at(model, crafted, place)
    made = OneClip(
        **given.key,
        seed=given.seed,
        clip_id=batch["clip_id"][place],
        label=job.classes[int(batch["label"][place])],
        seconds=len(seen["sound"]) / job.store.audio_rate,
        gradients=spent["gradients_a_clip"],
        encoder_steps=spent["encoder_steps_a_clip"],
        **{**seen, "predictions": [job.classes[number] for number in seen["predictions"]]},
    )
    write_one_clip(given.kept, made)
    write_json(
        given.provenance,
        {
            **given.key,
            "seed": given.seed,
            "clip": made.clip_id,
            "recipe": given.recipe,
            "view": given.view,
            "start": str(given.start),
            "code": given.code,
            **job.meter.read(),
        },
    )


if __name__ == "__main__":
    run(main)
