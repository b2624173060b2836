"""Published weights for an encoder to start from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from avrobust.foreign import SCRIPT, kind
from avrobust.models.misfits import misfits, why_no_tensors
from avrobust.program import UserError

CURE = "name another file under weights in config.yaml, or leave that empty"

# The layers of torchvision's nets that tell classes apart.
CLASSIFIERS = ("fc.", "classifier.")


def load_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load torchvision's weights into an encoder of the same layers, all but their classifier and our projection.

    Raises:
        UserError: the file is damaged, or its names or shapes are not the encoder's.
    """
    try:
        if kind(path) == SCRIPT:
            raise ValueError(SCRIPT)  # before torch advises to load it otherwise
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; see weights in config.yaml") from None
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(f"{path} holds no weights: {why_no_tensors(path, error)}; {CURE}") from None
    if not isinstance(weights, Mapping):
        raise UserError(f"{path} holds no weights by name but a {type(weights).__name__}; {CURE}")
    # A net that is torchvision's own lies in the encoder under this name.
    net = getattr(encoder, "net", encoder)
    own = {name: value for name, value in net.state_dict().items() if not name.startswith("projection.")}
    given = {name: value for name, value in weights.items() if not str(name).startswith(CLASSIFIERS)}
    # Weights from before torch counted batches, such as torchvision's, have no counters; they shape nothing here.
    given = {**{name: value for name, value in own.items() if name.endswith(".num_batches_tracked")}, **given}
    if differing := misfits(own, given):
        raise UserError(f"{path} holds other weights than the encoder's: {differing}; {CURE}")
    net.load_state_dict(given, strict=False)
