"""Trained models as files: tensors and plain values only, loaded without running any code of theirs."""

import io
from dataclasses import asdict
from pathlib import Path

import torch

from avrobust.files import replacing
from avrobust.models.build import ModelSpec, build
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError


def save_model(path: Path, spec: ModelSpec, classes: list[str], best: dict, latest: dict) -> None:
    """Write the state dictionaries of the best validation epoch and of the last one, with their net."""
    content = {"spec": asdict(spec), "classes": classes, "best": best, "latest": latest}
    # Saved to memory first: torch.save puts a file's name into the file, and the bytes would differ by it.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_model(path: Path, state: str, device: torch.device) -> tuple[LateFusion, list[str]]:
    """Return the net in evaluation mode and its class names; `state` is `best` or `latest`.

    Raises:
        UserError: the file is damaged or no model of ours.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        spec, classes = ModelSpec(**content["spec"]), content["classes"]
        model = build(spec, len(classes))
        model.load_state_dict(content[state])
    except FileNotFoundError:
        raise
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(
            f"{path} is no whole model file ({type(error).__name__}: {error}); delete it and train again"
        ) from error
    return model.to(device).eval(), classes
