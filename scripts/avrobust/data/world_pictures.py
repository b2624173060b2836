"""The pictures of the rendered world: textured objects over a random background, each still or moving at onsets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Everything is drawn in the object's own coordinates: u to the right, v down, half its size about 1. A shape
# is the depth of a point below its edge, positive inside, in that unit; a texture is a shade from -1 to 1.

# Radians per unit: two light and dark stripes across the object's half width.
STRIPES = np.float32(2 * np.pi * 2)

# The four counts are pairwise coprime, as `attributes` needs.
SHAPES = {
    "disc": lambda u, v: 0.9 - np.hypot(u, v),
    "ring": lambda u, v: 0.27 - np.abs(np.hypot(u, v) - 0.73),
    "triangle": lambda u, v: 0.55 - np.maximum(v - 0.25, 0.87 * np.abs(u) - 0.5 * (v - 0.25)),
    "square": lambda u, v: 0.85 - np.maximum(np.abs(u), np.abs(v)),
    "bar": lambda u, v: np.minimum(1 - np.abs(u), 0.4 - np.abs(v)),
    "cross": lambda u, v: np.minimum(1 - np.maximum(abs(u), abs(v)), 0.3 - np.minimum(abs(u), abs(v))),
    "hourglass": lambda u, v: np.minimum(0.9 - abs(v), 0.1 + 0.7 * abs(v) - 0.8 * abs(u)),
}
TEXTURES = {
    "plain": lambda u, v: np.zeros_like(u),
    "rows": lambda u, v: np.sin(STRIPES * v),
    "columns": lambda u, v: np.sin(STRIPES * u),
    "checks": lambda u, v: np.sin(STRIPES * u) * np.sin(STRIPES * v),
    "circles": lambda u, v: np.sin(STRIPES * np.hypot(u, v)),
}
HUES = 9
# What an onset sets off, a swing that dies away: how much of it goes across, down and into the tilt, turns per
# second, seconds to fall to 1/e. None is a tilt alone, which would not show on a plain disc.
MOTIONS = {
    "sway": ((1, 0, 0), 1.5, 0.35),
    "shake": ((1, 0, 0), 5.0, 0.12),
    "bounce": ((0, 1, 0), 2.5, 0.2),
    "rock": ((0.6, 0, 1), 2.5, 0.2),
}
PICTURES = len(SHAPES) * len(TEXTURES) * HUES * len(MOTIONS)

# Where a class is found: fine grain over the whole scene, at an angle (of 90 degrees; a mirror image is the same), of a
# period (of the short side) and in a hue. The three counts are pairwise coprime.
ANGLES = (0.0, 0.25, 0.5, 0.75, 1.0)
PERIODS = (0.055, 0.08, 0.115, 0.165)
GRAIN = 0.02
CAST = 0.5

# What no class looks like: an upright egg without texture or colour.
BYSTANDER = (lambda u, v: 0.8 - np.hypot(u * (1.3 + 0.3 * v), v), TEXTURES["plain"])

# In units of the frame's short side: half the object's size, the reach of its swing, how far from the frame's
# middle its own is; in radians: its tilt.
SIZE_RANGE = (0.12, 0.17)
SWING, TILT = 0.05, 0.35
RING = (0.2, 0.3)
# Half the diagonal of the largest shape, a square, in units of half its size.
REACH = 1.25
# Of the pixels' range: how far an object's colour and texture stand out at 0 dB.
CHROMA, CONTRAST = 0.045, 0.03


@dataclass(frozen=True)
class Seen:
    """An object in view: what it looks like (a number below `PICTURES`, None a bystander), when it moves, how clear.

    `onsets`: seconds, ascending; none: it stands still. `clearness`: of its colour and texture, in dB. `spread`: how
    widely its colour varies.
    """

    picture: int | None
    onsets: np.ndarray
    clearness: float = 0.0
    spread: float = 1.0


def attributes(picture: int) -> tuple[str, str, int, str]:
    """Shape, texture, hue (below `HUES`) and motion of picture number `picture` (0 <= picture < PICTURES).

    Each is the number modulo a count; the counts are pairwise coprime, so that (by the Chinese remainder
    theorem) no two pictures agree in all four, the first 35 differ in shape or texture, and neighbours
    differ in everything. Raises `ValueError` for a number out of range.
    """
    if not 0 <= picture < PICTURES:
        raise ValueError(f"picture {picture} is not one of 0 to {PICTURES - 1}")
    shape, texture, motion = (list(names)[picture % len(names)] for names in (SHAPES, TEXTURES, MOTIONS))
    return shape, texture, picture % HUES, motion


def swing(motion: str, times: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Displacement from rest at `times` (seconds, any shape), from -1 to 1; 0 before the first onset.

    The sum of one decaying sine per onset, softly limited.
    """
    _, frequency, decay = MOTIONS[motion]
    since = np.maximum(np.asarray(times)[..., None] - onsets, 0)
    return np.tanh(1.5 * (np.sin(2 * np.pi * frequency * since) * np.exp(-since / decay)).sum(-1))


