"""The mean of bounded values over clips, and over trainings: its interval, and how surely it is above a number.

Clips. The Bayesian bootstrap (Rubin, Annals of Statistics 9, 1981) gives the clips random weights that sum to 1. Here
one more clip takes part, which has the least possible value for the lower end and the greatest for the upper end: the
bound of Gaffke (Mathematical Methods of Statistics 14, 2005; Learned-Miller & Thomas, arXiv:1905.06208). Nothing is
drawn: the tail is integrated. A clip has the mean of its seeds, so the seeds' answers to one clip may depend on each
other in any way. Special cases are exact tests that have other names:

    a rate                             the interval of Clopper & Pearson (1934)
    a difference of two rates, paired  McNemar's exact test, the sign test of the clips that differ

That the bound holds for every distribution is proved in special cases, these among them, and conjectured beyond; the
simulations in tests/unit/test_error_rates.py are ours. Where all clips are alike it has a width.

Trainings. From `MANY_SEEDS` seeds on, the distance to each end is joined with that of Student's interval of the seeds'
means, as the root of the sum of squares. Such an interval holds at least its level for normal spreads: Banerjee
(Sankhya 23, 1961). Two seeds tell next to nothing of their spread (t = 12.7) and one tells nothing: with fewer than
three an interval speaks of other clips, not of other trainings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import exp, isfinite, log, pi, sinh, sqrt
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

# What may lie beyond each end of an interval; both ends leave 95 %.
TAIL = 0.025
# From so many seeds on an interval includes the spread between trainings.
MANY_SEEDS = 3

# Values that are nearer to each other than this share of their range are one value.
_PRECISION = 1e-9
# A table has thousands of intervals of a few hundred clips that are right or wrong: most are alike.
FEW_VALUES = 4
# Of the trapezoidal rule, which is right to 1e-10 with it.
_STEP = 0.1


@dataclass(frozen=True, eq=False)
class Mean:
    """The mean of values between `least` and `greatest`, which may be infinite: then the extremes seen stand for them.

    `values` (distinct,) are those of clips, each the mean over its seeds; `counts` says how many clips have each.
    `spread` is the standard error of the mean over `seeds` trainings, 0 where there are fewer than `MANY_SEEDS`.
    """

    values: np.ndarray
    counts: np.ndarray
    least: float
    greatest: float
    seeds: int
    spread: float

    @property
    def value(self) -> float:
        """The mean of the clips' values."""
        return float(self.values @ self.counts / self.counts.sum())

    @property
    def ends(self) -> tuple[float, float, float]:
        """The value and both ends of its interval."""
        return self.value, self.low(), self.high()

    @property
    def clips(self) -> int:
        """Number of clips that have a value."""
        return int(self.counts.sum())

    @property
    def negative(self) -> "Mean":
        """The mean of the negative values, whose interval is the mirror image."""
        return replace(self, values=-self.values, least=-self.greatest, greatest=-self.least)

    @property
    def of_these_trainings(self) -> "Mean":
        """The same without the spread between trainings: it speaks of other clips only."""
        return replace(self, spread=0.0)

    def low(self, tail: float = TAIL) -> float:
        """The lower end of the interval: the true mean is lower with a probability of at most `tail`."""
        by_clips = self._lower_end(tail)
        by_seeds = student(self.spread, self.seeds, tail)
        return max(self.value - sqrt((self.value - by_clips) ** 2 + by_seeds**2), self.least)

    def high(self, tail: float = TAIL) -> float:
        """The upper end of the interval: the true mean is higher with a probability of at most `tail`."""
        return -self.negative.low(tail)

    def _lower_end(self, tail: float) -> float:
        """The lower end without the spread between trainings, computed once for all alike rates and differences."""
        if len(self.values) > FEW_VALUES:
            return _lower_end(self, tail)
        return _alike(tuple(self.values.tolist()), tuple(self.counts.tolist()), self.least, self.greatest, tail)

    def above(self, tail: float = TAIL) -> bool:
        """Whether the interval with `tail` beyond each end lies above 0."""
        return bool(self._excess(tail) <= 0)

    def p_above(self) -> float:
        """The one-sided p-value of a true mean of 0 or less: the least `tail` with which the interval is above 0."""
        return _root(lambda tail: -self._excess(tail), 0.0, 1.0) if self.spread else self._reaches(0.0)

    def _excess(self, tail: float) -> float:
        """By how much the probability that the clips leave beyond the interval's share of 0 is larger than `tail`."""
        # The lower end is above 0 if the clips' own distance is below what Student's leaves of the value.
        left = self.value**2 - student(self.spread, self.seeds, tail) ** 2
        if self.value <= 0 or left <= 0:
            return 1.0 - tail
        return self._reaches(self.value - sqrt(left)) - tail

    def _reaches(self, end: float) -> float:
        """The probability that the weighted mean of the clips, with one more that has `least`, is at most `end`."""
        values, counts = np.append(self.values, self.least) - end, np.append(self.counts, 1)
        return _negative(np.where(np.abs(values) < self._negligible, 0, values), counts)

    @property
    def _negligible(self) -> float:
        return _PRECISION * (self.greatest - self.least)


