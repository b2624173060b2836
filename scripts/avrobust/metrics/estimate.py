"""A number that clips decide, with its replicates: ratios, rankings, correlations and what is computed of them.

The mean of bounded values has an interval of its own, which no replicate is drawn for (`avrobust.metrics.interval`).
What is no such mean is a function of weights of the clips. Weights of 1 give its value; weights drawn anew give
replicates, by the Bayesian bootstrap (Rubin, Annals of Statistics 9, 1981): standard exponential ones, which in a
statistic stand for their shares. A clip draws by its own name, so that it moves all nets, attacks and subsets of clips
together, and sums, differences, ratios and minima of estimates are taken replicate by replicate. An interval goes
between the replicates' quantiles; from `MANY_SEEDS` trainings on, the distance to each end is joined with that of
Student's interval of the trainings' own values, as there.

Every statistic below is of one training: it takes weights (K, N) of N clips and returns K values, NaN where there is
none.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt

import numpy as np
from scipy.stats import rankdata

from avrobust.metrics.interval import TAIL, standard_error, student

REPLICATES = 1000

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Estimate:
    """`value` of all clips; `replicates` (R,) of resampled ones; `by_seed` (S,) what each training alone gives."""

    value: float
    replicates: np.ndarray
    by_seed: np.ndarray

    def __add__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.add, self, other)

    def __sub__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.subtract, self, other)

    def __mul__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.multiply, self, other)

    def __truediv__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.divide, self, other)

    def __neg__(self) -> "Estimate":
        return self * -1.0

    @property
    def undefined(self) -> int:
        """How many replicates have no value."""
        return int(np.isnan(self.replicates).sum())

    def low(self, tail: float = TAIL) -> float:
        """The lower end of the interval that leaves `tail` beyond it; NaN if there is no value."""
        if np.isnan(self.replicates).all():
            return float("nan")
        by_clips = min(float(np.nanquantile(self.replicates, tail)), self.value)
        by_seeds = student(standard_error(self.by_seed), len(self.by_seed), tail)
        return self.value - sqrt((self.value - by_clips) ** 2 + by_seeds**2)

    def high(self, tail: float = TAIL) -> float:
        """The upper end of the interval."""
        return -(-self).low(tail)


def weights(clip_ids: Iterable[str], replicates: int = REPLICATES) -> np.ndarray:
    """Return the weights of clips by their names: 1 in the first row, then `replicates` draws; (replicates + 1, N)."""
    drawn = [
        np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8])).standard_exponential(replicates)
        for name in clip_ids
    ]
    return np.vstack([np.ones(len(drawn)), np.reshape(drawn, (-1, replicates)).T])


def estimate(statistics: Sequence[Statistic], of_clips: np.ndarray) -> Estimate:
    """Return the mean over trainings of a statistic, one callable for each, under `weights` (K, N) of the clips."""
    found = np.stack([statistic(of_clips) for statistic in statistics])
    mean = found.mean(axis=0)
    return Estimate(float(mean[0]), mean[1:], found[:, 0])


def combined(function: Callable[..., np.ndarray], *parts: "Estimate | float") -> Estimate:
    """Return a function of estimates and numbers, replicate by replicate and training by training.

    Raises:
        ValueError: the estimates do not have the same number of replicates and trainings.
    """
    given = [part for part in parts if isinstance(part, Estimate)]
    if len({(part.replicates.shape, part.by_seed.shape) for part in given}) > 1:
        raise ValueError("estimates of other numbers of replicates or trainings cannot be combined")
    with np.errstate(divide="ignore", invalid="ignore"):
        value, replicates, by_seed = (
            function(*(getattr(part, name) if isinstance(part, Estimate) else part for part in parts))
            for name in ("value", "replicates", "by_seed")
        )
    return Estimate(float(value), _finite(replicates), _finite(by_seed))


def average(parts: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, as of one surrogate over its victims."""
    return combined(lambda *values: np.mean(values, axis=0), *parts)


def least(parts: Sequence[Estimate]) -> Estimate:
    """Return the smallest of estimates."""
    return combined(lambda *values: np.min(values, axis=0), *parts)


def drop_rate(clean: Estimate, attacked: Estimate) -> Estimate:
    """Return the share of `clean` that is lost under attack: (clean - attacked) / clean."""
    return (clean - attacked) / clean


def spearman(first: Sequence["Estimate | float"], second: Sequence["Estimate | float"]) -> Estimate:
    """Return Spearman's rank correlation of paired estimates, such as of classes; ties have their mean rank.

    At least one is an estimate. NaN where one side has only one value.
    """

    def correlation(*values: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(*(np.shape(value) for value in values))
        both = np.stack([np.broadcast_to(value, shape) for value in values]).reshape(2, len(first), *shape)
        ranks = rankdata(both, axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        x, y = ranks
        return (x * y).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))

    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired")
    return combined(correlation, *first, *second)


def accuracy(correct: np.ndarray) -> Statistic:
    """The share of clips that are recognised: `correct` (N,) is boolean."""
    return lambda given: _share(correct, np.ones_like(correct), given)


def success(correct: np.ndarray) -> Statistic:
    """The share of clips that are not recognised under attack: `correct` (N,) says which are."""
    return accuracy(~correct)


def success_if_recognised(clean: np.ndarray, attacked: np.ndarray) -> Statistic:
    """Of the clips that are recognised clean, the share that is not under attack; NaN if none is."""
    return lambda given: _share(~attacked, clean, given)


def _share(counted: np.ndarray, among: np.ndarray, given: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (given @ (counted & among)) / (given @ among)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)