def film(
    objects: Sequence[Seen],
    scene: Sequence[tuple[int, float]],
    times: np.ndarray,
    width: int,
    height: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, list[tuple[float, float, float, float]]]:
    """The frames of a clip at `times` (seconds), and for each of the `objects` the smallest box that holds it in all.

    They stand around the middle of the frame, each at a random distance, size and tilt, the later ones in front.
    Returns uint8 (frames, height, width, 3) and (x0, y0, x1, y1), fractions of the frame's width and height.
    """
    still = _background(width, height, generator)
    for place, level in scene:
        still += np.float32(GRAIN * 10 ** (level / 20)) * _grain(place, width, height, generator)
    frames = np.repeat(still[None], len(times), axis=0)
    angles = generator.uniform(0, 2 * np.pi) + 2 * np.pi / len(objects) * (
        np.arange(len(objects)) + generator.uniform(-0.15, 0.15, len(objects))
    )
    boxes = [_place(frames, seen, angle, times, generator) for seen, angle in zip(objects, angles, strict=True)]
    frames *= np.float32(255)
    frames += np.float32(0.5)
    return frames.astype(np.uint8), boxes


def _colour(level: float, hue: float, chroma: float) -> np.ndarray:
    """A colour of the given hue (radians) and mean over red, green and blue: float32 of shape (3,)."""
    return (level + chroma * np.cos(hue + np.arange(3) * 2 * np.pi / 3)).astype(np.float32)


def _background(width: int, height: int, generator: np.random.Generator) -> np.ndarray:
    """A gradient between two colours in a random direction plus smooth noise: float32 (height, width, 3)."""
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    direction = generator.uniform(0, 2 * np.pi)
    blend = (0.5 + 0.7 * (np.cos(direction) * x + np.sin(direction) * y)).astype(np.float32)
    for _ in range(4):
        across, down, phase = generator.uniform((-3, -3, 0), (3, 3, 1))
        blend += np.float32(0.15) * np.sin(2 * np.pi * (across * x + down * y + phase)).astype(np.float32)
    level = generator.uniform(0.40, 0.44)
    first, second = (
        _colour(of, generator.uniform(0, 2 * np.pi), generator.uniform(0.01, 0.02)) for of in (level, level + 0.05)
    )
    return first + blend[..., None] * (second - first)


