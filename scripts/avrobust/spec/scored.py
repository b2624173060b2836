"""Scores of clips that are localised or embedded, each with what it lies between by its definition."""

from collections.abc import Mapping
from math import inf

SCORED: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("recognised", "pointing", "mass", "pointing_other_boxes", "mass_other_boxes"), (0.0, 1.0)),
    **dict.fromkeys(("position_share", "centre_pointing", "peak_shift"), (0.0, 1.0)),
    **dict.fromkeys(("pointing_above_floor", "mass_above_floor", "correlation"), (-1.0, 1.0)),
    **dict.fromkeys(("silhouette_audio", "silhouette_visual"), (-1.0, 1.0)),
    **dict.fromkeys(("ratio_audio", "ratio_visual", "shift_audio", "shift_visual"), (0.0, inf)),
}
