"""The sounds of the rendered world: timbre, pitch register and envelope, played as notes at given onsets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TAU = np.float32(2 * np.pi)


def _harmonics(*amplitudes: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """A timbre with the given amplitudes at 1, 2, 3, ... times the pitch."""

    def timbre(phase: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        partials = (np.float32(a) * np.sin(np.float32(order) * phase) for order, a in enumerate(amplitudes, 1) if a)
        return sum(partials, np.float32(0))

    return timbre


def _bell(phase: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Frequency modulation at an irrational ratio: inharmonic partials on both sides of the pitch."""
    return np.sin(phase + np.float32(2.5) * np.sin(np.float32(np.sqrt(2)) * phase))


def _breath(phase: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A band of noise around the pitch: slow noise, a new value every 32 samples, times a carrier."""
    step = 32
    knots = generator.standard_normal(len(phase) // step + 2, dtype=np.float32)
    slow = np.interp(np.arange(len(phase)) / step, np.arange(len(knots)), knots).astype(np.float32)
    return slow * np.sin(phase)


# The three counts are pairwise coprime, as `attributes` needs.
TIMBRES = {
    "pure": _harmonics(1),
    "odd": _harmonics(0.8, 0, 0.7, 0, 0.5),
    "bright": _harmonics(0.2, 0.9, 0.8, 0.4),
    "bell": _bell,
    "breath": _breath,
}
REGISTERS = {"bass": 180.0, "tenor": 360.0, "alto": 720.0, "treble": 1440.0}  # centres, Hz
ENVELOPES = {
    "percussive": lambda since: np.exp(since / np.float32(-0.09)),
    "sustained": np.ones_like,
    "tremolo": lambda since: np.float32(0.6) + np.float32(0.4) * np.cos(TAU * np.float32(11) * since),
}
SOUNDS = len(TIMBRES) * len(REGISTERS) * len(ENVELOPES)

# Semitones either side of a register's centre, at a spread of 1; registers are 12 apart.
PITCH_RANGE = 2.5
ATTACK, RELEASE = 0.004, 0.015  # seconds; no clicks at the ends of a note


@dataclass(frozen=True)
class Heard:
    """A sound that is played: its number, when its notes start (seconds, ascending), its level in dB, its spread."""

    sound: int
    onsets: np.ndarray
    level: float
    spread: float


def attributes(sound: int) -> tuple[str, str, str]:
    """Timbre, register and envelope of sound number `sound` (0 <= sound < SOUNDS).

    Each is the number modulo a count; the counts are pairwise coprime, so that (by the Chinese remainder
    theorem) no two sounds agree in all three, the first 20 differ in timbre or register, and neighbours
    differ in everything. Raises `ValueError` for a number out of range.
    """
    if not 0 <= sound < SOUNDS:
        raise ValueError(f"sound {sound} is not one of 0 to {SOUNDS - 1}")
    timbre, register, envelope = (list(names)[sound % len(names)] for names in (TIMBRES, REGISTERS, ENVELOPES))
    return timbre, register, envelope


def draw_onsets(seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Times of the notes of one clip in seconds, ascending, float64: 2 to 5 per second, at irregular gaps.

    The first lies within the first 0.3 seconds and the first half of the clip, so there is always one.
    """
    mean_gap = 1 / generator.uniform(2, 5)
    first = generator.uniform(0.05, 0.3) * min(1, seconds)
    gaps = mean_gap * generator.uniform(0.6, 1.4, size=int(seconds / (0.6 * mean_gap)) + 1)
    onsets = first + np.concatenate([[0.0], np.cumsum(gaps)])
    return onsets[onsets < seconds - min(0.1, seconds / 2)]


def play(
    sound: int, onsets: np.ndarray, seconds: float, rate: int, generator: np.random.Generator, spread: float = 1.0
) -> np.ndarray:
    """Play sound number `sound` as one note per onset, each until the next one.

    Every note has its own pitch within the sound's range, which is `spread` times as wide, and its own gain.
    Returns float32 of shape (round(seconds * rate),), peak about 1, exactly 0 before the first onset.
    """
    timbre, register, envelope = attributes(sound)
    length = round(seconds * rate)
    starts = np.round(onsets * rate).astype(np.int64)
    ends = np.append(starts[1:], length)
    pitches = REGISTERS[register] * 2 ** (spread * generator.uniform(-PITCH_RANGE, PITCH_RANGE, len(starts)) / 12)
    gains = generator.uniform(0.3, 1, len(starts))

    wave = np.zeros(length, dtype=np.float32)
    for start, end, pitch, gain in zip(starts, ends, pitches, gains, strict=True):
        since = np.arange(end - start, dtype=np.float32) / np.float32(rate)
        until = since[::-1] + np.float32(1 / rate)
        edges = np.float32(gain) * np.minimum(
            np.minimum(since / np.float32(ATTACK), until / np.float32(RELEASE)), np.float32(1)
        )
        wave[start:end] = (
            TIMBRES[timbre](TAU * np.float32(pitch) * since, generator) * ENVELOPES[envelope](since) * edges
        )
    return wave


def soundtrack(
    played: Sequence[Heard], seconds: float, rate: int, channels: int, generator: np.random.Generator
) -> np.ndarray:
    """The sound of a clip: all that is played, and noise; at a random gain.

    Returns float32 of shape (round(seconds * rate), channels), channels 1 or 2; the mean over channels has a
    peak between 0.1 and 0.3 of full scale.
    """
    wave = np.float32(10 ** generator.uniform(-2, -1.3)) * generator.standard_normal(
        round(seconds * rate), dtype=np.float32
    )
    for one in played:
        gain = np.float32(10 ** (one.level / 20))
        wave += gain * play(one.sound, one.onsets, seconds, rate, generator, one.spread)
    wave *= np.float32(0.1 * 3 ** generator.uniform(0, 1)) / np.abs(wave).max()
    if channels == 1:
        return wave[:, None]
    pan = np.float32(generator.uniform(-0.4, 0.4))
    return wave[:, None] * np.array([1 - pan, 1 + pan], dtype=np.float32)
