"""What is wrong with weights or their file, in words: names, shapes and numbers that do not fit, what is no tensor."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avrobust.foreign import PICKLE, TORCH, kind, reason

# So many names of a kind stand in a message.
SHOWN = 4


def misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Return in words which weights of `given` do not fit `own`; empty if all do.

    One may be missing, too many, of another shape, of other numbers than `own` holds (floating point of any width is
    one kind), or not finite.
    """
    shapes = [
        f"{name} is {_form(given[name])} in place of {_form(own[name])}"
        for name in own
        if name in given and _form(given[name]) != _form(own[name])
    ]
    unbounded = [] if shapes else [name for name in own if name in given and not given[name].isfinite().all()]
    parts = {
        "it lacks": [name for name in own if name not in given],
        "it has, and the net has not,": [name for name in given if name not in own],
        "": shapes,
        "not finite are": unbounded,
    }
    return "; ".join(f"{words} {_some(names)}".strip() for words, names in parts.items() if names)


def _form(value: object) -> str:
    """Return in words the shape of a tensor, and what it holds if that is not floating point."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    shape = "x".join(map(str, value.shape)) or "one number"
    if value.is_meta or value.is_quantized or value.layout != torch.strided:
        return f"{shape} without plain numbers"
    return shape if value.is_floating_point() else f"{shape} of {str(value.dtype).removeprefix('torch.')}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


def why_no_tensors(path: str | Path, error: Exception) -> str:
    """Return why torch.load, or what calls it, raised `error`, without torch's advice to load the file unsafely."""
    if isinstance(error, pickle.UnpicklingError) and kind(path) in (TORCH, PICKLE):
        return (
            "it holds more than tensors and plain values, or is damaged; what is more is not loaded, as it may run code"
        )
    return reason(path, error, TORCH)
