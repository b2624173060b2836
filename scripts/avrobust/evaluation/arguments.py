"""What every program that attacks a net is told, and what it opens for that."""

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, EvaluationViews, collate, evaluation_batches, inputs_of, whole_groups
from avrobust.data.classes import check_classes
from avrobust.data.shards import Shards
from avrobust.evaluation.conditions import ATTACKED, Condition
from avrobust.models.files import Trained, load_model
from avrobust.models.folding import folded
from avrobust.program import UserError, json_argument, positive
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.spec.attacks import AttackSpec
from avrobust.views.view import VIEW_HELP, build_view

log = logging.getLogger(__name__)

IDENTITY = ("dataset", "variant", "seed", "attack")


def attacking_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all these programs share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument(
        "--attack-spec",
        type=json_argument,
        required=True,
        help='JSON of an avrobust.spec.attacks.AttackSpec: {"update": "fgsm"}',
    )
    parser.add_argument(
        "--conditions", type=json_argument, required=True, help='JSON: [["audio", 0.012], ["both", 0.006], ...]'
    )
    parser.add_argument(
        "--epsilon-space",
        choices=("normalised", "pixel"),
        default="normalised",
        help="what a frame's epsilon counts in: ImageNet-normalised values, or pixels in [0, 1]",
    )
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument("--batch-size", type=positive, required=True)
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--key", type=json_argument, required=True, help=f"JSON: {', '.join(IDENTITY)}")
    parser.add_argument("--code", default="", help="digest of the code, written down")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser


@dataclass(frozen=True)
class Opened:
    """The net, the clips and the attack that the arguments name; `meter` runs since the start."""

    victim: Trained
    spec: AttackSpec
    store: Shards
    views: EvaluationViews
    conditions: list[Condition]
    device: torch.device
    meter: Meter

    def folded(self, net: Trained) -> Trained:
        """Return the same net in the form that is quickest to attack; tried on the first clip."""
        return net._replace(model=folded(net.model, inputs_of(collate([self.views[0]]), self.device)))

    def batches(self, threat: Threat, size: int, threads: int) -> DataLoader | list[Batch]:
        """Return the clips as `threat` takes them, `size` at a time where it leaves that open, in whole groups."""
        group = threat.clips_together(self.victim.model)
        taken = whole_groups(threat.batch_size or size, group)
        if taken != size:
            log.info("%d clips at a time, not %d: the result of each depends on %d", taken, size, group)
        return evaluation_batches(self.views, taken, 1, threads)

    def written_down(self, given: argparse.Namespace) -> dict:
        """Return what the provenance of every such program says."""
        return {
            **given.key,
            "status": "ok",
            "conditions": given.conditions,
            "attack_spec": vars(self.spec),
            "epsilon_space": given.epsilon_space,
            "model_state": given.model_state,
            "split": given.split,
            "view": given.view,
            "clips": len(self.views),
            "code": given.code,
        }


def opened(given: argparse.Namespace) -> Opened:
    """Set torch up and open what the arguments name.

    Raises:
        UserError: an argument is wrong, a file damaged, the net has other classes, or the split has no clip.
    """
    if missing := [name for name in IDENTITY if name not in given.key]:
        raise UserError(f"--key: {', '.join(missing)} must be given")
    conditions = [Condition(modality, float(epsilon)) for modality, epsilon in given.conditions]
    if unknown := [condition.modality for condition in conditions if condition.modality not in ATTACKED]:
        raise UserError(f"--conditions: unknown modality {unknown[0]!r}; known are {', '.join(ATTACKED)}")
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    victim, view = load_model(given.model, given.model_state, device), build_view(given.view)
    store = view.opened(given.shards)
    check_classes(given.model, victim.classes, given.shards[0].parent, store.classes)
    views = EvaluationViews(store, store.indices(given.split), view, victim.model.modalities)
    if not len(views):
        raise UserError(f"no clips in split {given.split} of {given.shards[0].parent}; see availability.csv")
    job = Opened(victim, AttackSpec.of(given.attack_spec), store, views, conditions, device, meter)
    return replace(job, victim=job.folded(victim))
