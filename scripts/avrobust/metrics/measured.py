"""Measures of finished cells: a percentage of one net, or its mean over several victims and surrogates.

One that is linear in who is right is a mean over clips, each of which has the mean of all victims, surrogates and
seeds; one that is a ratio is an estimate of resampled clips. Either way a clip counts in all of them together.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from avrobust.metrics.estimate import Estimate, average, estimate, success_if_recognised, weights
from avrobust.metrics.interval import Mean
from avrobust.metrics.rows import Cells
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.measures import MEASURES


def measured(cells: Cells, measure: str, readings: Sequence[Reading]) -> Mean | Estimate:
    """Return a measure, a name of `MEASURES`, in per cent, as the mean of what it is at each of `readings`.

    Raises:
        UserError: see `avrobust.metrics.rows.Cells.outcomes`.
    """
    if MEASURES[measure].if_recognised:
        return estimated(cells, measure, readings)
    told, constant = MEASURES[measure].over(readings)
    shares = [100 * weight for weight in told.values()]
    return cells.outcomes(list(told)).combined(shares, 100 * constant)


def estimated(cells: Cells, measure: str, readings: Sequence[Reading]) -> Estimate:
    """Return the same as an estimate, whatever the measure: to be set beside one that is a ratio."""
    if not MEASURES[measure].if_recognised:
        told, constant = MEASURES[measure].over(readings)
        outcomes = cells.outcomes(list(told))
        values = np.tensordot(list(told.values()), outcomes.correct.astype(np.float64), axes=1) + constant
        ends = (constant + sum(one for one in told.values() if sign * one > 0) for sign in (-1, 1))
        means, *more = (
            [partial(_mean, np.append(of_seed, added)) for of_seed in values]
            for added in ([], *([end] for end in ends))
        )
        return estimate(means, _weights(tuple(outcomes.clip_ids.tolist())), *more) * 100.0
    found = []
    for reading in readings:
        outcomes = cells.outcomes([reading._replace(condition=CLEAN), reading])
        by_seed = outcomes.correct.transpose(1, 0, 2)
        # One more clip that is recognised clean, and under attack too, or not.
        ratios, none_more, one_more = (
            [success_if_recognised(*np.column_stack([correct, *more])) for correct in by_seed]
            for more in ([], [[True, True]], [[True, False]])
        )
        found.append(estimate(ratios, _weights(tuple(outcomes.clip_ids.tolist())), none_more, one_more) * 100.0)
    return average(found)


def _mean(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    return given @ values / given.sum(axis=1)


@lru_cache(maxsize=4)
def _weights(clip_ids: tuple[str, ...]) -> np.ndarray:
    return weights(clip_ids)
