"""How many clips of a rendered dataset there are, for who plans it and for who renders it."""

from collections.abc import Mapping


def class_sizes(classes: int, most: int, ratio: float = 1.0) -> list[int]:
    """Return how many clips are rendered for each class of a split: `most` for the first, fewer for each that follows.

    The last has `most` / `ratio`, and sizes fall by equal factors; none is without a clip.
    """
    return [max(1, round(most * ratio ** (-number / max(classes - 1, 1)))) if most else 0 for number in range(classes)]


def rendered_count(classes: int, rendered: Mapping, split: str) -> int:
    """Return the number of clips of a split."""
    return sum(class_sizes(classes, rendered[split], rendered.get("size_ratio", 1.0)))
