"""The units of what published CSV files hold; docs/results.md says the same to readers.

The column `unit` of a line is that of its measured values: published, ours, value, mean, effect, accuracy, reference,
counts of clips or parameters, and the ends of their intervals. Some columns have the same unit in every file: `FIXED`.
"""

from collections.abc import Mapping

PERCENT, POINTS, SCORE, CLIPS, PARAMETERS, NONE = "percent", "points", "score", "clips", "parameters", "none"
COUNT = "count"
UNITS: Mapping[str, str] = {
    PERCENT: "hundredths: of clips, of a map's weight, of a picture's diagonal",
    POINTS: "percentage points, the difference of two percentages",
    SCORE: "as the measure is defined, a share then being from 0 to 1",
    CLIPS: "a count of clips",
    PARAMETERS: "a count of numbers that a net learns",
    COUNT: "a count for each clip, of what the column names",
    NONE: "no unit: places in a t-SNE, whose axes mean nothing",
}
FIXED: Mapping[str, str] = {
    **dict.fromkeys(("difference", "difference_low", "difference_high"), f"{POINTS}; of a {SCORE} in its own unit"),
    **dict.fromkeys(("above_any", "above_any_low", "above_any_high"), POINTS),
    "n": CLIPS,
    "seeds": "a count of trainings",
    **dict.fromkeys(("cost", "change"), POINTS),
    **dict.fromkeys(
        ("epsilon", "epsilon_audio", "epsilon_visual", "norm_audio", "norm_visual"),
        "as the paper counts it, of the values that the net gets",
    ),
    **dict.fromkeys(("p_holds", "p_fails", "p_fails_holm"), "a probability"),
    "comparisons": "a count: of clips where the unit is clips, else of conditions or cells",
    "signs": "a count, of the comparisons",
}
# Of maps and embeddings, what is no percentage.
_SCORES = ("correlation", "silhouette", "ratio", "shift")


def of_measure(name: str) -> str:
    """Return the unit of a measure of maps or embeddings, as published."""
    if name.endswith("_above_floor"):
        return POINTS
    return SCORE if name in _SCORES else PERCENT
