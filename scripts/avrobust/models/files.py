"""Trained models as files: tensors and plain values only, loaded without running any code of theirs."""

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avrobust.files import replacing
from avrobust.models.build import ModelSpec, build
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.build import ObjectiveSpec, build_objective
from avrobust.program import UserError


class Trained(NamedTuple):
    """A net in evaluation mode, what its training minimised, its class names.

    `training_features`: modality -> (n, D), what the last epoch of training saw; empty if none were kept.
    """

    model: LateFusion
    objective: nn.Module
    classes: list[str]
    training_features: Mapping[str, Tensor]


def save_model(
    path: Path,
    spec: ModelSpec,
    objective: ObjectiveSpec,
    classes: list[str],
    best: Mapping,
    latest: Mapping,
    training_features: Mapping[str, Tensor],
) -> None:
    """Write the states of the best validation epoch and of the last one, with what they are states of.

    Each state has the state dictionaries `model` and `objective`.
    """
    content = {
        "spec": asdict(spec),
        "objective": asdict(objective),
        "classes": list(classes),
        "best": best,
        "latest": latest,
        "training_features": dict(training_features),
    }
    # Saved to memory first: torch.save puts a file's name into the file, and the bytes would differ by it.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_model(path: Path, state: str, device: torch.device) -> Trained:
    """Return a trained net on `device`; `state` is `best` or `latest`.

    Raises:
        UserError: the file is damaged or no model of ours.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        classes = content["classes"]
        model = build(ModelSpec(**content["spec"]), len(classes))
        objective = build_objective(ObjectiveSpec(**content["objective"]), model.dimensions, len(classes))
        model.load_state_dict(content[state]["model"])
        objective.load_state_dict(content[state]["objective"])
    except FileNotFoundError:
        raise
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(
            f"{path} is no whole model file ({type(error).__name__}: {error}); delete it and train again"
        ) from error
    return Trained(model.to(device).eval(), objective.to(device).eval(), classes, content["training_features"])
