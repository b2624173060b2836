"""One cell made twice, with gradients in a lower precision and in float32, condition by condition."""

from collections.abc import Iterator

import numpy as np

from avrobust.metrics.bootstrap import mean
from avrobust.metrics.rows import Cell
from avrobust.program import UserError

COLUMNS = (
    "scale", "precision", "dataset", "variant", "seed", "attack", "modality", "epsilon", "n", "accuracy", "float32",
    "float32_low", "float32_high", "difference", "difference_low", "difference_high", "same_predictions",
    "inside_interval",
)  # fmt: skip


def compared(lower: Cell, float32: Cell) -> Iterator[tuple]:
    """Yield what COLUMNS name after the first two, a row per condition, in per cent and points of 100.

    `accuracy` is that of `lower`; intervals are of other clips, the difference paired by clip;
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
        right, wanted = 100.0 * (ours == lower.labels)[None], 100.0 * (reference == lower.labels)[None]
        exact, difference = mean(wanted, 0, 100), mean(right - wanted, -100, 100)
        accuracy, low, high = float(right.mean()), exact.low(), exact.high()
        figures = [accuracy, exact.value, low, high, difference.value, difference.low(), difference.high()]
        figures.append(100 * float((ours == reference).mean()))
        inside = "yes" if low <= accuracy <= high else "no"
        identity = (lower.dataset, lower.variant, lower.seed, lower.attack, modality, f"{epsilon:g}", n)
        yield (*identity, *(f"{float(value):.2f}" for value in figures), inside)
