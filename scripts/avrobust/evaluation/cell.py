"""A cell: one net under one attack, every modality and budget, one stored row per clip."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.attacks.budget import Budget, Units
from avrobust.attacks.loop import Attack, Inputs, Objective, input_gradients, perturb
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, inputs_of
from avrobust.evaluation.conditions import ATTACKED, Condition, check_promises
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating

SCHEMA = pa.schema(
    {
        "clip_id": pa.string(),
        "label": pa.int16(),
        "modality": pa.string(),
        "epsilon": pa.float64(),
        "prediction": pa.int16(),
        "loss": pa.float32(),
        "linf_audio": pa.float32(),
        "linf_visual": pa.float32(),
        "cosine": pa.float32(),
    }
)


# An attack without bounds is tried on so many clips.
UNBOUNDED_CLIPS = 8


@dataclass
class Sanity:
    """Checks after Athalye et al. (ICML 2018) and AutoAttack: each is a sign of an attack that is too weak.

    `zero_gradient_clips`: clips whose clean gradient is zero in some modality. `single_step_stronger`:
    conditions in which one full step of the same attack leaves a lower accuracy. `rising_accuracy`:
    modalities whose accuracy rises somewhere with epsilon. `unbounded_accuracy`: accuracy, in percent, of the
    first `UNBOUNDED_CLIPS` clips when every input may become anything valid; above 0 is a warning. None: not asked for.
    `black_box_stronger`: conditions in which an attack that takes its gradients elsewhere leaves a lower accuracy than
    the same attack with the victim's own gradients.
    """

    zero_gradient_clips: int = 0
    single_step_stronger: list[str] = field(default_factory=list)
    rising_accuracy: list[str] = field(default_factory=list)
    unbounded_accuracy: float | None = None
    black_box_stronger: list[str] = field(default_factory=list)

    def flags(self) -> list[str]:
        """Return the names of the checks that found something."""
        found = {
            "zero_gradients": self.zero_gradient_clips > 0,
            "single_step_stronger": bool(self.single_step_stronger),
            "rising_accuracy": bool(self.rising_accuracy),
            "unbounded_not_zero": bool(self.unbounded_accuracy),
            "black_box_stronger": bool(self.black_box_stronger),
        }
        return [name for name, is_found in found.items() if is_found]


def evaluate(
    model: LateFusion,
    batches: Iterable[Batch],
    threat: Threat,
    units: Mapping[str, Units],
    conditions: list[Condition],
    device: torch.device,
    white_box: Threat | None = None,
) -> tuple[pa.Table, Sanity]:
    """Attack every clip under every condition and return the rows, clean ones included, and the checks.

    `model` is the victim, whose answers the rows hold. `batches`: from `avrobust.data.batches`; `units`: what an
    epsilon of 1 is in each modality; `white_box`: where `threat` takes its gradients of another net, the same attack
    on the victim's own, for the check. Each batch's clean features and clean gradients are computed once and shared:
    they are the same in every condition. The rows' `loss` is what the attack maximises, whatever net it attacks.

    Raises:
        RuntimeError: an input left its ball or its valid range although the attack promises to keep it, or
            a modality that is not attacked changed. No row of such a cell must ever be stored.
    """
    units = {name: unit.to(device) for name, unit in units.items()}
    attack = threat.attack
    tables: list[pa.Table] = []
    sanity = Sanity()
    correct: dict[Condition, list[Tensor]] = {condition: [] for condition in conditions}
    single_step: dict[Condition, list[Tensor]] = {condition: [] for condition in conditions}
    by_white_box: dict[Condition, list[Tensor]] = {condition: [] for condition in conditions}
    with evaluating(model), evaluating(threat.model), torch.no_grad():
        for batch in batches:
            inputs, labels = inputs_of(batch, device), batch["label"].to(device)
            features = {name: model.encode(name, inputs[name]) for name in model.modalities}
            start = _Start(threat, inputs, labels, features if threat.model is model else None)
            own = _Start(white_box, inputs, labels, features) if white_box else None
            sanity.zero_gradient_clips += _clips_without_gradient(start.gradients)
            clean = Condition("clean", 0.0)
            tables.append(_rows(model, batch, labels, inputs, inputs, features, threat.objective, units, clean)[0])
            for condition in conditions:
                budgets = {name: units[name].budget(condition.epsilon) for name in ATTACKED[condition.modality]}
                attacked = start.perturbed(budgets, attack)
                check_promises(attack, inputs, attacked, units, condition)
                rows, hits = _rows(model, batch, labels, inputs, attacked, features, threat.objective, units, condition)
                tables.append(rows)
                correct[condition].append(hits)
                if attack.steps > 1:
                    step = start.perturbed(budgets, _single_step(attack))
                    single_step[condition].append(_hits(model, labels, inputs, step, features))
                if own:
                    by_white_box[condition].append(
                        _hits(model, labels, inputs, own.perturbed(budgets, attack), features)
                    )
            if attack.steps > 1 and threat.model is model and sanity.unbounded_accuracy is None:
                anything = {name: units[name].budget(_range_in_units(units[name])) for name in model.modalities}
                few = start.first(UNBOUNDED_CLIPS)
                hits = _hits(model, few.labels, few.inputs, few.perturbed(anything, attack), few.features)
                sanity.unbounded_accuracy = 100 * hits.float().mean().item()
    accuracy = _accuracies(correct)
    sanity.single_step_stronger = _lower(_accuracies(single_step), accuracy) if attack.steps > 1 else []
    sanity.black_box_stronger = _lower(accuracy, _accuracies(by_white_box)) if white_box else []
    sanity.rising_accuracy = _rising(accuracy)
    table = pa.concat_tables(tables)
    return table.sort_by([("modality", "ascending"), ("epsilon", "ascending"), ("clip_id", "ascending")]), sanity


class _Start:
    """The clean batch as a threat sees it: its own clean features and gradients, once for all conditions."""

    def __init__(self, threat: Threat, inputs: Inputs, labels: Tensor, features: Inputs | None):
        self.threat, self.inputs, self.labels = threat, inputs, labels
        model = threat.model
        self.features = features or {name: model.encode(name, inputs[name]) for name in model.modalities}
        self.gradients = input_gradients(model, inputs, labels, threat.objective, model.modalities, self.features)

    def first(self, count: int) -> "_Start":
        """The same of the first clips alone."""
        part = copy(self)
        part.labels = self.labels[:count]
        for name in ("inputs", "features", "gradients"):
            setattr(part, name, {key: value[:count] for key, value in getattr(self, name).items()})
        return part

    def perturbed(self, budgets: Mapping[str, Budget], attack: Attack) -> dict[str, Tensor]:
        threat = self.threat
        return perturb(
            threat.model, self.inputs, self.labels, budgets, attack, threat.objective, self.features, self.gradients
        )


def _accuracies(hits: Mapping[Condition, list[Tensor]]) -> dict[Condition, float]:
    return {key: torch.cat(parts).float().mean().item() for key, parts in hits.items() if parts}


def _lower(some: Mapping[Condition, float], others: Mapping[Condition, float]) -> list[str]:
    return [f"{key.modality} {key.epsilon:g}" for key in others if some[key] < others[key]]


def _single_step(attack: Attack) -> Attack:
    return replace(attack, steps=1, step_size=1.0)


def _range_in_units(unit: Units) -> float:
    return ((unit.high - unit.low) / unit.scale).max().item()


def _clips_without_gradient(gradients: Inputs) -> int:
    zero = [(gradient.flatten(1) == 0).all(dim=1) for gradient in gradients.values()]
    return int(torch.stack(zero).any(dim=0).sum())


def _rising(accuracy: Mapping[Condition, float]) -> list[str]:
    rising = []
    for modality in dict.fromkeys(condition.modality for condition in accuracy):
        of_modality = sorted((key.epsilon, value) for key, value in accuracy.items() if key.modality == modality)
        values = [value for _, value in of_modality]
        if any(later > earlier for earlier, later in pairwise(values)):
            rising.append(modality)
    return rising


def _encode_changed(model: LateFusion, clean: Inputs, inputs: Inputs, features: Inputs) -> dict[str, Tensor]:
    return {
        name: features[name] if inputs[name] is clean[name] else model.encode(name, inputs[name])
        for name in model.modalities
    }


def _hits(model: LateFusion, labels: Tensor, clean: Inputs, inputs: Inputs, features: Inputs) -> Tensor:
    return model.head(_encode_changed(model, clean, inputs, features)).argmax(dim=1) == labels


def _rows(
    model: LateFusion,
    batch: Batch,
    labels: Tensor,
    clean: Inputs,
    inputs: Inputs,
    features: Inputs,
    objective: Objective,
    units: Mapping[str, Units],
    condition: Condition,
) -> tuple[pa.Table, Tensor]:
    encoded = _encode_changed(model, clean, inputs, features)
    logits = model.head(encoded)
    predictions = logits.argmax(dim=1)
    count = len(labels)
    linf = {
        name: units[name].linf(inputs[name] - clean[name]) if name in inputs else torch.zeros(count)
        for name in ("audio", "visual")
    }
    cosine = (
        F.cosine_similarity(encoded["audio"], encoded["visual"])
        if len(encoded) == 2 and all(feature.dim() == 2 for feature in encoded.values())
        else torch.full((count,), torch.nan)
    )
    columns = {
        "clip_id": batch["clip_id"],
        "label": _values(labels),
        "modality": [condition.modality] * count,
        "epsilon": [condition.epsilon] * count,
        "prediction": _values(predictions),
        "loss": _values(objective(encoded, logits, labels)),
        "linf_audio": _values(linf["audio"]),
        "linf_visual": _values(linf["visual"]),
        "cosine": _values(cosine),
    }
    arrays = [pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names]
    return pa.Table.from_arrays(arrays, schema=SCHEMA), predictions == labels


def _values(values: Tensor) -> list:
    # Lists, because an array makes pyarrow import pandas.
    return values.tolist()
