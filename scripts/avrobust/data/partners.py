"""Which other clip each clip is mixed with."""

import hashlib
from collections.abc import Collection, Sequence

import numpy as np

from avrobust.program import UserError


def partners(clip_ids: Sequence[str], labels: Sequence[Collection[int]]) -> np.ndarray:
    """Return the place of each clip's partner (n,): the next clip of no common label in a permutation of all of them.

    The permutation is drawn by the sorted ids, so that a clip's partner depends on which clips there are and on nothing
    else, such as their order or how they are cut into batches.

    Raises:
        UserError: a clip has a label in common with every clip.
    """
    ordered = sorted(range(len(clip_ids)), key=clip_ids.__getitem__)
    key = hashlib.sha256("\n".join(clip_ids[place] for place in ordered).encode()).digest()
    shuffled = [ordered[place] for place in np.random.default_rng(list(key)).permutation(len(ordered))]
    found = np.empty(len(clip_ids), np.int64)
    for number, place in enumerate(shuffled):
        own = set(labels[place])
        others = (shuffled[(number + step) % len(shuffled)] for step in range(1, len(shuffled)))
        other = next((one for one in others if own.isdisjoint(labels[one])), None)
        if other is None:
            raise UserError(
                f"no clip of another class to mix {clip_ids[place]} with, among {len(clip_ids)}; see availability.csv"
            )
        found[place] = other
    return found
