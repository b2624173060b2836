"""FGSM as the released code of Tian & Xu does it: the waveform is not clamped to [-1, 1], the frame is."""

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import Attack


def clamp_frames_only(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return frames clamped to their valid range, waveforms as they are; one step cannot leave the ball."""
    return budget.clamp(iterate) if modality == "visual" else iterate


def fgsm_official() -> Attack:
    """Return the released FGSM."""
    return Attack(steps=1, project=clamp_frames_only, keeps_range=False)
