"""How much of an attack's first gradient is each term's of its objective: one that counts for nothing is not there."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avrobust.attacks.loss import Loss
from avrobust.attacks.threat import Threat

# So many clips of a cell tell it: each costs a pass more for each term.
TERM_CLIPS = 8

# Modality -> term -> its share for each clip.
Shares = dict[str, dict[str, list[float]]]


def term_shares(threat: Threat, loss: Loss, clip_ids: Sequence[str], most: int = TERM_CLIPS) -> Shares:
    """Return the share of each term in the gradient of the first step, for each of the first `most` clips.

    By the sum of absolute values, of the gradients that the terms have by themselves; 0 for a clip without any.
    Nothing of an objective without terms, or an attack without a step.
    """
    count = min(len(clip_ids), most)
    if count < 1 or not threat.attack.steps:
        return {}
    few = loss.first({name: x[:count] for name, x in loss.inputs.items()})
    points, context = threat.attack.points, threat.context(clip_ids[:count])
    found = {
        name: of_term.gradients(few.inputs, few.modalities, points and points(0), context)
        for name, of_term in few.by_term().items()
    }
    if not found:
        return {}
    sizes = {name: {modality: _size(x) for modality, x in of.items()} for name, of in found.items()}
    shares: Shares = {}
    for modality in few.modalities:
        total = torch.stack([of[modality] for of in sizes.values()]).sum(dim=0)
        least = torch.finfo(total.dtype).tiny
        shares[modality] = {name: (of[modality] / total.clamp_min(least)).tolist() for name, of in sizes.items()}
    return shares


def joined(parts: Sequence[Shares]) -> Shares:
    """Return the shares of the clips of all parts, in their order."""
    whole: Shares = {}
    for part in parts:
        for modality, of in part.items():
            for name, shares in of.items():
                whole.setdefault(modality, {}).setdefault(name, []).extend(shares)
    return whole


def mean_shares(shares: Shares) -> dict[str, dict[str, float]]:
    """Return modality -> term -> the mean share over the clips."""
    return {
        modality: {name: sum(of_clips) / len(of_clips) for name, of_clips in of.items()}
        for modality, of in shares.items()
    }


def _size(gradient: Tensor) -> Tensor:
    return gradient.abs().flatten(1).sum(dim=1)
