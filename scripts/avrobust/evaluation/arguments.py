"""What every program that attacks a net is told, and what it opens for that."""

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from avrobust.attacks.budget import units
from avrobust.attacks.budget_files import read_budgets
from avrobust.attacks.fit import SPLITS
from avrobust.attacks.threat import Threat, bind
from avrobust.data.batches import Batch, EvaluationViews, collate, evaluation_batches, inputs_of, whole_groups
from avrobust.data.classes import check_classes
from avrobust.data.partners import partners
from avrobust.data.shards import Shards
from avrobust.data.stratified import stratified
from avrobust.evaluation.alone import check_alone
from avrobust.evaluation.budgets import Budgets
from avrobust.lazy import attribute
from avrobust.models.files import Trained, load_model
from avrobust.models.folding import folded
from avrobust.program import UserError, json_argument, named_path, positive, progress
from avrobust.provenance import Meter
from avrobust.runtime import DEVICES, prepare
from avrobust.spec.attacks import END_TO_END, AttackSpec
from avrobust.spec.conditions import ATTACKED, Condition
from avrobust.views.view import VIEW_HELP, View, build_view

log = logging.getLogger(__name__)


def attacking_parser(description: str, identity: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all these programs share; `identity`: what a key must say."""
    parser = argparse.ArgumentParser(description=description)
    parser.set_defaults(identity=identity)
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--budgets",
        type=json_argument,
        required=True,
        help='JSON of the long form of avrobust.spec.budgets: {"small": {"audio": {"norm": "linf", "epsilon": 0.006}}}',
    )
    parser.add_argument("--budget-files", type=Path, nargs="*", default=[], help="budgets that a job has made")
    parser.add_argument(
        "--epsilon-space",
        choices=("normalised", "pixel"),
        default="normalised",
        help="what a frame's epsilon counts in: ImageNet-normalised values, or pixels in [0, 1]",
    )
    parser.add_argument("--view", type=json_argument, required=True, help=VIEW_HELP)
    parser.add_argument(
        "--extractor",
        type=json_argument,
        help='JSON: {"name": ..., "encoders": {"audio": {"name": ..., "options": {}}}}, what made the features that '
        "the nets take, if clips are attacked through it; --view and --shards are then the extractor's",
    )
    parser.add_argument("--extractor-weights", nargs="*", default=[], type=named_path, metavar="MODALITY=FILE")
    parser.add_argument("--batch-size", type=positive, required=True)
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--key", type=json_argument, required=True, help="JSON: what the files say that they are of")
    parser.add_argument("--code", default="", help="digest of the code, written down")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser


def one_net_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser for a program that looks into one net under one attack of its own gradients."""
    parser = attacking_parser(description, ("dataset", "variant", "seed", "attack"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument(
        "--attack-spec",
        type=json_argument,
        required=True,
        help='JSON of an avrobust.spec.attacks.AttackSpec: {"update": "fgsm"}',
    )
    parser.add_argument(
        "--conditions", type=json_argument, required=True, help='JSON: [["audio", "large"], ["both", "small"], ...]'
    )
    return parser


@dataclass(frozen=True)
class Opened:
    """The nets, the clips and the budgets that the arguments name; `meter` runs since the start.

    `threads`: of the job. `views`: of the clips that are attacked, some or all of `split`.
    """

    nets: Mapping[str, Trained]
    store: Shards
    views: EvaluationViews
    budgets: Budgets
    device: torch.device
    meter: Meter
    threads: int = 1
    split: str = "test"

    def of_some(self, count: int | None) -> "Opened":
        """The same with `count` clips of all classes alike, as `stratified` chooses them; None for all."""
        if count is None or count >= len(self.views):
            return self
        views, store = self.views, self.store
        of = [int(index) for index in views.indices]
        chosen = stratified([store.clip_ids[index] for index in of], [store.labels[index] for index in of], count)
        some = EvaluationViews(store, [of[place] for place in chosen], views.view, views.modalities, task=views.task)
        return replace(self, views=some)

    def of_split(self, split: str) -> "Opened":
        """The same with all clips of another split.

        Raises:
            UserError: it has none.
        """
        like = self.views
        return replace(self, views=_clips_of(split, self.store, like.view, like.modalities, like.task), split=split)

    def batches(
        self,
        group: int,
        size: int,
        threads: int,
        batch_size: int | None = None,
        start: int = 0,
        with_partners: bool = False,
        passes: int = 1,
    ) -> DataLoader | list[Batch]:
        """Return the clips from number `start` on, `size` at a time, or fewer in whole groups of `group`.

        `batch_size`: how many an attack needs at a time, if it does not leave that open. `with_partners`: each with a
        clip of another class of the split. `passes`: how often they are gone through.

        Raises:
            UserError: there is none.
        """
        taken = whole_groups(batch_size or size, group)
        if taken != size:
            log.info("%d clips at a time, not %d: the result of each depends on %d", taken, size, group)
        views = self.views
        told = {"task": views.task, "partners": self._partners() if with_partners else None}
        rest = EvaluationViews(views.store, views.indices[start:], views.view, views.modalities, **told)
        return evaluation_batches(rest, taken, passes, threads)

    def _partners(self) -> dict[int, int]:
        # A clip's partner is one of the whole split, however many clips are attacked.
        store, indices = self.store, [int(index) for index in self.store.indices(self.split)]
        found = partners([store.clip_ids[index] for index in indices], [store.labels[index] for index in indices])
        if alone := [place for place, other in enumerate(found) if place == other]:
            raise UserError(
                f"clip {store.clip_ids[indices[alone[0]]]}: no clip of the split is of another class, to be mixed with "
                "it; give clips of two classes, or an attack without the transform `mixing`"
            )
        return {index: indices[other] for index, other in zip(indices, found, strict=True)}

    def written_down(self, given: argparse.Namespace) -> dict:
        """Return what the provenance of every such program says."""
        return {
            **given.key,
            "status": "ok",
            "budgets": self.budgets.named,
            "epsilon_space": given.epsilon_space,
            "model_state": given.model_state,
            "split": self.split,
            "view": given.view,
            "clips": len(self.views),
            "code": given.code,
            **(_extractor_of(given) if given.extractor else {}),
        }


def _extractor_of(given: argparse.Namespace) -> dict:
    weights = {modality: str(path) for modality, path in given.extractor_weights}
    return {"extractor": given.extractor, "extractor_weights": weights}


def opened(given: argparse.Namespace, paths: Mapping[str, Path], split: str) -> Opened:
    """Set torch up and open what the arguments name, with the nets of `paths`, in the form that is quickest to attack.

    `split`: whose clips are attacked.

    Raises:
        UserError: an argument is wrong, a file damaged, a net has other classes, the split has no clip, or what a net
            answers to a clip depends on more than that clip.
    """
    if missing := [name for name in given.identity if name not in given.key]:
        raise UserError(f"--key: {', '.join(missing)} must be given")
    if not str(given.key.get("seed", 0)).isdigit():
        raise UserError(f"--key: seed: {given.key['seed']!r} is no whole number from 0 on")
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    named = read_budgets(given.budgets, given.budget_files)
    view = build_view(given.view)
    store = view.opened(given.shards)
    nets = {name: load_model(path, given.model_state, device) for name, path in paths.items()}
    if given.extractor:
        behind = attribute(END_TO_END)(given.extractor, dict(given.extractor_weights), device)
        nets = {name: net._replace(model=behind(net.model)) for name, net in nets.items()}
    for name, net in nets.items():
        check_classes(paths[name], net.classes, given.shards[0].parent, store.classes)
    modalities = dict.fromkeys(modality for net in nets.values() for modality in net.model.modalities)
    task, *others = dict.fromkeys(net.model.task for net in nets.values())
    if others:
        raise UserError("--nets: some are of one label a clip, some of several; attack those apart from these")
    views = _clips_of(split, store, view, tuple(modalities), task)
    first = inputs_of(collate([views[0]]), device)
    nets = {name: net._replace(model=folded(net.model, first)) for name, net in nets.items()}
    for name, net in nets.items():
        check_alone(paths[name], net.model, views, device)
    forms, scales = view.inputs(store), common_scales(paths, nets)
    in_units = {name: unit.to(device) for name, unit in units(given.epsilon_space, forms, scales).items()}
    return Opened(nets, store, views, Budgets(named, in_units), device, meter, given.threads, split)


def _clips_of(split: str, store: Shards, view: View, modalities: tuple[str, ...], task: str) -> EvaluationViews:
    views = EvaluationViews(store, store.indices(split), view, modalities, task)
    if not len(views):
        raise UserError(f"no clips in split {split} of {Path(store.paths[0]).parent}; see availability.csv")
    return views


def common_scales(paths: Mapping[str, Path], nets: Mapping[str, Trained]) -> dict[str, Tensor]:
    """Return `LateFusion.scales` of these nets together: an epsilon counts in the same for all of them.

    Raises:
        UserError: two of them standardise a modality by other moments, or one of them does not.
    """
    # Modality -> what the first net that takes it has, None where that takes it as it is; and which that is.
    scales: dict[str, Tensor | None] = {}
    of: dict[str, str] = {}
    for net, trained in nets.items():
        for name in trained.model.modalities:
            own = trained.model.scales.get(name)
            first, known = of.setdefault(name, net), scales.setdefault(name, own)
            if (own is None) != (known is None):
                does, other = (first, net) if own is None else (net, first)
                raise UserError(
                    f"{paths[does]} standardises {name} and {paths[other]} does not, so that an epsilon would be of "
                    "two units; give both the same encoder, or attack them in bundles of their own"
                )
            if own is not None and not torch.equal(known, own):
                both = f"{paths[first]} and {paths[net]}"
                raise UserError(f"{both} standardise {name} otherwise; train both with the same moments")
    return {name: scale for name, scale in scales.items() if scale is not None}


def conditions_of(told: object, budgets: Mapping[str, object]) -> list[Condition]:
    """Return conditions that came as JSON lists.

    Raises:
        UserError: a modality is unknown, or a budget not among `budgets`.
    """
    conditions = [Condition(*one) for one in told]
    for condition in conditions:
        if condition.modality not in ATTACKED:
            raise UserError(f"conditions: unknown modality {condition.modality!r}; known are {', '.join(ATTACKED)}")
        if condition.budget not in budgets and condition.modality != "clean":
            raise UserError(f"conditions: budget {condition.budget!r} is none of {', '.join(budgets)}; give it a value")
    return conditions


class OneNet(NamedTuple):
    """A net and the attack by its own gradients that it is looked into under; `said` is for the provenance."""

    job: Opened
    net: Trained
    threat: Threat
    conditions: list[Condition]
    batches: Iterable[Batch]
    said: dict


def opened_one_net(given: argparse.Namespace, label: str) -> OneNet:
    """Return what the arguments of `one_net_parser` name; `label`: what a user sees of the progress.

    Raises:
        UserError: as `opened` and `conditions_of`.
    """
    job = opened(given, {"net": given.model}, given.split)
    net, conditions = job.nets["net"], conditions_of(given.conditions, job.budgets.named)
    if net.model.task != "single":
        raise UserError(f"{given.model}: the net takes a clip for any number of classes; give one of one label a clip")
    threat = bind(AttackSpec.of(given.attack_spec), net, given.key["attack"], int(given.key["seed"]))
    together, partners_too = threat.clips_together(net.model), threat.attack.needs_partner
    batches = job.batches(together, given.batch_size, given.threads, threat.batch_size, with_partners=partners_too)
    log.info("%d clips, clean and %d conditions, on %s", len(job.views), len(conditions), job.device)
    said = {**job.written_down(given), "conditions": conditions, "attack_spec": given.attack_spec}
    shown = progress(batches, label=label, unit="batches", total=len(batches))
    return OneNet(job, net, threat, conditions, shown, said)
