"""The pictures of the rendered world: a textured shape moves at given onsets over a random background."""

import numpy as np

# Everything is drawn in the object's own coordinates: u to the right, v down, half its size about 1. A shape
# is the depth of a point below its edge, positive inside, in that unit; a texture is a shade from -1 to 1.

# Radians per unit: two light and dark stripes across the object's half width.
STRIPES = np.float32(2 * np.pi * 2)

# The three counts are pairwise coprime, as `attributes` needs.
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
# What an onset sets off, a swing that dies away: how much of it goes across, down and into the tilt, turns per
# second, seconds to fall to 1/e. None is a tilt alone, which would not show on a plain disc.
MOTIONS = {
    "sway": ((1, 0, 0), 1.5, 0.35),
    "shake": ((1, 0, 0), 5.0, 0.12),
    "bounce": ((0, 1, 0), 2.5, 0.2),
    "rock": ((0.6, 0, 1), 2.5, 0.2),
}
PICTURES = len(SHAPES) * len(TEXTURES) * len(MOTIONS)

# In units of the frame's short side: half the object's size, the reach of its swing; in radians: its tilt.
SIZE_RANGE = (0.23, 0.32)
SWING, TILT = 0.07, 0.35


def attributes(picture: int) -> tuple[str, str, str]:
    """Shape, texture and motion of picture number `picture` (0 <= picture < PICTURES).

    Each is the number modulo a count; the counts are pairwise coprime, so that (by the Chinese remainder
    theorem) no two pictures agree in all three, the first 35 differ in shape or texture, and neighbours
    differ in everything. Raises `ValueError` for a number out of range.
    """
    if not 0 <= picture < PICTURES:
        raise ValueError(f"picture {picture} is not one of 0 to {PICTURES - 1}")
    shape, texture, motion = (list(names)[picture % len(names)] for names in (SHAPES, TEXTURES, MOTIONS))
    return shape, texture, motion


def swing(motion: str, times: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Displacement from rest at `times` (seconds, any shape), from -1 to 1; 0 before the first onset.

    The sum of one decaying sine per onset, softly limited.
    """
    _, frequency, decay = MOTIONS[motion]
    since = np.maximum(np.asarray(times)[..., None] - onsets, 0)
    return np.tanh(1.5 * (np.sin(2 * np.pi * frequency * since) * np.exp(-since / decay)).sum(-1))


def _colour(level: float, generator: np.random.Generator) -> np.ndarray:
    """A colour of a random hue with the given mean over red, green and blue: float32 of shape (3,)."""
    hue, saturation = generator.uniform(0, 2 * np.pi), generator.uniform(0.02, 0.06)
    return (level + saturation * np.cos(hue + np.arange(3) * 2 * np.pi / 3)).astype(np.float32)


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
    first, second = _colour(level, generator), _colour(level + 0.05, generator)
    return first + blend[..., None] * (second - first)


def _paint(
    picture: int, size: float, across: np.ndarray, down: np.ndarray, angle: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coverage (0 to 1) and shade (-1 to 1) of every pixel, float32 (frames, height, width) each.

    `across`, `down` (the centre) and `size` are in units of the frame's short side, `angle` in radians.
    """
    shape, texture, _ = attributes(picture)
    short = min(width, height)
    x = ((np.arange(width) + 0.5) / short - across[:, None])[:, None, :]
    y = ((np.arange(height) + 0.5) / short - down[:, None])[:, :, None]
    cosine, sine = (part[:, None, None] / size for part in (np.cos(angle), np.sin(angle)))
    u = (x * cosine).astype(np.float32) + (y * sine).astype(np.float32)
    v = (y * cosine).astype(np.float32) - (x * sine).astype(np.float32)
    # A pixel at the edge is half covered; the slope smooths the edge over one pixel.
    coverage = np.clip(SHAPES[shape](u, v) * np.float32(size * short) + np.float32(0.5), 0, 1)
    return coverage, TEXTURES[texture](u, v)


def film(
    picture: int, distractor: int | None, times: np.ndarray, onsets: np.ndarray, width: int, height: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, tuple[float, float, float, float]]:  # fmt: skip
    """The frames of a clip at `times` (seconds), and the smallest box that holds its object in all of them.

    The object has a random place, size, tilt and hue and moves at the `onsets`; a `distractor` is smaller and
    stands still, behind it. Returns uint8 (frames, height, width, 3) and (x0, y0, x1, y1), fractions of the
    frame's width and height.
    """
    frames = _background(width, height, generator)[None]
    short = min(width, height)
    if distractor is not None:
        size = generator.uniform(0.07, 0.1)
        across, down = (generator.uniform(size, side / short - size, size=1) for side in (width, height))
        coverage, shade = _paint(distractor, size, across, down, np.zeros(1), width, height)
        frames = _blend(frames, coverage, shade, generator)

    _, _, motion = attributes(picture)
    moved_across, moved_down, moved_tilt = np.outer(MOTIONS[motion][0], swing(motion, times, onsets))
    size = generator.uniform(*SIZE_RANGE)
    margin = size + SWING
    across, down = (generator.uniform(margin, side / short - margin) for side in (width, height))
    tilt = generator.uniform(-0.15, 0.15)
    across, down = across + SWING * moved_across, down + SWING * moved_down
    coverage, shade = _paint(picture, size, across, down, tilt + TILT * moved_tilt, width, height)
    frames = _blend(frames, coverage, shade, generator)

    seen = coverage.any(axis=0)
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    box = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    frames *= np.float32(255)
    frames += np.float32(0.5)
    return frames.astype(np.uint8), tuple(float(side) for side in box)


def _blend(frames: np.ndarray, coverage: np.ndarray, shade: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Lay an object of a random colour, a little lighter than any background, over `frames`."""
    colour = _colour(generator.uniform(0.48, 0.51), generator)
    contrast = np.float32(generator.uniform(0.025, 0.035))
    # In place, as this is the largest array: frames + coverage * (paint - frames).
    blended = (contrast * shade)[..., None] + (colour - frames)
    blended *= coverage[..., None]
    blended += frames
    return blended
