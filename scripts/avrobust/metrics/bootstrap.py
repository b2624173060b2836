"""The two-level bootstrap: seeds with replacement, clips with replacement, the same for all conditions.

Because every condition sees the same draws, a difference or a mean of conditions keeps its pairing by clip:
combine the columns of `resampled_means` as the estimate is combined, then take the `interval`.

With few seeds the spread between trainings comes out too small: its variance by a factor (seeds - 1) / seeds,
which is nothing at all for one seed. Such an interval speaks about other clips, not about other trainings.
"""

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000

# Draws at a time, which bounds the memory: 100 x 20,000 clips are 16 MB.
_BLOCK = 100


def resampled_means(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means over seeds and clips in `resamples` resampled worlds: (resamples, conditions), float64.

    `values` is (conditions, seeds, clips), boolean or real, not empty. The draws of clips depend on
    `seed` and the number of clips only, so that two calls on the same clips are paired too. For booleans all
    sums are of whole numbers, hence exact and the same on every machine.
    """
    conditions, seeds, clips = values.shape
    seed_draws, clip_draws = np.random.default_rng(seed).spawn(2)
    seed_counts = _counts(seed_draws, resamples, seeds)
    flat = values.reshape(conditions * seeds, clips).astype(np.float64)
    sums = np.empty((resamples, conditions))
    for start in range(0, resamples, _BLOCK):
        block = seed_counts[start : start + _BLOCK]
        by_seed = (_counts(clip_draws, len(block), clips) @ flat.T).reshape(-1, conditions, seeds)
        sums[start : start + _BLOCK] = np.einsum("bcs,bs->bc", by_seed, block)
    return sums / (seeds * clips)


def interval(replicates: np.ndarray, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval (low, high) of a statistic, given its replicates along the first axis."""
    tail = (1 - level) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return low, high


def rule_of_three(rate: float, low: float, high: float, clips: int) -> tuple[float, float]:
    """The interval (low, high) of a rate in per cent, widened where the rate is exactly 0 or 100.

    Clips that are all alike leave nothing to resample: 95 % of the time, 0 of n stands for at most 3 / n.
    """
    bound = min(300 / clips, 100)
    if rate == 0:
        return low, max(high, bound)
    if rate == 100:
        return min(low, 100 - bound), high
    return low, high


def _counts(generator: np.random.Generator, draws: int, items: int) -> np.ndarray:
    """How often each item is drawn in `draws` samples of `items` out of `items`: (draws, items), float64."""
    picks = generator.integers(items, size=(draws, items)) + items * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * items).reshape(draws, items).astype(np.float64)
