"""Draws that depend on a key alone: never on the order of clips, the batch or what was drawn before."""

import hashlib
import json

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """Return numpy's generator of a key, such as (purpose, seed, epoch, clip)."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(json.dumps(key).encode()).digest()))
