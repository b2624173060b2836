"""How two values of the same things go together, such as of classes; for many replicates of them at a time."""

from collections.abc import Sequence

import numpy as np

# Of a variable of which less is left than this share, what others say of it is all there is.
_NOTHING = 1e-9


def pearson(x: np.ndarray, y: np.ndarray, given: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return Pearson's correlation along the first axis: two (N, R) -> (R,).

    `given`: further (N, R); what is linear in them is taken out of both first (partial correlation). NaN where there
    are too few things or one side has nothing left that varies.
    """
    if len(x) < len(given) + 3:
        return np.full(x.shape[1], np.nan)
    x, y, *others = (of - of.mean(axis=0) for of in (x, y, *given))
    left = _residuals([x, y], others) if others else [x, y]
    norms = [np.linalg.norm(of, axis=0) for of in left]
    there = [norm > _NOTHING * np.linalg.norm(of, axis=0) for norm, of in zip(norms, (x, y), strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (left[0] * left[1]).sum(axis=0) / (norms[0] * norms[1])
    return np.where(there[0] & there[1], found, np.nan)


def spearman(x: np.ndarray, y: np.ndarray, given: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return Spearman's: that of the ranks, as `pearson`; ties have their mean rank."""
    # A second to load, for what seldom ranks.
    from scipy.stats import rankdata

    return pearson(*(rankdata(of, axis=0) for of in (x, y)), [rankdata(of, axis=0) for of in given])


def _residuals(of: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What is left of centred (N, R) beside what is linear in centred `others`, replicate by replicate."""
    design = np.stack(others, axis=-1).transpose(1, 0, 2)  # (R, N, others)
    solved = np.linalg.pinv(design)
    return [one - (design @ (solved @ one.T[..., None]))[..., 0].T for one in of]