def _grain(place: int, width: int, height: int, generator: np.random.Generator) -> np.ndarray:
    """The grain of scene number `place`, of amplitude 1: float32 (height, width, 3)."""
    angle = ANGLES[place % len(ANGLES)] * np.pi / 2
    turns = 1 / (PERIODS[place % len(PERIODS)] * min(width, height) * generator.uniform(0.95, 1.05))
    x, y = np.arange(width) * np.cos(angle) * turns, np.arange(height)[:, None] * np.sin(angle) * turns
    one, other = generator.uniform(0, 1, 2)
    waves = np.sin(2 * np.pi * (x + y + one)) + np.sin(2 * np.pi * (x - y + other))
    hue = 2 * np.pi * (place % HUES) / HUES + generator.uniform(-0.15, 0.15)
    return (0.7 * waves)[..., None].astype(np.float32) + np.float32(CAST) * _colour(0, hue, 1.0)


def _place(
    frames: np.ndarray, seen: Seen, angle: float, times: np.ndarray, generator: np.random.Generator
) -> tuple[float, float, float, float]:
    """Lay an object over `frames`, float32 (frames, height, width, 3) in [0, 1], in place; return its box."""
    height, width = frames.shape[1:3]
    short = min(width, height)
    size, away = generator.uniform(*SIZE_RANGE), generator.uniform(*RING)
    tilt, level, jitter = generator.uniform((-0.15, 0.48, -0.15), (0.15, 0.51, 0.15))
    strength = 10 ** (seen.clearness / 20)
    if seen.picture is None:
        (shape, texture), motion, hue = BYSTANDER, list(MOTIONS)[int(generator.integers(len(MOTIONS)))], 0.0
        chroma = contrast = 0.0
    else:
        named, textured, hue, motion = attributes(seen.picture)
        shape, texture = SHAPES[named], TEXTURES[textured]
        hue = 2 * np.pi * hue / HUES + seen.spread * jitter
        chroma, contrast = CHROMA * strength, CONTRAST * strength
    if seen.picture is None and not len(seen.onsets):
        times = times[:1]  # as it is in all
    across, down, tilted = np.outer(MOTIONS[motion][0], swing(motion, times, seen.onsets))
    across = width / short / 2 + away * np.cos(angle) + SWING * across
    down = height / short / 2 + away * np.sin(angle) + SWING * down

    # Only the pixels that it ever touches are computed.
    reach = REACH * size
    columns = _touched(across, reach, width, short)
    rows = _touched(down, reach, height, short)
    x = ((columns + 0.5) / short - across[:, None])[:, None, :]
    y = ((rows + 0.5) / short - down[:, None])[:, :, None]
    turned = tilt + TILT * tilted
    cosine, sine = (part[:, None, None] / size for part in (np.cos(turned), np.sin(turned)))
    u = (x * cosine).astype(np.float32) + (y * sine).astype(np.float32)
    v = (y * cosine).astype(np.float32) - (x * sine).astype(np.float32)
    # A pixel at the edge is half covered; the slope smooths the edge over one pixel.
    coverage = np.clip(shape(u, v) * np.float32(size * short) + np.float32(0.5), 0, 1)
    shade = np.float32(contrast) * light(times, generator)[:, None, None] * texture(u, v)
    part = frames[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # In place: part + coverage * (paint - part).
    paint = _colour(level, hue, chroma) + shade[..., None] - part
    paint *= coverage[..., None]
    part += paint

    covered = coverage.any(axis=0)
    inside = columns[covered.any(axis=0)], rows[covered.any(axis=1)]
    (left, right), (top, bottom) = ((int(one[0]), int(one[-1]) + 1) for one in inside)
    return left / width, top / height, right / width, bottom / height


def _touched(centres: np.ndarray, reach: float, side: int, short: int) -> np.ndarray:
    first, last = np.floor((centres.min() - reach) * short), np.ceil((centres.max() + reach) * short)
    return np.arange(max(int(first), 0), min(int(last), side))


def light(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """How clearly texture shows at `times`, around 1 and from 0.4 to 1.6: no frame tells as much as all together."""
    turns, phase = generator.uniform((0.3, 0), (0.9, 1))
    return (1 + 0.6 * np.sin(2 * np.pi * (turns * times + phase))).astype(np.float32)
