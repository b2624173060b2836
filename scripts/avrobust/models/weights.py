"""ImageNet weights for the frame encoder."""

from pathlib import Path

import torch
from torch import nn


def load_imagenet(encoder: nn.Module, path: str | Path) -> None:
    """Load torchvision's ResNet-18 weights into a full-width ResNet-18, all but the classifier `fc`.

    Raises:
        RuntimeError: the file's names or shapes are not the encoder's.
    """
    weights = torch.load(path, map_location="cpu", weights_only=True)
    encoder.load_state_dict({name: value for name, value in weights.items() if not name.startswith("fc.")})
