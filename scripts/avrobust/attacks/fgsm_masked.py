"""FGSM on gradients averaged over copies that are masked in time: Zhang et al. (ICLR 2025), Figure 2."""

from collections.abc import Sequence

from avrobust.attacks.loop import Attack
from avrobust.attacks.transforms import BOTH, Copies


def fgsm_masked(
    share: float = 0.2, masks: int = 5, modalities: Sequence[str] = BOTH, synchronous: bool = True
) -> Attack:
    """Return FGSM of the mean gradient over `masks` copies, each with `share` of the time of `modalities` masked.

    `synchronous`: sound and frames in the same parts of the clip.
    """
    told = {"name": "masking", "modalities": modalities, "options": {"share": share, "synchronous": synchronous}}
    return Attack(steps=1, points=Copies([told], masks), random=True)
