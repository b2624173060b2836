"""What crafting takes, counted in clips and steps that the encoders see: exact, and the same on any machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor

from avrobust.models.late_fusion import LateFusion

# What the history of a training calls both. `spec.measures` says them again: if this were read from there, every new
# measure of tables would train nets anew.
COUNTED = ("gradients_a_clip", "encoder_steps_a_clip")


class Spent:
    """Gradients of clips and steps of the encoders.

    A gradient is one of a clip's inputs, of all attacked modalities together. An encoder's step is one step in time of
    one modality that passes its encoder, with a gradient or without; a feature without steps is one.
    """

    def __init__(self) -> None:
        self.clips, self.gradients, self.encoder_steps = 0, 0, 0

    @contextmanager
    def crafting(self, model: LateFusion, clips: int) -> Iterator[None]:
        """Count what the encoders of `model` do until the end, for so many clips."""
        passed: dict[str, int] = dict.fromkeys(model.modalities, 0)
        # A net on pictures asks itself for those of all steps: what counts is what it was asked first.
        asked: dict[str, int] = dict.fromkeys(model.modalities, 0)

        def begin(name: str) -> None:
            asked[name] += 1

        def end(name: str, feature: Tensor) -> None:
            asked[name] -= 1
            if not asked[name]:
                self.encoder_steps += len(feature) * (feature.shape[1] if feature.dim() == 3 else 1)
                passed[name] += len(feature) if feature.requires_grad else 0

        hooks = []
        for name in model.modalities:
            encoder = model.encoders[name]
            hooks += [
                encoder.register_forward_pre_hook(lambda module, given, name=name: begin(name)),
                encoder.register_forward_hook(lambda module, given, feature, name=name: end(name, feature)),
            ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        self.clips += clips
        self.gradients += max(passed.values())

    def taken(self) -> dict[str, float]:
        """Return both for a clip, and begin anew."""
        clips, counted = self.clips, (self.gradients, self.encoder_steps)
        self.clips, self.gradients, self.encoder_steps = 0, 0, 0
        return {name: total / clips for name, total in zip(COUNTED, counted, strict=True)}


def mean_spent(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return what crafting took of a clip each time that it was shown; nothing if the history does not say it."""
    return {name: sum(row[name] for row in history) / len(history) for name in COUNTED if name in history[0]}
