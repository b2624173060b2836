"""Which classes lie densely and are not convex: those that the mix-up of Li et al. (ICASSP 2022, section 6) mixes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np


class Selection(NamedTuple):
    """Names of classes of which rho is above `density`; `is_median`: it had to be lowered to the median."""

    names: frozenset[str]
    density: float
    is_median: bool


def select(
    rows: Iterable[Mapping],
    kappa: str,
    tau: int = 60,
    convexity: float = 0.5,
    density: float | str = "quantile",
    densest: float = 0.2,
) -> Selection:
    """Return the classes whose rho<tau> is above a density and whose column `kappa` is below `convexity`.

    `rows`: of `avrobust.metrics.geometry.CLASS_ROWS`, as dictionaries; a class without one of both is none. `density`:
    the number itself, or `quantile`: that above which the share `densest` of the classes lie. Are they fewer than two,
    it is the median of the classes.
    """
    rho = f"rho{tau}"
    known = [(row["class_name"], row[rho], row[kappa]) for row in rows if None not in (row[rho], row[kappa])]
    names, dense, convex = (np.array(of) for of in zip(*known, strict=True)) if known else (np.array([]),) * 3
    threshold = (np.quantile(dense, 1 - densest) if known else 0.0) if density == "quantile" else density
    eligible = (dense > threshold) & (convex < convexity)
    if is_median := bool(eligible.sum() < 2 and known):
        threshold = np.median(dense)
        eligible = (dense > threshold) & (convex < convexity)
    return Selection(frozenset(names[eligible].tolist()), float(threshold), is_median)
