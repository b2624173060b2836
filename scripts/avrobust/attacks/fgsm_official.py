"""FGSM as the released code of Tian & Xu does it: the waveform is not clamped to [-1, 1], the frame is."""

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.directions import sign
from avrobust.attacks.loop import Attack


def clamp_frames_only(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return frames clamped to their valid range, waveforms as they are; one step cannot leave the ball."""
    return iterate.clamp(budget.low, budget.high) if modality == "visual" else iterate


FGSM_OFFICIAL = Attack(steps=1, step_size=1.0, direction=sign, project=clamp_frames_only, keeps_range=False)
