"""Batch statistics of a part of the batch, as in the released training on several GPUs."""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from avrobust.models.late_fusion import LateFusion


def encode_in_replicas(model: LateFusion, modality: str, x: Tensor, size: int) -> Tensor:
    """Encode (N, ...) in parts of `size` clips, each normalised by its own statistics: (N, D).

    As torch's DataParallel does it: only the first part moves the running statistics that evaluation uses.
    """
    first, *others = x.split(size)
    encoded = [model.encode(modality, first)]
    if not others:
        return encoded[0]
    layers = [layer for layer in model.encoders[modality].modules() if isinstance(layer, BatchNorm)]
    for layer in layers:
        layer.track_running_stats = False
    encoded += [model.encode(modality, other) for other in others]
    for layer in layers:
        layer.track_running_stats = True
    return torch.cat(encoded)
