"""Mean and deviation of features, of parts that are measured apart and merged in any order."""

import json
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avrobust.files import remaking, write_json
from avrobust.program import UserError


class Moments(NamedTuple):
    """How many vectors were seen, their mean, (D,), and their summed squared deviations from it, (D,); float64."""

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation (D,) of these vectors, of all there are (n, not n - 1); 0 where nothing varies."""
        return np.sqrt(self.squares / max(self.count, 1))


def moments_of(values: np.ndarray) -> Moments:
    """Return the moments of `values`, (..., D), along the last axis: everything before it counts the vectors."""
    vectors = values.reshape(-1, values.shape[-1]).astype(np.float64)
    if not len(vectors):
        return Moments(0, np.zeros(values.shape[-1]), np.zeros(values.shape[-1]))
    mean = vectors.mean(axis=0)
    return Moments(len(vectors), mean, np.square(vectors - mean).sum(axis=0))


def merged(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all vectors of the parts together (Chan, Golub & LeVeque, 1979); one part at least."""
    return reduce(_both, parts)


def _both(one: Moments, other: Moments) -> Moments:
    count = one.count + other.count
    if not one.count or not other.count:
        return one if one.count else other
    apart, share = other.mean - one.mean, other.count / count
    squares = one.squares + other.squares + np.square(apart) * (one.count * share)
    return Moments(count, one.mean + apart * share, squares)


def write_part(path: str | Path, parts: Mapping[str, Moments]) -> None:
    """Write the moments of a part of a dataset, modality -> Moments, to be merged with others."""
    write_json(
        path,
        {
            name: {"count": of.count, "mean": of.mean.tolist(), "squares": of.squares.tolist()}
            for name, of in parts.items()
        },
    )


def read_part(path: str | Path) -> dict[str, Moments]:
    """Return what `write_part` has written; UserError if it is not there, or no such file."""
    told = _read(path, ("mean", "squares"))
    return {name: Moments(of["count"], of["mean"], of["squares"]) for name, of in told.items()}


def write_moments(path: str | Path, whole: Mapping[str, Moments]) -> None:
    """Write mean and deviation of the features of a dataset, modality -> Moments."""
    write_json(
        path,
        {
            name: {"count": of.count, "mean": of.mean.tolist(), "deviation": of.deviation.tolist()}
            for name, of in whole.items()
        },
    )


def read_moments(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return modality -> mean and deviation, float64 (D,); UserError if the file is not there, or no such file."""
    return {name: (of["mean"], of["deviation"]) for name, of in _read(path, ("mean", "deviation")).items()}


def _read(path: str | Path, arrays: tuple[str, str]) -> dict[str, dict]:
    """Return modality -> what stands in the file, its arrays of equal length."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        found = {
            name: {"count": int(of["count"]), **{key: np.array(of[key], np.float64) for key in arrays}}
            for name, of in told.items()
        }
        whole = bool(found) and all(
            of[arrays[0]].shape == of[arrays[1]].shape != ()
            and of["count"] >= 0
            and all(np.isfinite(of[key]).all() for key in arrays)
            for of in found.values()
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; scripts/extract.py and scripts/moments.py make it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{path}: not moments of features, count, {' and '.join(arrays)}; {remaking(path)}")
    return found
