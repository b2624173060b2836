"""Which sound and picture each class of the rendered world has, by its number alone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# What `avrobust.data.world_sounds` and `world_pictures` have of each, which a test compares: they need numpy, and a
# plan must do without.
TIMBRES, REGISTERS, ENVELOPES = 5, 4, 3
SHAPES, TEXTURES = 7, 5
SOUNDS = TIMBRES * REGISTERS * ENVELOPES

# How much the classes vary within themselves, in turns: compact, middling and spread-out ones.
SPREADS = (0.5, 1.0, 2.0)


class ClassCode(NamedTuple):
    """What a class sounds like and looks like (numbers below `SOUNDS` and `PICTURES`), and how widely it varies."""

    sound: int
    picture: int
    spread: float


class AlikeError(ValueError):
    """Two classes, by number, would have one sound, or one picture: the numbers of their parents are alike."""

    def __init__(self, what: str, first: int, second: int, modulus: int):
        super().__init__(
            f"classes {first} and {second} would have one {what}: their parents are alike modulo {modulus}"
        )
        self.what, self.first, self.second, self.modulus = what, first, second, modulus


def class_codes(count: int, parents: Mapping[int, int] = MappingProxyType({})) -> list[ClassCode]:
    """The code of each of `count` classes; no two share a sound or a picture.

    `parents`: class -> the class that it is a kind of, each of one class at most: it has the timbre and register, shape
    and texture of that one, with an envelope, hue and motion of its own.

    Raises:
        ValueError: more classes than there are sounds to tell apart.
        AlikeError: two classes with parents would have one sound or picture.
    """
    alike_in_sound, alike_in_picture = TIMBRES * REGISTERS, SHAPES * TEXTURES
    most = SOUNDS - alike_in_sound if parents else SOUNDS
    if not 1 <= count <= most:
        raise ValueError(f"{count} classes: the rendered world has 1 to {most}" + " with parents" * bool(parents))
    codes = [ClassCode(number, number, SPREADS[number % len(SPREADS)]) for number in range(count)]
    taken: dict[tuple[str, int], int] = {}
    for child, parent in parents.items():
        sound = SOUNDS - alike_in_sound + parent % alike_in_sound
        # Beyond every number of a class, and not of the same hue.
        picture = 2 * alike_in_picture + parent % alike_in_picture
        for what, number, modulus in (("sound", sound, alike_in_sound), ("picture", picture, alike_in_picture)):
            if (other := taken.setdefault((what, number), child)) != child:
                raise AlikeError(what, other, child, modulus)
        codes[child] = ClassCode(sound, picture, codes[child].spread)
    return codes
