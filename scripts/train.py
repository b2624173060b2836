"""Train one variant on one dataset with one seed.

Writes the model (best and latest weights), its history and its provenance. Killed at any point, the same
command goes on after the last whole epoch and ends with the same weights.
"""

import argparse
import hashlib
import json
import logging
from pathlib import Path

import torch

from avrobust.data.batches import (
    EvaluationViews,
    ShuffledBatches,
    TrainingViews,
    evaluation_batches,
    training_loader,
)
from avrobust.data.manifest import read_classes
from avrobust.data.store import Store
from avrobust.data.views import Recipe
from avrobust.files import write_json, write_text
from avrobust.lazy import load
from avrobust.models.build import ModelSpec, build
from avrobust.models.files import save_model
from avrobust.models.weights import load_imagenet
from avrobust.objectives.registry import OBJECTIVES
from avrobust.program import UserError, json_argument, run
from avrobust.provenance import Meter
from avrobust.runtime import prepare
from avrobust.training.loop import TrainingRecipe, history_csv, train

log = logging.getLogger("train")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--class-list", type=Path, required=True)
    parser.add_argument("--model-spec", type=json_argument, required=True, help="JSON of a ModelSpec")
    parser.add_argument("--recipe", type=json_argument, required=True, help="JSON of a TrainingRecipe")
    parser.add_argument("--objective", required=True, help="a name of avrobust.objectives.registry")
    parser.add_argument("--audio-samples", type=int, required=True)
    parser.add_argument("--frame-size", type=int, required=True)
    parser.add_argument("--imagenet-weights", type=Path, help="torchvision's ResNet-18 weights")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--code", default="", help="digest of the code, part of what a resumed run must share")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    spec, views = ModelSpec(**given.model_spec), Recipe(given.audio_samples, given.frame_size)
    recipe = TrainingRecipe(**given.recipe)
    classes, store = read_classes(given.class_list), Store(given.shards)

    torch.manual_seed(given.seed)
    model = build(spec, len(classes)).to(device)
    if given.imagenet_weights and "visual" in model.modalities:
        load_imagenet(model.encoders["visual"], given.imagenet_weights)

    train_indices, validation_indices = store.indices("train"), store.indices("val")
    if len(train_indices) < recipe.batch_size:
        raise UserError(
            f"{len(train_indices)} clips to train on make no batch of {recipe.batch_size}; see the dataset's "
            "availability.csv, or lower the batch size (training, in the scale or the paper)"
        )
    if not len(validation_indices):
        raise UserError("no clip in split val to choose the epoch by; see the dataset's availability.csv")
    training = TrainingViews(store, train_indices, views, model.modalities, given.seed)
    batches = ShuffledBatches(len(training), recipe.batch_size, given.seed)
    validation = EvaluationViews(store, validation_indices, views, model.modalities)
    log.info(
        "%d clips to train on, %d to choose the epoch by, %d parameters, on %s",
        len(training),
        len(validation),
        sum(parameter.numel() for parameter in model.parameters()),
        device,
    )
    shaping = [given.model_spec, given.recipe, given.objective, vars(views), given.seed, given.code, classes]
    shaping += [str(given.imagenet_weights), device.type, given.threads]
    shaping += [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in given.shards]
    resume = given.model.with_name("resume.pt")
    result = train(
        model,
        training_loader(training, batches, recipe.epochs, given.threads),
        batches,
        evaluation_batches(validation, recipe.batch_size, recipe.epochs, given.threads),
        recipe,
        load(OBJECTIVES, given.objective),
        resume=resume,
        key=hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest(),
        device=device,
    )

    save_model(given.model, spec, classes, result["best"], result["latest"])
    write_text(given.history, history_csv(result["history"]))
    best = result["history"][result["best_epoch"] - 1]
    write_json(
        given.provenance,
        {
            "model": given.model_spec,
            "recipe": given.recipe,
            "objective": given.objective,
            "views": vars(views),
            "seed": given.seed,
            "code": given.code,
            "clips": {"train": len(training), "val": len(validation)},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "best_epoch": result["best_epoch"],
            "best_validation_accuracy": best["validation_accuracy"],
            "resumed_epochs": result["resumed_epochs"],
            **meter.read(),
        },
    )
    resume.unlink(missing_ok=True)
    log.info("best epoch %d: %.2f %% of the validation clips", best["epoch"], best["validation_accuracy"])


if __name__ == "__main__":
    run(main)
