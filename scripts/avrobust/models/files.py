"""Trained models as files: tensors and plain values only, loaded without running any code of theirs."""

import io
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avrobust.files import remaking, replacing
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
    write_tensors(path, content)


def load_model(path: Path, state: str, device: torch.device) -> Trained:
    """Return a trained net on `device`; `state` is `best` or `latest`.

    Raises:
        UserError: the file is damaged or no model of ours.
    """
    try:
        content = read_tensors(path, device)
        classes = content["classes"]
        model = build(ModelSpec(**content["spec"]), len(classes))
        objective = build_objective(ObjectiveSpec(**content["objective"]), model.dimensions, len(classes))
        model.load_state_dict(content[state]["model"])
        objective.load_state_dict(content[state]["objective"])
    except FileNotFoundError:
        raise
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(
            f"{path} is no whole model file ({type(error).__name__}: {first_line(error)}); {remaking(path)}"
        ) from error
    return Trained(model.to(device).eval(), objective.to(device).eval(), classes, content["training_features"])


def write_tensors(path: Path, content: Mapping) -> None:
    """Write tensors and plain values by torch.save, whole or not at all; equal contents give equal bytes.

    Raises:
        OSError: the disk is full.
    """
    # To memory first: torch.save puts a file's name into the file, by which the bytes would differ, and does not say
    # that a disk is full.
    buffer = io.BytesIO()
    torch.save(_one_of_each_text(content), buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _one_of_each_text(value: object) -> object:
    """Return the same, in which equal texts are one object: a file says whether they were, and resumed ones are not."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, Mapping):
        return {sys.intern(name): _one_of_each_text(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_one_of_each_text(part) for part in value]
    return value


def read_tensors(path: Path, device: torch.device) -> dict:
    """Return on `device` what `write_tensors` wrote; no code of the file's is run.

    Raises:
        Exception: of many kinds, if the file is missing, cut short or changed in any bit that matters.
    """
    with zipfile.ZipFile(path) as archive:
        # torch.load does not look at the checksums that torch.save writes.
        if changed := archive.testzip():
            raise zipfile.BadZipFile(f"{changed} has another checksum than when it was written")
    return torch.load(path, map_location=device, weights_only=True)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text: torch writes pages."""
    return str(error).partition("\n")[0]
