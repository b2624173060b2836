"""Examples for the figures of heat maps: for each class one clip, under every condition, kept in an npz file."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avrobust.files import remaking, replacing
from avrobust.foreign import ZIP, reason
from avrobust.program import UserError

# What is said of each example under each condition.
MEASURES = ("pointing", "mass", "peak_shift", "correlation")


@dataclass(frozen=True)
class Example:
    """One clip under all conditions, of which there are C, clean first; positions as in `metrics.localisation`.

    `predictions`: C class names. `maps`: float32 (C, h, w). `frames`: uint8 (C, size, size, 3), what the net saw,
    rounded to 8 bits for drawing. `box`: (4,), NaN where none is known. `measures`: name -> (C,), NaN likewise.
    """

    clip_id: str
    label: str
    predictions: tuple[str, ...]
    maps: np.ndarray
    frames: np.ndarray
    box: np.ndarray
    measures: dict[str, np.ndarray]


@dataclass(frozen=True)
class Examples:
    """The examples of one variant under one attack: `modalities` and `budgets` (C,) name the conditions."""

    dataset: str
    variant: str
    seed: int
    attack: str
    modalities: tuple[str, ...]
    budgets: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass
class Chosen:
    """The example of each class so far; it does not depend on the order in which clips are offered.

    It is the first clip of its class, in the order of clip ids, that is recognised clean and not under any attack
    on both modalities; if there is none, the first that is recognised clean; else the first.
    """

    classes: tuple[str, ...]
    _best: dict[str, tuple[tuple[int, str], Example]] = field(default_factory=dict)

    def wants(self, clip_id: str, label: str, recognised: bool, fooled: bool) -> bool:
        """Return whether `clip_id` would take the place of its class's example.

        `recognised`: its class is found clean; `fooled`: it is not found under attacks on both modalities.
        """
        if label not in self.classes:
            return False
        return label not in self._best or _rank(clip_id, recognised, fooled) < self._best[label][0]

    def keep(self, example: Example, recognised: bool, fooled: bool) -> None:
        """Make `example` the example of its class."""
        self._best[example.label] = _rank(example.clip_id, recognised, fooled), example

    def examples(self) -> tuple[Example, ...]:
        """Return the examples in the order of `classes`; a class without any clip has none."""
        return tuple(self._best[name][1] for name in self.classes if name in self._best)


def _rank(clip_id: str, recognised: bool, fooled: bool) -> tuple[int, str]:
    return (0 if recognised and fooled else 1 if recognised else 2), clip_id


def write_examples(path: str | Path, made: Examples) -> None:
    """Write plain arrays, no objects, whole or not at all; equal examples give equal bytes."""
    examples = made.examples
    arrays = {
        **{name: np.array(getattr(made, name)) for name in ("dataset", "variant", "seed", "attack")},
        "modality": np.array(made.modalities, str),
        "budget": np.array(made.budgets, str),
        "clip_id": np.array([one.clip_id for one in examples], str),
        "class": np.array([one.label for one in examples], str),
        "prediction": np.array([one.predictions for one in examples], str),
        **{name: np.array([getattr(one, name) for one in examples]) for name in ("maps", "frames", "box")},
        **{name: np.array([one.measures[name] for one in examples], np.float64) for name in MEASURES},
    }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_examples(path: str | Path) -> Examples:
    """Read what `write_examples` wrote; raises `UserError` if the file is something else or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        examples = tuple(
            Example(
                clip_id=str(found["clip_id"][place]),
                label=str(found["class"][place]),
                predictions=tuple(map(str, found["prediction"][place])),
                measures={name: found[name][place] for name in MEASURES},
                **{name: found[name][place] for name in ("maps", "frames", "box")},
            )
            for place in range(len(found["clip_id"]))
        )
        return Examples(
            **{name: str(found[name]) for name in ("dataset", "variant", "attack")},
            seed=int(found["seed"]),
            modalities=tuple(map(str, found["modality"])),
            budgets=tuple(map(str, found["budget"])),
            examples=examples,
        )
    except Exception as error:  # numpy and zipfile report damage by many kinds of exception
        raise UserError(
            f"{path}: holds no whole set of examples ({reason(path, error, ZIP)}); {remaking(path)}"
        ) from None
