"""Batch normalisation made part of the convolution before it: the same function, with less to do forward and backward.

In evaluation mode a batch normalisation is an affine map per channel, and so is the end of a convolution. Large kernels
are taken out of the channels-last format on a CPU, where they would be reordered at every call.
"""

import logging
from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avrobust.models.late_fusion import LateFusion

log = logging.getLogger(__name__)

FOLDS = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))
# Float32 rounding, as a share of the largest feature. A fold in the wrong place is off by a good part of it.
TOLERANCE = 1e-3
# Weights of a large kernel, such as most of ResNet-18's last two stages have.
LARGE = 256 * 256 * 3 * 3


def folded(model: LateFusion, clip: Mapping[str, Tensor]) -> LateFusion:
    """Return a copy of `model` in evaluation mode with the batch normalisations of its encoders folded away.

    `clip`: modality -> (1, ...) in natural units. A module that registers a convolution and a batch normalisation one
    after the other is taken to apply them so. Whether that holds is seen on `clip`: an encoder whose features change
    by more than rounding stays as it is, and a warning says so.
    """
    model = deepcopy(model).eval().requires_grad_(False)
    for name in model.modalities:
        encoder = model.encoders[name]
        quick = _folded(encoder)
        with torch.inference_mode():
            wanted, got = encoder(clip[name]), quick(clip[name])
        if torch.allclose(got, wanted, rtol=0, atol=TOLERANCE * wanted.abs().max().item()):
            model.encoders[name] = quick
        else:
            log.warning("the %s encoder normalises elsewhere than after its convolutions; attacked as it is", name)
    return model


def _folded(encoder: nn.Module) -> nn.Module:
    encoder = deepcopy(encoder)
    for parent in encoder.modules():
        for (first, module), (second, following) in pairwise(list(parent.named_children())):
            if (type(module), type(following)) in FOLDS and module.out_channels == following.num_features:
                setattr(parent, first, fuse_conv_bn_eval(module, following))
                setattr(parent, second, nn.Identity())
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() >= LARGE and module.weight.device.type == "cpu":
            module.to(memory_format=torch.contiguous_format).register_forward_pre_hook(_in_default_format)
    return encoder


def _in_default_format(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].contiguous(),)
