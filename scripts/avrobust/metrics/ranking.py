"""How well scores put the clips of a class before all others: average precision, area under the curve, d'.

All are functions of weights of the clips, as in `avrobust.metrics.estimate`. Clips are sorted once, whatever the number
of replicates; clips of equal score count together, as in scikit-learn. A class has no value, NaN, under weights that
leave it without a positive clip.
"""

from collections.abc import Callable

import numpy as np

from avrobust.metrics.estimate import Statistic


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> Statistic:
    """The average precision of each class: `scores` (N, C), `targets` (N, C) of 0 and 1; weights (K, N) -> (K, C).

    That is the sum, over the scores from the highest on, of the precision times the recall that the score adds.
    """

    def of_curve(hits: np.ndarray, above: np.ndarray) -> np.ndarray:
        precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
        return (np.diff(hits, prepend=0) * precision).sum(axis=1) / hits[:, -1]

    return _by_class(of_curve, scores, targets)


def areas(scores: np.ndarray, targets: np.ndarray) -> Statistic:
    """The area under each class's receiver operating curve, as `average_precisions`; NaN also without a negative.

    That is the probability that a positive clip scores higher than a negative one, ties counting half.
    """

    def of_curve(hits: np.ndarray, above: np.ndarray) -> np.ndarray:
        false = above - hits
        before = hits - np.diff(hits, prepend=0) / 2
        return (np.diff(false, prepend=0) * before).sum(axis=1) / (hits[:, -1] * false[:, -1])

    return _by_class(of_curve, scores, targets)


def class_mean(by_class: Statistic) -> Statistic:
    """The mean over the classes that have a value, (K,): mAP and mean AUC; NaN where none has."""

    def mean(given: np.ndarray) -> np.ndarray:
        values = by_class(given)
        with np.errstate(invalid="ignore"):
            return np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)

    return mean


def skipped(by_class: Statistic, given: np.ndarray) -> np.ndarray:
    """Return how many classes have no value under each of `given` (K, N): integers (K,)."""
    return np.isnan(by_class(given)).sum(axis=1)


def d_prime(area: np.ndarray) -> np.ndarray:
    """Return sqrt(2) times the normal quantile of a (mean) area: Gemmeke et al. (ICASSP 2017); `combined` takes it."""
    from scipy.special import ndtri

    return np.sqrt(2) * ndtri(area)


def _by_class(
    of_curve: Callable[[np.ndarray, np.ndarray], np.ndarray], scores: np.ndarray, targets: np.ndarray
) -> Statistic:
    """`of_curve` gets, at each distinct score, the weight of the positives and of all clips that have it or more."""

    def statistic(given: np.ndarray) -> np.ndarray:
        found = np.empty((len(given), scores.shape[1]))
        for number, (score, target) in enumerate(zip(scores.T, targets.T, strict=True)):
            order = np.argsort(-score, kind="stable")
            ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
            weights = given[:, order].astype(np.float64)
            above = np.cumsum(weights, axis=1)[:, ends]
            hits = np.cumsum(weights * target[order], axis=1)[:, ends]
            with np.errstate(invalid="ignore"):
                found[:, number] = of_curve(hits, above)
        return found

    return statistic
