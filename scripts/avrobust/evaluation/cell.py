"""A cell: one net under one attack, every modality and budget, one stored row per clip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.attacks.budget import Units
from avrobust.attacks.loop import Attack
from avrobust.attacks.loss import Inputs, Objective
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, inputs_of
from avrobust.evaluation.conditions import Condition, budgets_under, check_promises
from avrobust.evaluation.memory import within_memory
from avrobust.evaluation.start import Start, encode_changed
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
    they are the same in every condition. The rows' `loss` is what the attack maximises, whatever net it attacks. A
    batch that does not fit into memory is cut where no clip's result depends on it: see `Threat.clips_together`, whole
    multiples of which `batches` must hold, all but the last.

    Raises:
        RuntimeError: an input left its ball or its valid range although the attack promises to keep it, or
            a modality that is not attacked changed. No row of such a cell must ever be stored.
    """
    units = {name: unit.to(device) for name, unit in units.items()}
    setting = _Setting(model, threat, white_box, units, conditions, device)
    parts: list[_Part] = []

    def attacked(batch: Batch) -> _Part:
        return setting.attacked(batch, UNBOUNDED_CLIPS - sum(len(part.unbounded) for part in parts))

    with evaluating(model), evaluating(threat.model), torch.no_grad():
        for part in within_memory(attacked, batches, threat.clips_together(model)):
            parts.append(part)
    accuracy, by_single_step, by_white_box = (
        _accuracies([getattr(part, name) for part in parts]) for name in ("hits", "single_step", "by_white_box")
    )
    unbounded = [hit for part in parts for hit in part.unbounded]
    sanity = Sanity(
        zero_gradient_clips=sum(part.zero_gradient_clips for part in parts),
        single_step_stronger=_lower(by_single_step, accuracy),
        rising_accuracy=_rising(accuracy),
        unbounded_accuracy=100 * sum(unbounded) / len(unbounded) if unbounded else None,
        black_box_stronger=_lower(accuracy, by_white_box),
    )
    table = pa.concat_tables(table for part in parts for table in part.tables)
    return table.sort_by([("modality", "ascending"), ("epsilon", "ascending"), ("clip_id", "ascending")]), sanity


Hits = dict[Condition, Tensor]


@dataclass
class _Part:
    """What came of some clips: their rows, and under each condition whether each was recognised.

    `single_step`, `by_white_box`: the same under the attacks of the checks. `unbounded`: of the first clips alone.
    """

    tables: list[pa.Table]
    zero_gradient_clips: int
    hits: Hits = field(default_factory=dict)
    single_step: Hits = field(default_factory=dict)
    by_white_box: Hits = field(default_factory=dict)
    unbounded: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class _Setting:
    """What is the same for every batch of a cell."""

    model: LateFusion
    threat: Threat
    white_box: Threat | None
    units: Mapping[str, Units]
    conditions: list[Condition]
    device: torch.device

    def attacked(self, batch: Batch, unbounded_clips: int) -> _Part:
        """Attack a batch under every condition, and its first `unbounded_clips` clips without bounds."""
        model, threat, units, attack = self.model, self.threat, self.units, self.threat.attack
        inputs, labels = inputs_of(batch, self.device), batch["label"].to(self.device)
        features = {name: model.encode(name, inputs[name]) for name in model.modalities}
        start = Start(threat, inputs, labels, features if threat.model is model else None, batch["clip_id"])
        own = Start(self.white_box, inputs, labels, features, batch["clip_id"]) if self.white_box else None

        def rows(attacked: Inputs, condition: Condition) -> tuple[pa.Table, Tensor]:
            return _rows(model, batch, labels, inputs, attacked, features, threat.objective, units, condition)

        part = _Part([rows(inputs, Condition("clean", 0.0))[0]], _clips_without_gradient(start.gradients))
        for condition in self.conditions:
            budgets = budgets_under(condition, units)
            attacked = start.perturbed(budgets, attack)
            check_promises(attack, inputs, attacked, units, condition)
            table, part.hits[condition] = rows(attacked, condition)
            part.tables.append(table)
            if attack.steps > 1:
                step = start.perturbed(budgets, _single_step(attack))
                part.single_step[condition] = _hits(model, labels, inputs, step, features)
            if own:
                attacked = own.perturbed(budgets, attack)
                part.by_white_box[condition] = _hits(model, labels, inputs, attacked, features)
        if attack.steps > 1 and own is None and unbounded_clips > 0:
            anything = {name: units[name].budget(_range_in_units(units[name])) for name in model.modalities}
            few = start.first(unbounded_clips)
            attacked = few.perturbed(anything, attack)
            part.unbounded = _hits(model, few.labels, few.inputs, attacked, few.features).tolist()
        return part


def _accuracies(parts: list[Hits]) -> dict[Condition, float]:
    return {key: torch.cat([part[key] for part in parts]).float().mean().item() for key in parts[0]}


def _lower(some: Mapping[Condition, float], others: Mapping[Condition, float]) -> list[str]:
    return [f"{key.modality} {key.epsilon:g}" for key in others if key in some and some[key] < others[key]]


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


def _hits(model: LateFusion, labels: Tensor, clean: Inputs, inputs: Inputs, features: Inputs) -> Tensor:
    return model.head(encode_changed(model, clean, inputs, features)).argmax(dim=1) == labels


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
    encoded = encode_changed(model, clean, inputs, features)
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
