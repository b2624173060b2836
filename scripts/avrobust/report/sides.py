"""Sides of claims that are read clip by clip: cosines, the best of several attacks, answers in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from avrobust.metrics.answers import Judged
from avrobust.metrics.interval import Mean, mean
from avrobust.metrics.rows import Cells
from avrobust.program import UserError
from avrobust.report.trainings import Spent, mean_spent
from avrobust.spec.artefacts.claims import Comparison, Quantity, Side
from avrobust.spec.measures import COSINE, MEASURES, MISSED
from avrobust.spec.nets import Best, pairs


@dataclass(frozen=True)
class Exact:
    """An effect that no clip decides, such as a difference of counts: without interval or doubt, else as `Mean`."""

    value: float
    seeds: int
    clips: int = 0

    @property
    def negative(self) -> "Exact":
        """The same with the other sign."""
        return replace(self, value=-self.value)

    @property
    def of_these_trainings(self) -> "Exact":
        """Itself."""
        return self

    def low(self, tail: float = 0.0) -> float:
        """The value."""
        return self.value

    def high(self, tail: float = 0.0) -> float:
        """The value."""
        return self.value

    def above(self, tail: float = 0.0) -> bool:
        """Whether it is above 0."""
        return self.value > 0

    def p_above(self) -> float:
        """0 if it is above 0, else 1."""
        return 0.0 if self.value > 0 else 1.0


def is_by_clip(test: Comparison) -> bool:
    """Whether a side of a test is a cosine or the best of several attacks."""
    return any(side.of == COSINE or isinstance(side.attack, Best) for side in test.read)


def by_clip(test: Comparison, cells: Cells) -> Mean:
    """Return the effect of such a test. Raises `UserError` if cells are missing or of other clips."""
    # All at once, so that both sides are of the same clips.
    cells.outcomes([one for side in test.read for of in side.each for one in of.readings])
    (higher, *high_ends), (lower, *low_ends) = (_of_clips(side, cells) for side in (test.higher, test.lower))
    (least, greatest), (lower_least, lower_greatest) = high_ends, low_ends
    return mean(higher - lower - test.by, least - lower_greatest - test.by, greatest - lower_least - test.by)


def by_training(test: Comparison, known: Spent) -> Exact:
    """Return the effect of a test of what trainings take."""
    seeds, values = [], []
    for side in (test.higher, test.lower):
        if not isinstance(side, Quantity):
            values.append(side)
            continue
        found = [mean_spent(known, side.dataset, net, side.of) for _, net in pairs(side.surrogate, side.victim)]
        values.append(sum(value for value, _ in found) / len(found))
        seeds += [count for _, count in found]
    return Exact(values[0] - values[1] - test.by, min(seeds))


def is_by_answers(test: Comparison) -> bool:
    """Whether a side of a test is what a model says in words."""
    return any(side.of == MISSED for side in test.read)


def by_answers(test: Comparison, judged: Mapping[tuple[str, str], Judged]) -> Mean:
    """Return the effect of a test of answers in words, of the clips that are recognised clean.

    Raises `UserError` if there are no such answers, or no clip is recognised clean.
    """
    if missing := [side for side in test.read if (side.dataset, side.surrogate) not in judged]:
        raise UserError(f"{test.label}: no answers to clips of {missing[0].surrogate} on {missing[0].dataset}")
    higher, lower = (
        judged[side.dataset, side.surrogate].missed(side.attack) if isinstance(side, Quantity) else side
        for side in (test.higher, test.lower)
    )
    (least, greatest), (lower_least, lower_greatest) = (
        (0.0, 100.0) if isinstance(side, Quantity) else (side, side) for side in (test.higher, test.lower)
    )
    effects = (higher - lower - test.by)[None]
    try:
        return mean(effects, least - lower_greatest - test.by, greatest - lower_least - test.by)
    except ValueError as error:
        raise UserError(f"{test.label}: {error}") from None


def _of_clips(side: Side, cells: Cells) -> tuple[np.ndarray | float, float, float]:
    """The values of a side, (seeds, clips) or a number, and between what they lie."""
    if not isinstance(side, Quantity):
        return side, side, side
    if side.of == COSINE:
        return cells.cosines(side.places).mean(axis=0), -1.0, 1.0
    values, ids = [], None
    for one in side.each:
        told, constant = MEASURES[one.of].over(one.places)
        outcomes = cells.outcomes(list(told))
        ids = outcomes.clip_ids
        weights = np.array(list(told.values()))
        values.append(100 * (np.tensordot(weights, outcomes.correct.astype(np.float64), axes=1) + constant))
    ends = (100 * (constant + weights[sign * weights > 0].sum()) for sign in (-1, 1))
    return chosen_on_others(np.stack(values), ids), *ends


def chosen_on_others(values: np.ndarray, clip_ids: Sequence[str]) -> np.ndarray:
    """Return values (seeds, clips) of the best of several, (candidates, seeds, clips), chosen on clips of their own.

    Clips fall in two halves by their names. Each half has the values of the candidate that is best in the other one, so
    that no clip takes part in the choice that it is read by.
    """
    half = np.array([sha256(str(name).encode()).digest()[0] % 2 for name in clip_ids], bool)
    if half.all() or not half.any():
        half = np.arange(len(half)) % 2 == 1
    made = np.empty(values.shape[1:])
    for side in (half, ~half):
        # A single clip has none beside it.
        others = ~side if (~side).any() else side
        best = values[:, :, others].mean(axis=(1, 2)).argmax() if others.any() else 0
        made[:, side] = values[best][:, side]
    return made
