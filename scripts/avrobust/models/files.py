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
from avrobust.foreign import SCRIPT, TORCH, first_line, kind
from avrobust.lazy import built
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.late_fusion import LateFusion
from avrobust.models.misfits import misfits, why_no_tensors
from avrobust.objectives.registry import OBJECTIVES
from avrobust.program import UserError

# What a user does about a file that no command of the workflow has made so.
OTHER = "give the model.pt of a variant that was trained by this version, or train it again"


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
    objective: Part,
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
        UserError: the file is missing, damaged or no model of ours; a weight is missing, unknown or of another shape.
    """
    content = _read_model(path, state, device)
    classes = content["classes"]
    try:
        model = build(ModelSpec(**content["spec"]), len(classes))
        objective = built(OBJECTIVES, content["objective"], model.dimensions, len(classes))
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {first_line(error)}; the file is of another version: {OTHER}") from None
    for name, module in (("model", model), ("objective", objective)):
        if differing := misfits(module.state_dict(), content[state][name]):
            raise UserError(f"{path}: the {state} {name} is not what its file describes: {differing}; {OTHER}")
        module.load_state_dict(content[state][name])
    return Trained(model.to(device).eval(), objective.to(device).eval(), classes, content["training_features"])


def _read_model(path: Path, state: str, device: torch.device) -> dict:
    try:
        content = read_tensors(path, device)
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; {OTHER}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; train the variant (the workflow does), or give its model.pt") from None
    except Exception as error:  # torch reports damage by many kinds of exception
        found = why_no_tensors(path, error)
        # Only what torch.save once wrote was made by a command, and can be made again by it.
        made = kind(path) == TORCH or "cut short" in found
        raise UserError(f"{path} is no whole model file ({found}); {remaking(path) if made else OTHER}") from error
    wanted = ("spec", "objective", "classes", "training_features", state)
    missing = [name for name in wanted if name not in content] if isinstance(content, dict) else wanted
    if missing:
        held = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path} is no model of this workflow: it lacks {', '.join(missing)}, and has {held}; {OTHER}")
    for name in ("model", "objective"):
        if not isinstance(content[state], dict) or not isinstance(content[state].get(name), Mapping):
            raise UserError(f"{path} is no model of this workflow: it has no {state} {name}; {OTHER}")
    return content


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
    if kind(path) == SCRIPT:
        raise ValueError(SCRIPT)  # before torch advises to load it otherwise
    with zipfile.ZipFile(path) as archive:
        # torch.load does not look at the checksums that torch.save writes.
        if changed := archive.testzip():
            raise zipfile.BadZipFile(f"{changed} has another checksum than when it was written")
    return torch.load(path, map_location=device, weights_only=True)
