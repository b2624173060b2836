"""One net with attention under one attack: where it looks in every clip, and whether what sounds is there."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, EvaluationViews, inputs_of
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.craft import craft
from avrobust.evaluation.memory import within_memory
from avrobust.evaluation.start import Start, encode_changed
from avrobust.metrics import localisation
from avrobust.metrics.examples import MEASURES, Chosen, Example
from avrobust.metrics.localisation import Box
from avrobust.models.files import Trained
from avrobust.models.modes import evaluating
from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Condition


def view_boxes(views: EvaluationViews) -> dict[str, Box | None]:
    """Return where what sounds is in the frame that each clip is judged by: clip id -> box, None where none is known.

    See `avrobust.metrics.localisation.box_in_view`.

    Raises:
        UserError: the view shows no single frame.
    """
    from PIL import Image

    store, view = views.store, views.view
    if not hasattr(view, "middle_frame"):
        raise UserError("--view: a box is known in one frame, and this view shows none or many; give moment")
    boxes: dict[str, Box | None] = {}
    for index in views.indices:
        box = store.box(index)
        if box is not None:
            jpeg = store.jpeg(index, view.middle_frame(store, index) - 1)
            with Image.open(io.BytesIO(jpeg)) as picture:
                box = localisation.box_in_view(box, *picture.size, view.frame_size)
        boxes[store.clip_ids[index]] = box
    return boxes


def localise(
    trained: Trained,
    threat: Threat,
    batches: Iterable[Batch],
    boxes: Mapping[str, Box | None],
    budgets: Budgets,
    conditions: Sequence[Condition],
    device: torch.device,
    chosen: Chosen,
) -> dict[str, list]:
    """Attack every clip under every condition; return the columns of `avrobust.metrics.scores.SCHEMA`.

    `boxes`: from `view_boxes`; `chosen` is offered every clip.
    Measures of every clip and condition, clean included: `recognised` and, where a box is known, `pointing`, `mass`
    and, where that of another clip is known too, their floors `pointing_other_boxes`, `mass_other_boxes` and how far
    they are above them, `pointing_above_floor`, `mass_above_floor`. Of attacked clips only: `peak_shift`,
    `correlation`. Of clean clips with a box only, as they belong to the clip and not to the net's weights:
    `position_share`, `centre_pointing`. All are in [0, 1] but `correlation` and what is above a floor, in [-1, 1].

    Raises:
        RuntimeError: an input left its ball or its valid range, or changed without being attacked.
    """
    model, fusion = trained.model, trained.model.fusion
    conditions = list(dict.fromkeys([CLEAN, *conditions]))
    columns: dict[str, list] = {name: [] for name in ("clip_id", "label", "modality", "budget", "measure", "value")}
    everyone = _as_tensor(boxes.values())

    def looked_at(batch: Batch) -> tuple[Batch, tuple[Tensor], tuple[Tensor], tuple[Tensor]]:
        inputs, labels = inputs_of(batch, device), batch["label"].to(device)
        features = {name: model.encode(name, inputs[name]) for name in model.modalities}
        start = Start(threat, inputs, labels, features if threat.model is model else None, batch["clip_id"])
        seen: dict[Condition, tuple[Tensor, Tensor, Tensor]] = {}
        for crafted in craft(start, threat.attack, conditions, budgets):
            encoded = encode_changed(model, inputs, crafted.inputs, features)
            predictions = model.head(encoded).argmax(dim=1).cpu()
            made = fusion.attention(encoded).cpu(), predictions, crafted.inputs["visual"]
            seen |= dict.fromkeys(crafted.conditions, made)
        maps, predictions, frames = zip(*(seen[condition] for condition in conditions), strict=True)
        return batch, maps, predictions, frames

    with evaluating(model), evaluating(threat.model), torch.no_grad():
        for batch, maps, predictions, frames in within_memory(looked_at, batches, threat.clips_together(model)):
            known = _as_tensor([boxes[clip_id] for clip_id in batch["clip_id"]])
            measures = [
                _measures(maps[0], map_, predicted == batch["label"], known, everyone, condition)
                for map_, predicted, condition in zip(maps, predictions, conditions, strict=True)
            ]
            _append(columns, batch, conditions, measures)
            _offer(chosen, trained.classes, batch, conditions, maps, predictions, frames, known, measures)
    return columns


def _as_tensor(boxes: Iterable[Box | None]) -> Tensor:
    return torch.tensor([box or (torch.nan,) * 4 for box in boxes], dtype=torch.float64)


def _measures(
    clean: Tensor, maps: Tensor, recognised: Tensor, boxes: Tensor, everyone: Tensor, condition: Condition
) -> dict[str, Tensor]:
    """Return name -> (N,); NaN where a clip has no box."""
    measures = {
        "recognised": recognised.double(),
        "pointing": localisation.pointing(maps, boxes),
        "pointing_other_boxes": localisation.on_other_boxes(localisation.peaked(maps), boxes, everyone),
        "mass": localisation.mass(maps, boxes),
        "mass_other_boxes": localisation.on_other_boxes(maps, boxes, everyone),
    }
    for name in ("pointing", "mass"):
        measures[f"{name}_above_floor"] = measures[name] - measures[f"{name}_other_boxes"]
    if condition == CLEAN:
        measures["position_share"] = localisation.position_share(boxes, *maps.shape[1:])
        measures["centre_pointing"] = localisation.centre_pointing(boxes)
    else:
        measures["peak_shift"] = localisation.peak_shift(maps, clean)
        measures["correlation"] = localisation.correlation(maps, clean)
    return measures


def _append(
    columns: dict[str, list], batch: Batch, conditions: Sequence[Condition], measures: Sequence[Mapping[str, Tensor]]
) -> None:
    for condition, of_condition in zip(conditions, measures, strict=True):
        for measure, values in of_condition.items():
            known = (~values.isnan()).nonzero().flatten().tolist()
            columns["clip_id"] += [batch["clip_id"][place] for place in known]
            columns["label"] += batch["label"][known].tolist()
            columns["modality"] += [condition.modality] * len(known)
            columns["budget"] += [condition.budget] * len(known)
            columns["measure"] += [measure] * len(known)
            columns["value"] += values[known].tolist()


def _offer(
    chosen: Chosen,
    classes: Sequence[str],
    batch: Batch,
    conditions: Sequence[Condition],
    maps: Sequence[Tensor],
    predictions: Sequence[Tensor],
    frames: Sequence[Tensor],
    boxes: Tensor,
    measures: Sequence[Mapping[str, Tensor]],
) -> None:
    for place, (clip_id, label) in enumerate(zip(batch["clip_id"], batch["label"].tolist(), strict=True)):
        answers = [predicted[place].item() for predicted in predictions]
        recognised = answers[0] == label
        fooled = all(
            answer != label
            for answer, condition in zip(answers, conditions, strict=True)
            if condition.modality == "both"
        )
        if not chosen.wants(clip_id, classes[label], recognised, fooled):
            continue
        seen = torch.stack([frame[place] for frame in frames]).permute(0, 2, 3, 1)
        example = Example(
            clip_id=clip_id,
            label=classes[label],
            predictions=tuple(classes[answer] for answer in answers),
            maps=torch.stack([map_[place] for map_ in maps]).float().numpy(),
            frames=(255 * seen).round().clamp(0, 255).byte().cpu().numpy(),
            box=boxes[place].numpy(),
            measures={
                name: np.array([one[name][place].item() if name in one else np.nan for one in measures])
                for name in MEASURES
            },
        )
        chosen.keep(example, recognised, fooled)
