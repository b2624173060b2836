"""One cell made twice, with gradients in a lower precision and in float32, condition by condition."""

from collections.abc import Iterator

import numpy as np

from avrobust.metrics.bootstrap import interval, resampled_means, rule_of_three
from avrobust.metrics.rows import Cell
from avrobust.program import UserError

COLUMNS = (
    "scale", "precision", "dataset", "variant", "seed", "attack", "modality", "epsilon", "n", "accuracy", "float32",
    "float32_low", "float32_high", "difference", "difference_low", "difference_high", "same_predictions",
    "inside_interval",
)  # fmt: skip


def compared(lower: Cell, float32: Cell) -> Iterator[tuple]:
    """Yield what COLUMNS name after the first two, a row per condition, in per cent and points of 100.

    `accuracy` is that of `lower`; intervals are bootstrapped over clips, the difference paired by clip;
    `inside_interval` says whether `accuracy` lies in the interval of float32's.

    Raises:
        UserError: they are not the same cell, or were not measured on the same clips and conditions.
    """
    if (lower.dataset, lower.variant, lower.attack, lower.seed) != (
        float32.dataset, float32.variant, float32.attack, float32.seed,
    ):  # fmt: skip
        raise UserError(f"{lower.dataset}/{lower.variant}/{lower.attack} is compared with another cell; give the same")
    if not np.array_equal(lower.clips, float32.clips) or lower.predictions.keys() != float32.predictions.keys():
        raise UserError("the two cells hold other clips or conditions; make both again from the same data")
    n = len(lower.clips)
    for modality, epsilon in sorted(lower.predictions):
        ours, reference = lower.predictions[modality, epsilon], float32.predictions[modality, epsilon]
        right = np.stack([ours == lower.labels, reference == lower.labels])[:, None]
        accuracy, exact = 100 * right.mean(axis=(1, 2))
        drawn = 100 * resampled_means(right)
        low, high = rule_of_three(exact, *map(float, interval(drawn[:, 1])), n)
        by = interval(drawn[:, 0] - drawn[:, 1])
        figures = [accuracy, exact, low, high, accuracy - exact, *by, 100 * float((ours == reference).mean())]
        inside = "yes" if low <= accuracy <= high else "no"
        identity = (lower.dataset, lower.variant, lower.seed, lower.attack, modality, f"{epsilon:g}", n)
        yield (*identity, *(f"{float(value):.2f}" for value in figures), inside)
