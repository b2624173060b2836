"""A cell: one net under one attack, every modality and budget, one stored row per clip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.attacks.budget import Units
from avrobust.attacks.loop import Attack, Inputs, Objective, input_gradients, perturb
from avrobust.data.batches import Batch, inputs_of
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating

# Which modalities each condition of a cell attacks.
ATTACKED = {"clean": (), "audio": ("audio",), "visual": ("visual",), "both": ("audio", "visual")}

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

# Float32 rounding of clip + step: allowed on top of an epsilon.
SLACK = 1e-6


@dataclass(frozen=True)
class Condition:
    """`modality` is a key of `ATTACKED`; `epsilon` is in the paper's units, the same for each modality."""

    modality: str
    epsilon: float


@dataclass
class Sanity:
    """Checks after Athalye et al. (ICML 2018) and AutoAttack: each is a sign of an attack that is too weak.

    `zero_gradient_clips`: clips whose clean gradient is zero in some modality. `single_step_stronger`:
    conditions in which one full step of the same attack leaves a lower accuracy. `rising_accuracy`:
    modalities whose accuracy rises somewhere with epsilon. `unbounded_accuracy`: accuracy, in percent, of the
    first batch when every input may become anything valid; above 0 is a warning. None: not asked for.
    """

    zero_gradient_clips: int = 0
    single_step_stronger: list[str] = field(default_factory=list)
    rising_accuracy: list[str] = field(default_factory=list)
    unbounded_accuracy: float | None = None

    def flags(self) -> list[str]:
        """Return the names of the checks that found something."""
        found = {
            "zero_gradients": self.zero_gradient_clips > 0,
            "single_step_stronger": bool(self.single_step_stronger),
            "rising_accuracy": bool(self.rising_accuracy),
            "unbounded_not_zero": bool(self.unbounded_accuracy),
        }
        return [name for name, is_found in found.items() if is_found]


def evaluate(
    model: LateFusion,
    batches: Iterable[Batch],
    attack: Attack,
    objective: Objective,
    units: Mapping[str, Units],
    conditions: list[Condition],
    device: torch.device,
) -> tuple[pa.Table, Sanity]:
    """Attack every clip under every condition and return the rows, clean ones included, and the checks.

    `batches`: from `avrobust.data.batches`; `units`: what an epsilon of 1 is in each modality. Each batch's
    clean features and clean gradients are computed once and shared: they are the same in every condition.

    Raises:
        RuntimeError: an input left its ball or its valid range although the attack promises to keep it, or
            a modality that is not attacked changed. No row of such a cell must ever be stored.
    """
    units = {name: unit.to(device) for name, unit in units.items()}
    tables: list[pa.Table] = []
    sanity = Sanity()
    correct: dict[Condition, list[Tensor]] = {condition: [] for condition in conditions}
    single_step: dict[Condition, list[Tensor]] = {condition: [] for condition in conditions}
    with evaluating(model), torch.no_grad():
        for batch in batches:
            inputs, labels = inputs_of(batch, device), batch["label"].to(device)
            features = {name: model.encode(name, inputs[name]) for name in model.modalities}
            gradients = input_gradients(model, inputs, labels, objective, model.modalities, features)
            sanity.zero_gradient_clips += _clips_without_gradient(gradients)
            clean = Condition("clean", 0.0)
            tables.append(_rows(model, batch, labels, inputs, inputs, features, objective, units, clean)[0])
            for condition in conditions:
                budgets = {name: units[name].budget(condition.epsilon) for name in ATTACKED[condition.modality]}
                attacked = perturb(model, inputs, labels, budgets, attack, objective, features, gradients)
                _check(attack, inputs, attacked, units, condition)
                rows, hits = _rows(model, batch, labels, inputs, attacked, features, objective, units, condition)
                tables.append(rows)
                correct[condition].append(hits)
                if attack.steps > 1:
                    step = perturb(model, inputs, labels, budgets, _single_step(attack), objective, features, gradients)
                    single_step[condition].append(_hits(model, labels, inputs, step, features))
            if attack.steps > 1 and sanity.unbounded_accuracy is None:
                anything = {name: units[name].budget(_range_in_units(units[name])) for name in model.modalities}
                broken = perturb(model, inputs, labels, anything, attack, objective, features, gradients)
                hits = _hits(model, labels, inputs, broken, features)
                sanity.unbounded_accuracy = 100 * hits.float().mean().item()
    accuracy = {key: torch.cat(hits).float().mean().item() for key, hits in correct.items()}
    if attack.steps > 1:
        sanity.single_step_stronger = [
            f"{key.modality} {key.epsilon:g}"
            for key, hits in single_step.items()
            if torch.cat(hits).float().mean().item() < accuracy[key]
        ]
    sanity.rising_accuracy = _rising(accuracy)
    table = pa.concat_tables(tables)
    return table.sort_by([("modality", "ascending"), ("epsilon", "ascending"), ("clip_id", "ascending")]), sanity


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
        if len(encoded) == 2
        else torch.full((count,), torch.nan)
    )
    columns = {
        "clip_id": batch["clip_id"],
        "label": _numpy(labels),
        "modality": [condition.modality] * count,
        "epsilon": [condition.epsilon] * count,
        "prediction": _numpy(predictions),
        "loss": _numpy(objective(encoded, logits, labels)),
        "linf_audio": _numpy(linf["audio"]),
        "linf_visual": _numpy(linf["visual"]),
        "cosine": _numpy(cosine),
    }
    arrays = [pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names]
    return pa.Table.from_arrays(arrays, schema=SCHEMA), predictions == labels


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def _check(attack: Attack, clean: Inputs, attacked: Inputs, units: Mapping[str, Units], condition: Condition) -> None:
    for name, inputs in attacked.items():
        if name not in ATTACKED[condition.modality]:
            if inputs is not clean[name]:
                raise RuntimeError(f"{condition}: {name} is not attacked, yet it changed")
            continue
        linf = units[name].linf(inputs.double() - clean[name].double()).max().item()
        if attack.keeps_ball and linf > condition.epsilon + SLACK:
            raise RuntimeError(f"{condition}: {name} moved by {linf:.9f}, out of its ball")
        low, high = inputs.min().item(), inputs.max().item()
        if attack.keeps_range and not units[name].low <= low <= high <= units[name].high:
            raise RuntimeError(f"{condition}: {name} reached [{low}, {high}], out of its valid range")
