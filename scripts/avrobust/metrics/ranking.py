"""How well scores put the clips of a class before all others: average precision, area under the curve, d'.

All are functions of weights of the clips, as in `avrobust.metrics.estimate`. Clips of equal score count together, as in
scikit-learn. A class has no value, NaN, under weights that leave it without a positive clip. Only the scores of a
class's positives matter: the weights of all other clips are summed between these, whatever the number of replicates.
"""

import numpy as np
from scipy.sparse import csc_array


def precisions_and_areas(scores: np.ndarray, targets: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the average precision and the area of each class under weights, in one pass: (K, C) each.

    `scores` (N, C), `targets` (N, C) of 0 and 1, `given` (K, N). The average precision is the sum, over the scores from
    the highest on, of the precision times the recall that the score adds. The area, under the receiver operating curve,
    is the probability that a positive clip scores higher than a negative one, ties counting half; NaN also without a
    negative.
    """
    by_clip = np.ascontiguousarray(given.T, dtype=np.float64)
    columns = (np.ascontiguousarray(of.T) for of in (scores, targets.astype(bool)))
    found = [_of_class(score, positive, by_clip) for score, positive in zip(*columns, strict=True)]
    precisions, areas = (np.stack(of, axis=1) for of in zip(*found, strict=True))
    return precisions, areas


def mean_of_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean of (K, C) over the classes that have a value, (K,): mAP and mean AUC; NaN where none has."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)


def d_prime(area: np.ndarray) -> np.ndarray:
    """Return sqrt(2) times the normal quantile of a (mean) area: Gemmeke et al. (ICASSP 2017); `combined` takes it."""
    from scipy.special import ndtri

    return np.sqrt(2) * ndtri(area)


def _of_class(score: np.ndarray, positive: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and area of one class, (K,) each: `score` and `positive` (N,), `given` (N, K)."""
    # From the lowest on; every clip is at one of these scores or between two of them.
    own = np.unique(score[positive])
    place = np.searchsorted(own, score, "left") + np.searchsorted(own, score, "right")
    hits, misses = (_sums(place, of, 2 * len(own) + 1, given) for of in (positive, ~positive))
    hits, ties = hits[1::2], misses[1::2]
    hits_above, misses_above = hits[::-1].cumsum(axis=0)[::-1], misses[::-1].cumsum(axis=0)[::-1][1::2]
    above = hits_above + misses_above
    precision = np.divide(hits_above, above, out=np.zeros_like(hits), where=above > 0)
    misses_below = misses.cumsum(axis=0)[:-1:2]
    hits_of_all, misses_of_all = hits.sum(axis=0), misses.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (hits * (misses_below + ties / 2)).sum(axis=0) / (hits_of_all * misses_of_all)
        return (hits * precision).sum(axis=0) / hits_of_all, area


def _sums(place: np.ndarray, counted: np.ndarray, places: int, given: np.ndarray) -> np.ndarray:
    """Sums of the weights of the clips `counted` (N,) at each of `places`: (places, K)."""
    one_each = np.arange(len(place) + 1)
    return csc_array((counted.astype(np.float64), place, one_each), shape=(places, len(place))) @ given
