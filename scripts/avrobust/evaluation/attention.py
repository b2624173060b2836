"""One net with attention under one attack: where it looks in every clip, and whether what sounds is there."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from avrobust.attacks.loss import Inputs
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch, EvaluationViews
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.look import add_scores, looked_into
from avrobust.metrics import localisation
from avrobust.metrics.examples import MEASURES, Chosen, Example
from avrobust.metrics.localisation import Box
from avrobust.models.files import Trained
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
            encoded = store.encoded(index, view.middle_frame(store, index) - 1)
            with Image.open(io.BytesIO(encoded)) as picture:
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
    model, columns, everyone = trained.model, {}, _as_tensor(boxes.values())

    def look(inputs: Inputs, features: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        return model.fusion.attention(features).cpu(), model.head(features).argmax(dim=1).cpu(), inputs["visual"]

    for batch, seen in looked_into(model, threat, batches, budgets, conditions, device, look):
        known = _as_tensor([boxes[clip_id] for clip_id in batch["clip_id"]])
        clean, *_ = seen[CLEAN]
        measures = {
            condition: _measures(clean, maps, predicted == batch["label"], known, everyone, condition)
            for condition, (maps, predicted, _) in seen.items()
        }
        for condition, of_condition in measures.items():
            for measure, values in of_condition.items():
                there = (~values.isnan()).nonzero().flatten().tolist()
                clip_ids, labels = [batch["clip_id"][place] for place in there], batch["label"][there].tolist()
                add_scores(columns, clip_ids, labels, condition, measure, values[there].tolist())
        _offer(chosen, trained.classes, batch, seen, known, measures)
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


def _offer(
    chosen: Chosen,
    classes: Sequence[str],
    batch: Batch,
    seen: Mapping[Condition, tuple[Tensor, Tensor, Tensor]],
    boxes: Tensor,
    measures: Mapping[Condition, Mapping[str, Tensor]],
) -> None:
    maps, predictions, frames = zip(*seen.values(), strict=True)
    for place, (clip_id, label) in enumerate(zip(batch["clip_id"], batch["label"].tolist(), strict=True)):
        answers = [predicted[place].item() for predicted in predictions]
        recognised = answers[0] == label
        fooled = all(
            answer != label for answer, condition in zip(answers, seen, strict=True) if condition.modality == "both"
        )
        if not chosen.wants(clip_id, classes[label], recognised, fooled):
            continue
        shown = torch.stack([frame[place] for frame in frames]).permute(0, 2, 3, 1)
        example = Example(
            clip_id=clip_id,
            label=classes[label],
            predictions=tuple(classes[answer] for answer in answers),
            maps=torch.stack([map_[place] for map_ in maps]).float().numpy(),
            frames=(255 * shown).round().clamp(0, 255).byte().cpu().numpy(),
            box=boxes[place].numpy(),
            measures={
                name: np.array([one[name][place].item() if name in one else np.nan for one in measures.values()])
                for name in MEASURES
            },
        )
        chosen.keep(example, recognised, fooled)
