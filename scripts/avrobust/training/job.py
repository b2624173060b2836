"""What every program that trains a net is told, and what it makes of that."""

import argparse
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from avrobust.data.batches import inputs_of
from avrobust.data.classes import check_classes
from avrobust.data.manifest import read_classes
from avrobust.keyed import seed_of
from avrobust.lazy import built
from avrobust.models.build import ModelSpec, Part
from avrobust.models.files import Trained, load_model
from avrobust.models.late_fusion import PRECISIONS, LateFusion
from avrobust.models.task import TASKS
from avrobust.objectives.registry import OBJECTIVES
from avrobust.program import UserError, json_argument, positive
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.spec.record import record
from avrobust.training.clips import TrainingClips, plain_clips, training_clips
from avrobust.training.kept_features import KeptFeatures
from avrobust.training.loop import train
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.registry import PREPARATIONS
from avrobust.views.view import VIEW_HELP, build_view

log = logging.getLogger(__name__)


def training_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all these programs share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--class-list", type=Path, required=True)
    parser.add_argument("--model-spec", type=json_argument, required=True, help="JSON of a ModelSpec")
    parser.add_argument("--recipe", type=json_argument, required=True, help="JSON of a TrainingRecipe")
    parser.add_argument("--objective", type=json_argument, required=True, help="JSON: name and options")
    parser.add_argument("--start", nargs="?", type=Path, help="model whose latest weights the training starts from")
    parser.add_argument(
        "--budget-files", type=Path, nargs="*", default=[], help="budgets that a job has made, for what is crafted"
    )
    parser.add_argument(
        "--geometry", nargs="?", type=Path, help="classes of another net, as scripts/geometry.py has them"
    )
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument("--variant", required=True, help="name that its random numbers are drawn by, with --seed")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the encoders")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--code", default="", help="digest of the code, part of what a resumed run must share")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser


# What a program is told that shapes no training: where it writes, and by what word a device is asked for.
UNSHAPING = ("model", "history", "provenance", "chosen", "candidates_csv", "device")


@dataclass(frozen=True)
class Fitted:
    """A trained net: the very objects that were trained, and what `avrobust.training.loop.train` returned."""

    model: LateFusion
    objective: nn.Module
    clips: TrainingClips
    observer: KeptFeatures
    result: dict


class Job:
    """The clips, the device and the net to start from, of a program's arguments; `meter` runs from now on.

    Raises:
        UserError: a file is missing or damaged; clips or net are of other classes; the recipe has an unknown key.
    """

    def __init__(self, given: argparse.Namespace):
        self.given, self.recipe = given, record(TrainingRecipe, given.recipe, "a training")
        self.spec = ModelSpec(**given.model_spec)
        # Two variants of one seed share no random number: nets that began alike would pass attacks on to each other.
        self.seed = seed_of(given.seed, given.variant)
        self.device = prepare(given.device, given.threads)
        self.meter = Meter(self.device)
        self.view, self.classes = build_view(given.view), read_classes(given.class_list)
        self.store = self.view.opened(given.shards)
        if self.store.classes != self.classes:
            raise UserError(
                f"{given.class_list} has other classes than the clips of {given.shards[0].parent} were packed with; "
                "pack them with this list"
            )
        self.start: Trained | None = None
        if given.start:
            self.start = load_model(given.start, "latest", self.device)
            check_classes(given.start, self.start.classes, given.class_list, self.classes)

    def prepared(self, model: LateFusion, objective_spec: Part) -> tuple[LateFusion, nn.Module, Plain]:
        """Return `model` where and in which precision it is trained, what it minimises, what its batches become."""
        given = self.given
        model = model.to(self.device).in_precision(given.precision)
        torch.manual_seed(seed_of(self.seed, "objective"))
        objective = built(OBJECTIVES, vars(objective_spec), model.dimensions, len(self.classes)).to(self.device)
        inputs = self.view.inputs(self.store)
        files = given.budget_files, given.geometry, self.classes
        setting = Setting(objective, self.device, self.seed, len(self.classes), inputs, *files, model.scales)
        return model, objective, built(PREPARATIONS, self.recipe.prepare, setting)

    def fit(self, model: LateFusion, objective_spec: Part, resume: Path) -> Fitted:
        """Train `model` as the arguments say, or go on with what `resume` holds."""
        given, recipe = self.given, self.recipe
        model, objective, preparation = self.prepared(model, objective_spec)
        clips = training_clips(self.store, self.view, model, self.spec.task, recipe, self.seed, given.threads)
        if measure := getattr(objective, "measure", None):
            place = (objective.clips, recipe.batch_size, self.seed, given.threads)
            plain = plain_clips(self.store, self.view, model, self.spec.task, *place)
            measure(model, (inputs_of(batch, self.device) for batch in plain))
        observer = KeptFeatures(getattr(given, "kept_features", 0), recipe.epochs)
        log.info(
            "%d clips to train on, %d to choose the epoch by, %d parameters, on %s",
            *(clips.training_count, clips.validation_count),
            *(sum(parameter.numel() for parameter in model.parameters()), self.device),
        )
        key = self.key(objective_spec)
        task = TASKS[self.spec.task]
        result = train(model, clips, recipe, objective, preparation, task, resume, key, self.device, observer)
        return Fitted(model, objective, clips, observer, result)

    def key(self, objective_spec: Part) -> str:
        """Return a digest of all that shapes a training: what the program is told, and all files that it reads.

        Files count by name, size and time. The number of threads decides the last bits of sums.
        """
        told = {name: value for name, value in vars(self.given).items() if name not in UNSHAPING}
        weights = (path for part in ("weights", "branches") for _, path in told.get(part, []))
        files = [
            *told.pop("shards"),
            *told.pop("budget_files"),
            *filter(None, [told["start"], told.pop("geometry"), told.pop("moments", None)]),
            *weights,
        ]
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        shaping = [told, vars(objective_spec), self.classes, self.device.type, stats]
        return hashlib.sha256(json.dumps(shaping, sort_keys=True, default=str).encode()).hexdigest()
