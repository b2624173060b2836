"""What a fixed net makes of every clip, once, for nets that learn from it: features as of Li et al. (ICASSP 2022)."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import nn

from avrobust.data.batches import Batch, inputs_of
from avrobust.data.feature_store import FEATURES, ClipFeatures
from avrobust.data.moments import merged, moments_of
from avrobust.data.shards import Shards
from avrobust.evaluation.memory import within_memory
from avrobust.program import UserError
from avrobust.views.view import Input


def feature_shapes(extractor: nn.ModuleDict, forms: Mapping[str, Input], device: torch.device) -> dict[str, tuple]:
    """Return modality -> shape of a clip's features, by a clip of zeros of these forms.

    Raises:
        UserError: an encoder cannot take such a clip.
    """
    shapes = {}
    for name, encoder in extractor.items():
        try:
            with torch.inference_mode():
                made = encoder(torch.zeros(1, *forms[name].shape, device=device))
        except (ValueError, RuntimeError) as error:
            raise UserError(f"the {name} encoder takes no input of shape {forms[name].shape}: {error}") from error
        shapes[name] = tuple(made.shape[1:])
    return shapes


def extracted(
    extractor: nn.ModuleDict, batches: Iterable[Batch], store: Shards, device: torch.device
) -> Iterator[ClipFeatures]:
    """Yield the features of each clip, float16, in order; the `label` of a batch says which clips of `store` it holds.

    A batch that does not fit into memory is halved. No more than one is in memory at a time.
    """

    def made(batch: Batch) -> tuple[list[int], dict[str, np.ndarray]]:
        inputs = inputs_of(batch, device)
        with torch.inference_mode():
            features = {name: encoder(inputs[name]) for name, encoder in extractor.items()}
        return batch["label"].tolist(), {name: of.cpu().numpy().astype(FEATURES) for name, of in features.items()}

    for numbers, features in within_memory(made, batches):
        for place, number in enumerate(numbers):
            of_clip = {name: of[place] for name, of in features.items()}
            yield ClipFeatures(store.clip_ids[number], store.splits[number], store.labels[number], of_clip)


class RunningMoments:
    """The moments of the features of the training clips that went by, as they are stored."""

    def __init__(self, shapes: Mapping[str, tuple]):
        self.parts = {name: moments_of(np.empty((0, shape[-1]))) for name, shape in shapes.items()}

    def add(self, clip: ClipFeatures) -> None:
        """Count a clip if it is one to learn from."""
        if clip.split == "train":
            self.parts = {name: merged([of, moments_of(clip.features[name])]) for name, of in self.parts.items()}
