"""Sides of claims that are read of rankings of all clips, or of the shapes of a net's classes."""

from collections.abc import Collection
from math import inf

import numpy as np

from avrobust.metrics.drops import LEAST_DIFFERENT, correlated
from avrobust.metrics.estimate import Estimate, combined
from avrobust.metrics.geometry import OfNets
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.selection import select
from avrobust.program import UserError
from avrobust.spec.artefacts.claims import Comparison, Quantity, Side
from avrobust.spec.geometry import KAPPA
from avrobust.spec.measures import CORRELATIONS, SELECTED

# What the values of a class lie between.
_BOUNDS = {"kappa": (0.0, 1.0)}


class Undefined(UserError):
    """A test has no effect, because what it reads is not defined of these clips or classes."""


def by_ranking(test: Comparison, ranked: Ranked, classes: OfNets) -> Estimate:
    """Return the effect of a test of what is measured of rankings, of the seeds that both sides have.

    Raises `UserError` if a cell, a condition or a net's classes are missing, or cells are of other clips; `Undefined`
    if a correlation is none.
    """
    common = ranked.in_common(one for side in test.read for one in side.readings)
    higher, lower = (_measured(side, common, classes) for side in (test.higher, test.lower))
    found = combined(lambda *sides: sides[0] - sides[1] - test.by, higher, lower, rising=(True, False))
    if found.value != found.value:
        raise Undefined(
            f"fewer than {LEAST_DIFFERENT} classes have a drop and differ from most, so that nothing goes with it"
        )
    return found


def _measured(side: Side, ranked: Ranked, classes: OfNets) -> Estimate | float:
    if not isinstance(side, Quantity):
        return side
    if side.of in CORRELATIONS:
        return correlated(ranked, classes, side.of, side.places)
    return ranked.measured(side.of, side.places)


def by_class(test: Comparison, classes: OfNets, several: Collection[str]) -> tuple[np.ndarray, float, float]:
    """Return the effect of each class that all nets of a test have, (seeds, classes), and what effects lie between.

    Classes are in the place of clips, and stand for others that there might be. `several`: datasets whose clips have
    several labels. `kappa` is that by which the classes were selected, if one is said.

    Raises `UserError` if a net's classes are missing, no seed is common, or no class has a value on both sides.
    """
    nets = {(side.dataset, net) for side in test.read for net in (one.victim for one in side.places)}
    seeds = sorted(set.intersection(*({*classes.seeds(*net)} for net in nets)))
    if not seeds:
        raise UserError(f"{test.label}: no seed is common; make the nets with the same seeds")
    kappa = test.selection.get("kappa") or KAPPA["multiple" if test.dataset in several else "single"]
    effects = []
    for seed in seeds:
        higher, lower = (_of_each(side, classes, seed, kappa) for side in (test.higher, test.lower))
        names = set.intersection(*({*of} for of in (higher, lower) if isinstance(of, dict)))
        names = sorted(names & _selected(test, classes, seed, kappa) if test.selection else names)
        sides = ([of[name] for name in names] if isinstance(of, dict) else of for of in (higher, lower))
        high, low = (np.asarray(of, np.float64) for of in sides)
        effects.append(dict(zip(names, np.broadcast_to(high - low - test.by, len(names)).tolist(), strict=True)))
    every = sorted(set.intersection(*({*of} for of in effects)))
    if not every:
        raise UserError(f"{test.label}: no class has a value on both sides")
    (least, greatest), (lower_least, lower_greatest) = (_bounds(side) for side in (test.higher, test.lower))
    values = np.array([[of[name] for name in every] for of in effects])
    return values, least - lower_greatest - test.by, greatest - lower_least - test.by


def _of_each(side: Side, classes: OfNets, seed: int, kappa: str) -> dict[str, float] | float:
    """The value of each class that has one in every net of a side, the mean over the nets."""
    if not isinstance(side, Quantity):
        return side
    found: dict[str, list[float]] = {}
    for net in (one.victim for one in side.places):
        name = side.of.removesuffix(SELECTED)
        column = kappa if name == "kappa" else name
        for row in classes.rows(side.dataset, net, seed):
            if row[column] is not None:
                found.setdefault(row["class_name"], []).append(row[column])
    return {name: sum(values) / len(values) for name, values in found.items() if len(values) == len(side.places)}


def _selected(test: Comparison, classes: OfNets, seed: int, kappa: str) -> frozenset[str]:
    """The classes that a net of the test is trained on mixtures of, as its training chose them."""
    ways = {name: value for name, value in test.selection.items() if name != "geometry"} | {"kappa": kappa}
    names = select(classes.rows(test.dataset, test.selection["geometry"], seed), **ways).names
    return names if len(names) > 1 else frozenset()


def _bounds(side: Side) -> tuple[float, float]:
    return _BOUNDS.get(side.of.removesuffix(SELECTED), (0.0, inf)) if isinstance(side, Quantity) else (side, side)
