"""How much a job computes beside the largest one of its kind, so that it asks for time and memory accordingly.

Work is counted in forward passes of one clip; a forward and a backward pass count as three. How long a pass takes
depends on the machine, which nobody knows here: a scale says what the largest job may take, and all others get their
share of that.
"""

from collections.abc import Sequence
from math import ceil

GRADIENT = 3
# An attacked clip may be answered as floats, rounded and truncated.
FORMS = 3
# A clip of ten seconds at the paper's sizes takes one thread 0.38 s to put back, encode and decode
# (benchmarks/encoding.py): as long as so many passes may take in the largest job of the paper scale, 6.7 ms each.
ENCODING = 60

# R(2+1)D-18 on ten windows of 16 pictures of 112 x 112 is 400 GMAC, the nets on its features about 4.
EXTRACTOR = 100

# What a job may take before it does anything, in minutes: a queue's file system that reads slowly, imports, the clips.
START = 10

# So many clips keep a process busy for four seconds, at 109 samples a second (docs/benchmarks.md, reading).
CLIPS_PER_THREAD = 400

# Bytes that a job which measures classes holds of a clip: 1,024 features, and half of them once more for the largest
# class. And how often it looks at a clip that may be of several classes, each of which it interpolates by itself.
MEASURED_BYTES = 6144
MEASURED_LOOKS = 4

# What a job needs of the scale's memory before it holds any clip: torch, CUDA, the net.
MEMORY_AT_START = 0.25


def attack_passes(clips: int, steps: Sequence[int], answered: int, gradients: int = 1) -> int:
    """Return the work of an attack of so many `steps` under each condition on each clip, and of so many answers to it.

    A step takes so many `gradients`: of copies, points of a path, nets of an ensemble. Those at the clean clip are
    shared by all conditions; an attack of no step takes none.
    """
    taken = bool(sum(steps)) + sum(max(0, one - 1) for one in steps)
    return clips * (GRADIENT * gradients * taken + answered)


def encoding_passes(clips: int, conditions: int, threads: int) -> int:
    """Return the work of putting each clip through H.264 and AAC under each of `conditions`, `threads` at a time.

    An answer to each is counted too.
    """
    return ceil(clips * conditions * (1 + ENCODING / threads))


def training_passes(clips: int, epochs: int, crafting: float = 0) -> int:
    """Return the work of a training, whose clips are attacked by so many gradients before each step."""
    return ceil(GRADIENT * clips * epochs * (1 + crafting))


def table_passes(clips: int, classes: int, modalities: int) -> int:
    """Return the work of what an objective measures of so many clips: the gradient of each class in each modality.

    A modality is a half of the net, seen once; each class is a backward pass through it.
    """
    return ceil(clips * modalities / 2 * (1 + (GRADIENT - 1) * classes))


def minutes(most: int, work: int, most_work: int) -> int:
    """Return a job's share of `most` minutes: what every job takes to start, and of the rest by its work."""
    return min(most, START + ceil((most - START) * work / most_work))


def memory_mb(most: int, clips: int, batch: int) -> int:
    """Return a job's share of `most` MB: it holds a batch, or fewer clips where there are fewer."""
    return ceil(most * (MEMORY_AT_START + (1 - MEMORY_AT_START) * min(1, clips / batch)))


def measuring_mb(clips: int) -> int:
    """Return the memory in MB that the features of so many clips take whose classes are measured."""
    return ceil(clips * MEASURED_BYTES / 1e6)


def threads(most: int, clips: int) -> int:
    """Return how many threads have clips to read, at most `most`."""
    return min(most, ceil(clips / CLIPS_PER_THREAD) or 1)
