"""ImageNet weights for the frame encoder."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from avrobust.foreign import SCRIPT, kind
from avrobust.models.files import misfits, why_no_tensors
from avrobust.program import UserError

CURE = "name torchvision's resnet18-f37072fd.pth as imagenet_weights in config.yaml, or leave that empty"


def load_imagenet(encoder: nn.Module, path: str | Path) -> None:
    """Load torchvision's ResNet-18 weights into a full-width ResNet-18, all but the classifier `fc`.

    Raises:
        UserError: the file is damaged, or its names or shapes are not the encoder's.
    """
    try:
        if kind(path) == SCRIPT:
            raise ValueError(SCRIPT)  # before torch advises to load it otherwise
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; see imagenet_weights in config.yaml") from None
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(f"{path} holds no weights: {why_no_tensors(path, error)}; {CURE}") from None
    if not isinstance(weights, Mapping):
        raise UserError(f"{path} holds no weights by name but a {type(weights).__name__}; {CURE}")
    given = {name: value for name, value in weights.items() if not str(name).startswith("fc.")}
    # Weights from before torch counted batches, such as torchvision's, have no counters; they shape nothing here.
    counters = {name: value for name, value in encoder.state_dict().items() if name.endswith(".num_batches_tracked")}
    given = {**counters, **given}
    if differing := misfits(encoder.state_dict(), given):
        raise UserError(f"{path} holds other weights than the encoder's: {differing}; {CURE}")
    encoder.load_state_dict(given)
