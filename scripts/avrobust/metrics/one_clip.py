"""What crafting made of one clip, kept in an npz file to be drawn: its segments, copies and perturbations."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from avrobust.files import remaking, replacing
from avrobust.foreign import ZIP, reason
from avrobust.program import UserError


@dataclass(frozen=True)
class OneClip:
    """A clip of T steps in M segments, K of which are sampled; each step has S samples of sound, L are all.

    `dataset`, `variant`, `start`: whose training crafts, on which net; `attack`: its update. `sampled_percent`,
    `dropped_percent`, `attack_steps`: the stage. `predictions`: before and after, of the whole net on the whole clip;
    `cross_entropy` likewise, (2,).

    `segments`: the segment of each step, (T,), from 0 on; `sampled`: the sampled steps, (K,). `frames`: uint8
    (T, H, W, 3); `sound`: (L,) in [-1, 1]; `moved_frames` in [0, 1] and `moved_sound`: after the attack, of the same
    shapes. `frame_steps`: (M, H, W, 3), `sound_steps`: (M, S), the perturbations that the segments share. `copies`:
    what each of C is made by; `copied_frames`: uint8 (C, K, H, W, 3), rounded, and `copied_sounds`: (C, K, S), what the
    net gets in the first step of the attack. `dropped`: which fused features are 0, (D,). `epsilons`: of sound and
    frames, 0 where nothing may change. All that is no integer is float32.
    """

    dataset: str
    variant: str
    start: str
    seed: int
    attack: str
    clip_id: str
    label: str
    predictions: np.ndarray
    cross_entropy: np.ndarray
    seconds: float
    sampled_percent: float
    dropped_percent: float
    attack_steps: int
    gradients: float
    encoder_steps: float
    epsilons: np.ndarray
    segments: np.ndarray
    sampled: np.ndarray
    dropped: np.ndarray
    frames: np.ndarray
    sound: np.ndarray
    copies: np.ndarray
    copied_frames: np.ndarray
    copied_sounds: np.ndarray
    frame_steps: np.ndarray
    sound_steps: np.ndarray
    moved_frames: np.ndarray
    moved_sound: np.ndarray

    @property
    def steps(self) -> int:
        """How many steps in time the clip has."""
        return len(self.segments)

    def samples(self, step: int) -> slice:
        """Which samples of the sound a step has, as the attack counts them."""
        length = len(self.sound)
        return slice(step * length // self.steps, (step + 1) * length // self.steps)


def write_one_clip(path: str | Path, made: OneClip) -> None:
    """Write plain arrays, no objects, whole or not at all; equal clips give equal bytes."""
    arrays = {field.name: np.array(getattr(made, field.name)) for field in fields(made)}
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_one_clip(path: str | Path) -> OneClip:
    """Read what `write_one_clip` wrote; raises `UserError` if the file is something else or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {field.name: arrays[field.name] for field in fields(OneClip)}
        plain = {name: value.item() for name, value in found.items() if not value.ndim}
        return OneClip(**{**found, **plain})
    except Exception as error:  # numpy and zipfile report damage by many kinds of exception
        raise UserError(f"{path}: holds no crafted clip ({reason(path, error, ZIP)}); {remaking(path)}") from None
