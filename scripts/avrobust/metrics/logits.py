"""Rows of cells that hold logits, one condition of one net at a time: no more is in memory, however many there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from avrobust import parquet
from avrobust.files import remaking
from avrobust.metrics.schema import FLOAT, IDENTITY, KEY
from avrobust.program import UserError
from avrobust.spec.achieved import NORMS
from avrobust.spec.conditions import UNBOUNDED, Condition

# So many rows are read at a time.
ROWS = 4096
_OTHERWISE = "give a file from results/*/cells of nets that something ranks"


class Place(NamedTuple):
    """Whose gradients made the clips, who answers, by which attack."""

    surrogate: str
    victim: str
    attack: str


@dataclass(frozen=True)
class Logits:
    """What one victim said under one condition: clips sorted by name, (N,); logits float32 (N, C); targets bool (N, C).

    `norms`: column of `NORMS` -> (N,).
    """

    place: Place
    condition: Condition
    clips: list[str]
    logits: np.ndarray
    targets: np.ndarray
    norms: Mapping[str, np.ndarray]


def read_logits(path: str | Path) -> Iterator[Logits]:
    """Yield what a file holds of clips as floats, in its order; cells without logits, and what is unbounded, left out.

    Raises:
        UserError: it cannot be read, no row has logits, rows are not in order, a clip occurs twice in a condition, or
            a logit is no number.
    """
    parquet.metadata(path, (*KEY, "clip_id", "form", "label", "logits", *NORMS), IDENTITY, _OTHERWISE)
    seen: set[tuple] = set()
    for key, parts in groupby(_parts(path), key=lambda part: part[0]):
        (surrogate, victim, attack, *condition), table = key, pa.concat_tables(part for _, part in parts)
        names = table["clip_id"].to_pylist()
        if key in seen or sorted({*names}) != names:
            raise UserError(f"{path}: rows are not in order, or a clip occurs twice; {remaking(path)}")
        seen.add(key)
        logits = np.asarray(table["logits"].combine_chunks().flatten()).reshape(len(names), -1)
        if broken := [name for name, of in zip(names, np.isfinite(logits).all(axis=1), strict=True) if not of]:
            where = f"{surrogate}/{victim}/{attack}, {Condition(*condition)}"
            raise UserError(
                f"{path}: {where}: the logits of clip {broken[0]} are no numbers; look at the net's training"
            )
        norms = {name: np.asarray(table[name].combine_chunks()) for name in NORMS}
        place = Place(surrogate, victim, attack)
        targets = _targets(table["label"].to_pylist(), logits.shape)
        yield Logits(place, Condition(*condition), names, logits, targets, norms)


def _parts(path: str | Path) -> Iterator[tuple[tuple, pa.Table]]:
    """Rows of one condition as far as they follow each other in what is read at a time, by their key."""
    for batch in parquet.batches(path, [*KEY, "form", "clip_id", "label", "logits", *NORMS], ROWS):
        start = 0
        for (*key, form), some in groupby(zip(*(batch[name].to_pylist() for name in (*KEY, "form")), strict=True)):
            rows = batch.slice(start, len(list(some)))
            start += len(rows)
            if form == FLOAT and key[4] != UNBOUNDED and not rows["logits"].null_count:
                yield tuple(key), pa.Table.from_batches([rows])


def _targets(labels: list[int] | list[list[int]], shape: tuple[int, int]) -> np.ndarray:
    made = np.zeros(shape, bool)
    for number, of_clip in enumerate(labels):
        made[number, of_clip] = True
    return made
