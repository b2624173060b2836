"""How densely the clips of a class lie in a feature space: Li et al. (ICASSP 2022), equation 7.

    rho = (n - n_tau) / (log V(R) - log V(R_tau))

with n clips around their mean, n_tau = tau n, R the distance of the farthest one, R_tau the tau-quantile of the
distances, and V the volume of a ball.
"""

from math import lgamma, log

import numpy as np

# Points of which differences to a mean are held at a time, in float64.
AT_ONCE = 4096


def log_volume(radius: float, dimensions: int, norm: float = 2.0, exponent: int | None = None) -> float:
    """Return the logarithm of the volume of a ball of a p-norm: V = (2 Gamma(1/p + 1) R)^d / Gamma(d/p + 1).

    `exponent`: in the place of d there; the paper prints 2, which is right in a plane alone.
    """
    exponent = dimensions if exponent is None else exponent
    return exponent * (log(2) + lgamma(1 / norm + 1) + log(radius)) - lgamma(dimensions / norm + 1)


def distances(points: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each of (n, d) points to their mean: float64 (n,)."""
    mean = points.mean(axis=0, dtype=np.float64)
    parts = (points[start : start + AT_ONCE] - mean for start in range(0, len(points), AT_ONCE))
    return np.concatenate([np.linalg.norm(part, axis=1) for part in parts])


def density(
    distances: np.ndarray, dimensions: int, tau: float, exponent: int | None = None, outermost: float = 1.0
) -> float:
    """Return rho between the quantiles `tau` and `outermost` of the distances (n,); nan where it is not defined.

    That is where both radii are the same but for rounding, or the smaller one is 0. `outermost` = 0.99 leaves out the
    one clip that decides about R.
    """
    inner, outer = np.quantile(distances, [tau, outermost])
    if not 0 < inner < outer * (1 - 1e-9):
        return float("nan")
    larger, smaller = (log_volume(radius, dimensions, exponent=exponent) for radius in (outer, inner))
    return (outermost - tau) * len(distances) / (larger - smaller)
