"""What a number is measured under: which net is attacked through which, by what, in which modality, how far."""

from collections.abc import Mapping
from typing import NamedTuple

# Which modalities each condition attacks.
ATTACKED: Mapping[str, tuple[str, ...]] = {
    "clean": (),
    "audio": ("audio",),
    "visual": ("visual",),
    "both": ("audio", "visual"),
}
UNDER_ATTACK = tuple(modality for modality, attacked in ATTACKED.items() if attacked)
# A modality that no file holds: always answering the label that is most frequent among the clips.
MAJORITY = "majority"
# A budget of the whole valid range, under which a sound attack leaves nothing recognised.
UNBOUNDED = "unbounded"
# What is measured whatever is attacked.
FREE = ("clean", MAJORITY)


class Condition(NamedTuple):
    """`modality` is a key of `ATTACKED` or `MAJORITY`; `budget` is a name, empty where nothing is attacked.

    `steps`: how many an attack takes; None for as many as it is defined with.
    """

    modality: str
    budget: str = ""
    steps: int | None = None

    def __str__(self) -> str:
        words = [self.modality, f"at {self.budget}" if self.budget else ""]
        return " ".join(filter(None, [*words, f"in {self.steps} steps" if self.steps else ""]))


CLEAN = Condition("clean")


class Reading(NamedTuple):
    """What one number is measured under: the answers of `victim` to clips that `attack` made with `surrogate`."""

    dataset: str
    surrogate: str
    victim: str
    attack: str
    condition: Condition

    def __str__(self) -> str:
        return f"{'/'.join(self.place)}, {self.condition}"

    @property
    def place(self) -> tuple[str, ...]:
        """The dataset, the nets (one where surrogate and victim are the same) and the attack."""
        nets = (self.surrogate,) if self.surrogate == self.victim else (self.surrogate, self.victim)
        return (self.dataset, *nets, self.attack)


def place(read: Mapping) -> dict:
    """Return `read` with the surrogate and the victim that its `variant` is short for."""
    short = {name: read["variant"] for name in ("surrogate", "victim") if "variant" in read}
    return short | {name: value for name, value in read.items() if name != "variant"}


def reading(read: Mapping) -> Reading:
    """Return what a layout names: dataset, variant (or surrogate, victim), attack, modality, budget, steps.

    Raises:
        ValueError: a part is missing, unknown or of no use.
    """
    given = place(read)
    condition = {name: given.pop(name) for name in Condition._fields if name in given}
    if missing := [name for name in (*Reading._fields[:-1], "modality") if not (given | condition).get(name)]:
        raise ValueError(f"{', '.join(missing)} must be given")
    if unknown := [name for name in given if name not in Reading._fields]:
        raise ValueError(f"unknown {', '.join(unknown)}")
    if condition["modality"] not in (*ATTACKED, MAJORITY):
        raise ValueError(f"modality {condition['modality']!r} is none of {', '.join((*ATTACKED, MAJORITY))}")
    if condition["modality"] in FREE:
        condition = {"modality": condition["modality"]}
    elif not condition.get("budget"):
        raise ValueError(f"modality {condition['modality']} needs a budget")
    return Reading(**given, condition=Condition(**condition))
