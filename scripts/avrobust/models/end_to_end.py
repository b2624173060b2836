"""Nets on features behind what makes these, so that clips can be attacked from their samples and pixels on."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from avrobust.models.extractor import build_extractor
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError


class Behind(nn.Sequential):
    """An extractor's encoder, then a net's own: (N, ...) input of the first -> feature of the second.

    What the second standardises is no input any more: an epsilon counts in the units of the clip.
    """

    def __init__(self, extractor: nn.Module, encoder: nn.Module):
        super().__init__(extractor, encoder)
        self.out_features = encoder.out_features


class EndToEnd:
    """Puts nets behind an extractor: `told` is {"name": ..., "encoders": modality -> {name, options}}.

    `weights` as in `avrobust.models.extractor.build_extractor`. Clean clips are answered as by their stored features
    but for what float16 rounds there.

    Raises:
        UserError: as `build_extractor`.
    """

    def __init__(self, told: Mapping, weights: Mapping[str, Path], device: torch.device):
        self.name = told["name"]
        encoders, _ = build_extractor(self.name, told["encoders"], weights)
        self.encoders = encoders.to(device)

    def __call__(self, model: LateFusion) -> LateFusion:
        """Return a net of the very same parts whose encoders get what the extractor's make of a clip.

        Raises:
            UserError: it takes a modality that the extractor has no encoder for.
        """
        if missing := [name for name in model.modalities if name not in self.encoders]:
            raise UserError(f"extractor {self.name} makes no features of {missing[0]}, which the net takes")
        encoders = {name: Behind(self.encoders[name], encoder) for name, encoder in model.encoders.items()}
        made = LateFusion(encoders, model.fusion, model.classifier, model.defences)
        made.precision, made.task = model.precision, model.task
        return made.train(model.training)
