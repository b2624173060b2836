"""A number that clips decide, with its replicates: ratios, rankings, correlations and what is computed of them.

The mean of bounded values has an interval of its own, which no replicate is drawn for (`avrobust.metrics.interval`).
What is no such mean is a function of weights of the clips. Weights of 1 give its value; weights drawn anew give
replicates, by the Bayesian bootstrap (Rubin, Annals of Statistics 9, 1981): standard exponential ones, which in a
statistic stand for their shares. A clip draws by its own name, so that it moves all nets, attacks and subsets of clips
together, and sums, differences, ratios and minima of estimates are taken replicate by replicate. An interval goes
between the replicates' quantiles. Of shares one more clip takes part, as in the exact interval of a mean, which has the
least possible value for the lower end and the greatest for the upper: where all clips are alike, it has a width. Sums,
differences and means of such estimates keep that. From `MANY_SEEDS` trainings on, the distance to each end is joined
with that of Student's interval of the trainings' own values, as there.

Every statistic below is of one training: it takes weights (K, N) of N clips and returns K values, NaN where there is
none.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import inf, sqrt

import numpy as np

from avrobust.metrics.interval import TAIL, standard_error, student

REPLICATES = 1000
# To a p-value that is right to a hundredth of what the replicates can tell.
_HALVINGS = 17

# What draws as a clip that nobody has seen.
_ONE_MORE = "one more clip"

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Estimate:
    """`value` of all clips; `replicates` (R,) of resampled ones; `by_seed` (S,) what each training alone gives.

    `clips`: of how many, where that is known. Without `spreads` the interval leaves out the spread between trainings.
    `lower` and `upper` (R,): replicates with one more clip; None where there is none.
    """

    value: float
    replicates: np.ndarray
    by_seed: np.ndarray
    clips: int = 0
    spreads: bool = True
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None

    def __add__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.add, self, other, rising=(True, True))

    def __sub__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.subtract, self, other, rising=(True, False))

    def __mul__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.multiply, self, other, rising=None if isinstance(other, Estimate) else (other >= 0, True))

    def __truediv__(self, other: "Estimate | float") -> "Estimate":
        return combined(np.divide, self, other)

    def __neg__(self) -> "Estimate":
        return self * -1.0

    @property
    def negative(self) -> "Estimate":
        """The same with the other sign."""
        return -self

    @property
    def seeds(self) -> int:
        """Number of trainings."""
        return len(self.by_seed)

    @property
    def ends(self) -> tuple[float, float, float]:
        """The value and both ends of its interval."""
        return self.value, self.low(), self.high()

    def mirrored(self, least: float = -inf, greatest: float = inf) -> "Estimate":
        """The same with replicates mirrored at its value, and cut to what it can be: for the basic interval.

        For what resampling moves to one side, as it raises an average precision: a sample moves it just so.
        """
        return replace(self, replicates=np.clip(2 * self.value - self.replicates, least, greatest))

    @property
    def of_these_trainings(self) -> "Estimate":
        """The same without the spread between trainings: it speaks of other clips only."""
        return replace(self, spreads=False)

    @property
    def undefined(self) -> int:
        """How many replicates have no value."""
        return int(np.isnan(self.replicates).sum())

    def low(self, tail: float = TAIL) -> float:
        """The lower end of the interval that leaves `tail` beyond it; NaN if there is no value."""
        if np.isnan(self.replicates).all():
            return float("nan")
        replicates = self.replicates if self.lower is None else self.lower
        by_clips = min(float(np.nanquantile(replicates, tail)), self.value)
        by_seeds = student(standard_error(self.by_seed), self.seeds, tail) if self.spreads else 0.0
        return self.value - sqrt((self.value - by_clips) ** 2 + by_seeds**2)

    def high(self, tail: float = TAIL) -> float:
        """The upper end of the interval."""
        return -(-self).low(tail)

    def above(self, tail: float = TAIL) -> bool:
        """Whether the interval with `tail` beyond each end lies above 0; never where fewer replicates cannot tell."""
        return self.p_above() <= tail

    def p_above(self) -> float:
        """The one-sided p-value of a true value of 0 or less: the least `tail` with which the interval is above 0.

        At least one in as many as there are replicates and one; 1 where there is no value.
        """
        if not self.value > 0:
            return 1.0
        least, most = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (least + most) / 2
            least, most = (least, middle) if self.low(middle) > 0 else (middle, most)
        return max(most, 1 / (len(self.replicates) + 1))


def weights(clip_ids: Iterable[str], replicates: int = REPLICATES) -> np.ndarray:
    """Return the weights of clips by their names: 1 in the first row, then `replicates` draws; (replicates + 1, N)."""
    drawn = [
        np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8])).standard_exponential(replicates)
        for name in clip_ids
    ]
    return np.vstack([np.ones(len(drawn)), np.reshape(drawn, (-1, replicates)).T])


def with_one_more(share: Estimate, weight: Estimate) -> Estimate:
    """Return a share of the clips with what one more clip may do to it, as `estimate` has it of `least`, `greatest`.

    `weight`: the sum of the weights of all clips.
    """
    one = weights([_ONE_MORE], len(share.replicates))[1:, 0]
    sums = weight.replicates + one
    return replace(
        share,
        lower=share.replicates * weight.replicates / sums,
        upper=(share.replicates * weight.replicates + one) / sums,
    )


def estimate(
    statistics: Sequence[Statistic],
    of_clips: np.ndarray,
    least: Sequence[Statistic] = (),
    greatest: Sequence[Statistic] = (),
) -> Estimate:
    """Return the mean over trainings of a statistic, one callable for each, under `weights` (K, N) of the clips.

    `least`, `greatest`: the same of N + 1 clips, the last of which has the least or the greatest possible value.
    """
    found = np.stack([statistic(of_clips) for statistic in statistics])
    mean = found.mean(axis=0)
    one = Estimate(float(mean[0]), mean[1:], found[:, 0], of_clips.shape[1])
    if not least:
        return one
    more = np.column_stack([of_clips[1:], weights([_ONE_MORE], len(of_clips) - 1)[1:]])
    lower, upper = (np.mean([statistic(more) for statistic in of], axis=0) for of in (least, greatest))
    return replace(one, lower=_finite(lower), upper=_finite(upper))


def combined(
    function: Callable[..., np.ndarray], *parts: "Estimate | float", rising: Sequence[bool] | None = None
) -> Estimate:
    """Return a function of estimates and numbers, replicate by replicate and training by training.

    `rising`: of one that is monotone, with which of `parts` it rises; what one more clip may do is then known of it.

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
        sides = [None, None]
        if rising and all(part.lower is not None for part in given):
            sides = [
                function(*(_side(part, rises is up) for part, rises in zip(parts, rising, strict=True)))
                for up in (False, True)
            ]
    spreads, clips = all(part.spreads for part in given), min(part.clips for part in given)
    return Estimate(float(value), _finite(replicates), _finite(by_seed), clips, spreads, *sides)


def _side(part: "Estimate | float", upper: bool) -> np.ndarray | float:
    return part if not isinstance(part, Estimate) else part.upper if upper else part.lower


def average(parts: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, as of one surrogate over its victims."""
    return combined(lambda *values: np.mean(values, axis=0), *parts, rising=[True] * len(parts))


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
    # A second to load, for what seldom ranks.
    from scipy.stats import rankdata

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
