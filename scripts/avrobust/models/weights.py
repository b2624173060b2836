"""ImageNet weights for the frame encoder."""

from pathlib import Path

import torch
from torch import nn

from avrobust.program import UserError


def load_imagenet(encoder: nn.Module, path: str | Path) -> None:
    """Load torchvision's ResNet-18 weights into a full-width ResNet-18, all but the classifier `fc`.

    Raises:
        UserError: the file is damaged, or its names or shapes are not the encoder's.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        encoder.load_state_dict({name: value for name, value in weights.items() if not name.startswith("fc.")})
    except Exception as error:  # damage and misfits come as many kinds of exception
        what = str(error).splitlines()[0]
        raise UserError(f"{path} holds no weights of this encoder ({what}); see imagenet_weights") from error
