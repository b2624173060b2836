"""Percentages by name: weights of the accuracies under each modality."""

from collections.abc import Mapping

_THIRD = 1 / 3
MEASURES: Mapping[str, Mapping[str, float]] = {
    "clean": {"clean": 1},
    "X_A": {"audio": 1},
    "X_V": {"visual": 1},
    "X_AV": {"both": 1},
    "Avg": {"audio": _THIRD, "visual": _THIRD, "both": _THIRD},
    # Section 4.6 of Tian & Xu: their RI is the difference of two of these.
    "total": {"clean": 1, "audio": _THIRD, "visual": _THIRD, "both": _THIRD},
    # How much better a net does without its sound than without its frame.
    "visual_bias": {"audio": 1, "visual": -1},
}
