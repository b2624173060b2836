"""What a kind of artefact is to the grid, and to the program that makes one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from avrobust.spec.conditions import Reading

# What a need is of: rows of attacked clips, scores and clips to draw of a localisation net, embeddings, or whichever of
# the latter two has the score.
CELLS, LOCALISATION, EMBEDDINGS, SCORES = "cells", "localisation", "embeddings", "scores"
# How well a net ranks attacked clips, class by class, measured once for each file of cells.
METRICS = "metrics"
# What a net's training says of itself, whatever is read of the net.
TRAININGS = "trainings"
# What a net's training crafts of one clip.
CRAFTING = "crafting"
# How densely the training clips of each class lie in what a net's classifier gets, and how convex the class is there.
GEOMETRY = "geometry"
# What a model says in words that no job of ours has trained.
ANSWERS = "answers"


class Need(NamedTuple):
    """One thing that an artefact reads: `family` is one of those above.

    `example`: the class of which a clip is kept to be drawn, the clip whose crafting is, or the class of which the
    points of the clips are. `unseen`: it matters which clips' videos are trained on.
    `part`: what of the layout needs it, for messages.
    """

    family: str
    reading: Reading
    example: str = ""
    unseen: bool = False
    part: str = ""


def nothing(layout: object) -> Iterable[Need]:
    """What an artefact needs that is computed from no clip."""
    return ()


@dataclass(frozen=True)
class Kind:
    """A kind of artefact; the module of its name in `avrobust.report` measures, draws and writes it.

    What it is published as, after its name: `shown`, which a report of the whole shows, too, and `others`.
    `reads`: inputs of the program, of `avrobust.report.given.READS`.
    `parse`: from JSON to a layout, or a UserError that says what is wrong. `needs`: what a layout is computed from.
    `check_published`: what of the file of printed values a layout does not compare with; a UserError if that file has
    not all that it does.
    `facts`: what the layout says beside what its author wrote: citation, sources, seed, ...
    `stacked`: whether those of all papers also stand below each other in one file. `of_all`: whether `all` makes them;
    what they alone are made from is then made by no other target either.
    """

    shown: tuple[str, ...]
    others: tuple[str, ...]
    reads: tuple[str, ...]
    parse: Callable[[Any], Any]
    needs: Callable[[Any], Iterable[Need]] = nothing
    check_published: Callable[[Any, Path], list[str]] | None = None
    facts: tuple[str, ...] = ()
    stacked: bool = False
    of_all: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """What it is published as, after its name."""
        return (*self.shown, *self.others)
