"""What one accuracy is measured under, with its budget as a number."""

from collections.abc import Mapping
from typing import NamedTuple


class Condition(NamedTuple):
    """What one accuracy is measured under; `modality` is clean, audio, visual, both or majority."""

    dataset: str
    variant: str
    attack: str
    modality: str
    epsilon: float = 0.0

    def __str__(self) -> str:
        return f"{self.dataset}/{self.variant}/{self.attack}, {self.modality} at epsilon {self.epsilon:g}"


def reading(read: Mapping) -> Condition:
    """Return what a layout names: dataset, variant, attack, modality, epsilon.

    Raises:
        ValueError: a part is missing or unknown.
    """
    needed = Condition._fields
    if unknown := [name for name in read if name not in needed]:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(needed)}")
    if missing := [name for name in needed[:-1] if not read.get(name)]:
        raise ValueError(f"{', '.join(missing)} must be given")
    return Condition(**read)
