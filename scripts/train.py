"""Train one variant on one dataset with one seed.

Writes the model (best and latest weights), its history and its provenance. Killed at any point, the same
command goes on after the last whole epoch and ends with the same weights.
"""

import argparse
import json
import logging
from pathlib import Path

from avrobust.data.views import Recipe
from avrobust.files import write_json, write_text
from avrobust.models.build import ModelSpec
from avrobust.models.files import save_model
from avrobust.objectives.build import ObjectiveSpec, build_objective
from avrobust.program import json_argument, natural, run
from avrobust.provenance import Meter
from avrobust.runtime import prepare
from avrobust.training.arguments import load_start, opened_clips, resume_key, training_parser
from avrobust.training.clips import training_clips
from avrobust.training.loop import TrainingRecipe, history_csv, train
from avrobust.training.start import MemoryRecipe, continued_model, fresh_model, memory_banks

log = logging.getLogger("train")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = training_parser(__doc__)
    parser.add_argument(
        "--found-options", type=Path, help="JSON of scripts/search.py, whose `chosen` options the objective gets"
    )
    parser.add_argument("--start", type=Path, help="model whose latest weights the training starts from")
    parser.add_argument("--memory", type=json_argument, help="JSON of a MemoryRecipe; needs --start")
    parser.add_argument(
        "--kept-features", type=natural, default=0, help="features of the last epoch to keep in the model"
    )
    parser.add_argument("--imagenet-weights", type=Path, help="torchvision's ResNet-18 weights")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    given = parser.parse_args()
    if given.memory and not given.start:
        parser.error("--memory needs --start: a memory holds features of the net that the training starts from")
    return given


def main() -> None:
    """Run the program."""
    given = arguments()
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    spec, views = ModelSpec(**given.model_spec), Recipe(given.audio_samples, given.frame_size)
    recipe, objective_spec = TrainingRecipe(**given.recipe), _objective_spec(given)
    classes, store = opened_clips(given)

    if given.start:
        start = load_start(given.start, classes, given.class_list, device)
        memory = MemoryRecipe(**given.memory) if given.memory else None
        banks = (
            memory_banks(memory, start, store, views, recipe.batch_size, given.seed, given.threads, device)
            if memory
            else {}
        )
        spec, model = continued_model(spec, start, given.seed, banks, memory.steps if memory else {})
    else:
        model = fresh_model(spec, len(classes), given.seed, given.imagenet_weights)
    model = model.to(device).in_precision(given.precision)
    objective = build_objective(objective_spec, model.dimensions, len(classes)).to(device)

    clips = training_clips(store, views, model, recipe.batch_size, recipe.epochs, given.seed, given.threads)
    log.info(
        "%d clips to train on, %d to choose the epoch by, %d parameters, on %s",
        clips.training_count,
        clips.validation_count,
        sum(parameter.numel() for parameter in model.parameters()),
        device,
    )
    shaping = [given.model_spec, given.recipe, vars(objective_spec), given.memory, given.kept_features, vars(views)]
    shaping += [
        given.seed,
        given.code,
        given.precision,
        classes,
        str(given.imagenet_weights),
        str(given.start),
        device.type,
    ]
    read = [*given.shards, *([given.start] if given.start else [])]
    shaping.append(given.threads)
    resume = given.model.with_name("resume.pt")
    result = train(
        model,
        clips.loader,
        clips.batches,
        clips.validation,
        recipe,
        objective,
        resume=resume,
        key=resume_key(shaping, read),
        device=device,
        kept_features=given.kept_features,
    )

    save_model(
        given.model, spec, objective_spec, classes, result["best"], result["latest"], result["training_features"]
    )
    write_text(given.history, history_csv(result["history"]))
    best = result["history"][result["best_epoch"] - 1]
    made = meter.read()
    write_json(
        given.provenance,
        {
            "model": vars(spec),
            "recipe": given.recipe,
            "objective": vars(objective_spec),
            "start": str(given.start or ""),
            "memory": given.memory,
            "memory_steps": {name: float(defence.step) for name, defence in model.defences.items()},
            "views": vars(views),
            "seed": given.seed,
            "precision": given.precision,
            "code": given.code,
            "clips": {"train": clips.training_count, "val": clips.validation_count},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "best_epoch": result["best_epoch"],
            "best_validation_accuracy": best["validation_accuracy"],
            "resumed_epochs": result["resumed_epochs"],
            "waiting_seconds": round(result["waiting_seconds"], 3),
            **made,
        },
    )
    resume.unlink(missing_ok=True)
    log.info("best epoch %d: %.2f %% of the validation clips", best["epoch"], best["validation_accuracy"])
    waited = 100 * result["waiting_seconds"] / made["seconds"]
    log.info("%.0f s, %.0f %% of it waiting for clips", made["seconds"], waited)


def _objective_spec(given: argparse.Namespace) -> ObjectiveSpec:
    spec = ObjectiveSpec(**given.objective)
    if not given.found_options:
        return spec
    found = json.loads(given.found_options.read_text(encoding="utf-8"))["chosen"]
    return ObjectiveSpec(spec.name, {**spec.options, **found})


if __name__ == "__main__":
    run(main)