def _lower_end(of: Mean, tail: float) -> float:
    return _secant(lambda end: _probit(of._reaches(end)) - _probit(tail), of.least, of.value, of._negligible)


@cache
def _alike(values: tuple[float, ...], counts: tuple[int, ...], least: float, greatest: float, tail: float) -> float:
    return _lower_end(Mean(np.array(values), np.array(counts), least, greatest, seeds=1, spread=0.0), tail)


def mean(values: np.ndarray, least: float, greatest: float) -> Mean:
    """The `Mean` of values (seeds, clips) between `least` and `greatest`; NaN is a value that is not there.

    Raises:
        ValueError: there is no value, or one is not between `least` and `greatest`.
    """
    there = ~np.isnan(values)
    if not there.any():
        raise ValueError("no clip has a value")
    # Sums of float32's may be 1.0000001.
    slack = 1e-6 * (greatest - least) if isfinite(greatest - least) else 0.0
    if values[there].min() < least - slack or values[there].max() > greatest + slack:
        raise ValueError(f"values from {values[there].min()} to {values[there].max()} exceed {least} to {greatest}")
    filled = np.where(there, values.clip(least, greatest), 0.0)
    clips = there.any(axis=0)
    by_clip = filled.sum(axis=0)[clips] / there.sum(axis=0)[clips]
    least = least if isfinite(least) else float(by_clip.min())
    greatest = greatest if isfinite(greatest) else float(by_clip.max())
    distinct, counts = np.unique(np.round(by_clip, 9), return_counts=True)
    # A seed without any value is none.
    by_seed = filled.sum(axis=1)[there.any(axis=1)] / there.sum(axis=1)[there.any(axis=1)]
    return Mean(distinct, counts, least, greatest, len(by_seed), standard_error(by_seed))


def standard_error(by_seed: np.ndarray) -> float:
    """Return that of the mean of one value for each training, 0 where there are fewer than `MANY_SEEDS`."""
    return float(by_seed.std(ddof=1)) / sqrt(len(by_seed)) if len(by_seed) >= MANY_SEEDS else 0.0


def student(spread: float, seeds: int, tail: float) -> float:
    """Return the distance from the mean of `seeds` trainings to the end of its interval; `spread`: standard error."""
    # With a tail of more than a half the quantile would turn the distance round.
    return float(stdtrit(seeds - 1, 1 - min(tail, 0.5))) * spread if spread else 0.0


def _probit(probability: float) -> float:
    return NormalDist().inv_cdf(min(max(probability, 1e-300), 1 - 1e-15))


def _negative(values: np.ndarray, counts: np.ndarray) -> float:
    """The probability that the sum of `values` times gamma variables of the shapes `counts` is at most 0."""
    if (values <= 0).all():
        return 1.0
    if (values >= 0).all():
        return float((values == 0).all())
    if counts @ values < 0:
        return 1.0 - _negative(-values, counts)
    # The inverse of the sum's Laplace transform, exp(-counts @ log(1 - values * s)) / -s, along a line where its real
    # part is least: there it neither oscillates nor cancels.
    values, counts = values[values != 0], counts[values != 0]
    s = _root(lambda s: counts @ (values / (1 - values * s)) - 1 / s, 1 / values.min(), 0.0, halvings=20)
    logarithm = np.log(1 - values * s) @ counts + log(-s)
    values = values / (1 - values * s)
    width = 1 / sqrt(counts @ values**2 + s**-2)
    # The more clips, the sooner nothing is left of the integrand.
    last = next(x for x in (4, 6, 8, 12, 16) if np.log1p((values * width * sinh(x)) ** 2) @ counts > 70 or x == 16)
    nodes = np.arange(0.0, last, _STEP)
    line = 1j * width * np.sinh(nodes)
    heights = np.exp(-np.log(1 - np.multiply.outer(line, values)) @ counts - np.log(1 + line / s)).real
    heights *= np.cosh(nodes)
    return float(min(_STEP * width / pi * exp(-logarithm) * (heights.sum() - heights[0] / 2), 1.0))


def _root(increasing: Callable[[float], float], low: float, high: float, *, halvings: int = 60) -> float:
    """Where `increasing` crosses 0 between `low` and `high`; `high` if it stays below."""
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if increasing(middle) >= 0 else (middle, high)
    return high


def _secant(increasing: Callable[[float], float], low: float, high: float, exact: float) -> float:
    """As `_root`, in fewer steps where `increasing` is smooth, by false position (Illinois).

    Right to `exact`, or to the last bit where numbers are further apart than that.
    """
    at_low, at_high = increasing(low), increasing(high)
    if at_low >= 0:
        return low
    side = step = 0
    while high - low > exact and low < (low + high) / 2 < high and at_high > 0:
        step += 1
        end = (low * at_high - high * at_low) / (at_high - at_low)
        if step % 4 == 0:  # so that a jump does not take for ever
            end = (low + high) / 2
        end = min(max(end, low + exact / 3), high - exact / 3)
        at_end = increasing(end)
        if at_end >= 0:
            high, at_high = end, at_end
            at_low /= 2 if side > 0 else 1
            side = 1
        else:
            low, at_low = end, at_end
            at_high /= 2 if side < 0 else 1
            side = -1
    return high
