"""A rendered dataset, checked: for who plans it and for who renders it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from avrobust.program import UserError
from avrobust.spec.class_codes import SOUNDS, AlikeError, ClassCode, class_codes

SPLITS = ("train", "val", "test")

# Sounding objects are drawn around the middle of the frame: more would cover one another.
MOST_LABELS = 4
# Clip ids have four digits.
MOST_CLIPS = 9999
# Bytes of a class in the name of a file: beside them stand the split, the number and what a part of a file is called.
MOST_NAME = 180
# The smallest frame side, of which half an object is an eighth (SIZE_RANGE of `avrobust.data.world_pictures`), four
# pixels, and still has a shape; and the shortest clip.
MINIMUM_SIDE, MINIMUM_SECONDS = 32, 0.5
# All frames of a clip are in memory at once.
MAXIMUM_SIDE, MAXIMUM_SECONDS = 4096, 600
# dB.
MOST_CLEARNESS = 60


class Clearness(NamedTuple):
    """How far a sounding object stands out on average, in dB: above another sound; in colour and texture."""

    sound: float = 0
    picture: float = 0


EVEN = Clearness()


@dataclass(frozen=True)
class Dataset:
    """What to render; what is not said of it is as its defaults. Raises `UserError` for what cannot be rendered.

    `classes`: their names; which sound and picture each has depends on their order and number only. `clips`: of the
    first class of each split; the last has `size_ratio` times fewer. A clip has up to `labels` labels; one of a class
    that `parents` names is of its parent too, whose sound and picture are like its own.
    `width`, `height` of the frames in pixels are even: H.264 stores colour at half the resolution.
    """

    name: str
    classes: tuple[str, ...]
    clips: dict[str, int]
    seconds: float
    width: int
    height: int
    seed: int
    clearness: Clearness = EVEN
    size_ratio: float = 1
    labels: int = 1
    parents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= SOUNDS:
            raise UserError(f"{len(self.classes)} classes given: a rendered dataset has 1 to {SOUNDS}; leave some out")
        named: dict[str, int] = {}
        for number, label in enumerate(self.classes):
            if not file_name(label):
                raise UserError(f"class {label!r} has no letter or digit that a file can be named after; rename it")
            if label.startswith("-"):
                raise UserError(f"class {label!r} would be an option of a command line; let it start with another sign")
            if len(file_name(label).encode()) > MOST_NAME:
                raise UserError(
                    f"class {label[:20]!r}...: longer than {MOST_NAME} bytes, too long for a file; rename it"
                )
            if (other := named.setdefault(file_name(label), number)) != number:
                raise UserError(f"classes {self.classes[other]!r} and {label!r} give the same file names; rename one")
        for split, count in self.clips.items():
            if split not in SPLITS:
                raise UserError(f"clips: split {split!r} is none of {', '.join(SPLITS)}; give one of these")
            if type(count) is not int or not 0 <= count <= MOST_CLIPS:
                raise UserError(f"clips of split {split!r}: {count!r} is not a whole number from 0 to {MOST_CLIPS}")
        if not any(self.clips.values()):
            raise UserError("no clips asked for: give at least one split more than 0 clips per class")
        if not MINIMUM_SECONDS <= self.seconds <= MAXIMUM_SECONDS:
            raise UserError(
                f"seconds {self.seconds:g}: a clip lasts {MINIMUM_SECONDS} to {MAXIMUM_SECONDS}; give one of these"
            )
        if not 1 <= self.size_ratio < math.inf:
            raise UserError(
                f"size_ratio {self.size_ratio:g}: the first class has as many clips as the last or more; give 1 or more"
            )
        if not 1 <= self.labels <= MOST_LABELS:
            raise UserError(f"labels {self.labels}: a clip has 1 to {MOST_LABELS}; give one of these")
        for name, decibels in self.clearness._asdict().items():
            if not abs(decibels) <= MOST_CLEARNESS:
                raise UserError(
                    f"clearness of the {name}: {decibels:g} dB is not from -{MOST_CLEARNESS} to {MOST_CLEARNESS}"
                )
        for side, pixels in (("width", self.width), ("height", self.height)):
            if not MINIMUM_SIDE <= pixels <= MAXIMUM_SIDE or pixels % 2:
                raise UserError(
                    f"{side} {pixels}: give an even number of pixels, {MINIMUM_SIDE} or more, {MAXIMUM_SIDE} at most"
                )
        self._check_parents()

    def _check_parents(self) -> None:
        if self.parents and self.labels == 1:
            raise UserError("parents: a clip of such a class has two labels, but labels is 1; give 2 or more")
        child_of: dict[str, str] = {}
        for child, parent in self.parents.items():
            for name in (child, parent):
                if name not in self.classes:
                    raise UserError(
                        f"parents: {name!r}, in {child}: {parent}, is not one of the classes; give one of "
                        + ", ".join(self.classes)
                    )
            if parent in self.parents:
                raise UserError(
                    f"parents: {child!r} is a kind of {parent!r}, and that of {self.parents[parent]!r}; "
                    "a parent has no parent, so leave one out"
                )
            if (other := child_of.setdefault(parent, child)) != child:
                raise UserError(
                    f"parents: {other!r} and {child!r} are both a kind of {parent!r}; a parent has one child, "
                    "so leave one out"
                )
        try:
            self.codes()
        except AlikeError as error:
            first, second = (self.classes[number] for number in (error.first, error.second))
            raise UserError(
                f"parents: {first!r} and {second!r} would have one {error.what}, because the places of "
                f"{self.parents[first]!r} and {self.parents[second]!r} among the classes are a multiple of "
                f"{error.modulus} apart; move one of these, or leave one out"
            ) from None
        except ValueError as error:
            raise UserError(f"{error}; leave some out") from None

    def codes(self) -> list[ClassCode]:
        """The code of each class."""
        number = self.classes.index
        return class_codes(len(self.classes), {number(child): number(of) for child, of in self.parents.items()})

    def sizes(self, split: str) -> list[int]:
        """How many clips of a split are made for each class."""
        return class_sizes(len(self.classes), self.clips.get(split, 0), self.size_ratio)


def file_name(label: str) -> str:
    """The label in lower case, `_` for all that is no letter or digit: "Church bell" -> "church_bell"."""
    return re.sub(r"[\W_]+", "_", label.lower()).strip("_")


def class_sizes(classes: int, most: int, ratio: float = 1) -> list[int]:
    """Return how many clips are rendered for each class of a split: `most` for the first, fewer for each that follows.

    The last has `most` / `ratio`, and sizes fall by equal factors; none is without a clip.
    """
    return [max(1, round(most * ratio ** (-number / max(classes - 1, 1)))) if most else 0 for number in range(classes)]
