"""Draws that depend on a key alone: never on the order of clips, the batch or what was drawn before."""

import hashlib
import json

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """Return numpy's generator of a key, such as (purpose, seed, epoch, clip)."""
    return np.random.default_rng(int.from_bytes(_digest(key)))


def seed_of(*key: str | int) -> int:
    """Return a seed below 2 ** 64 of a key, such as (seed, variant)."""
    return int.from_bytes(_digest(key)[:8])


def _digest(key: tuple) -> bytes:
    return hashlib.sha256(json.dumps(key).encode()).digest()
