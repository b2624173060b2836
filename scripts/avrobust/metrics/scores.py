"""Scores: what each clip got in a measure that is no recognition, such as an overlap or a silhouette."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avrobust import parquet
from avrobust.files import replacing
from avrobust.program import UserError
from avrobust.spec.conditions import Condition
from avrobust.spec.scored import SCORED

SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("label", pa.int16()),
        ("modality", pa.string()),
        ("budget", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
    ]
)
IDENTITY = ("dataset", "variant", "seed", "attack")


def bounds(measure: str) -> tuple[float, float]:
    """What the values of a measure lie between; infinite where there is no end, or none is known."""
    return SCORED.get(measure, (-inf, inf))


class Score(NamedTuple):
    """What one mean is taken of: a net under an attack on itself; `measure` is the program's own word."""

    dataset: str
    variant: str
    attack: str
    condition: Condition
    measure: str

    def __str__(self) -> str:
        return f"{self.measure} of {self.dataset}/{self.variant}/{self.attack}, {self.condition}"


@dataclass(frozen=True)
class Values:
    """Scores of the same clips with the same seeds: `values` is float64, (scores, seeds, clips)."""

    values: np.ndarray
    seeds: tuple[int, ...]
    clips: tuple[str, ...]


def write_scores(path: str | Path, identity: Mapping[str, object], columns: Mapping[str, Sequence]) -> None:
    """Write rows of clip x modality x budget x measure, whole or not at all.

    `identity` has dataset, variant, seed and attack; `columns` those of `SCHEMA`, all of one length.
    """
    order = [(name, "ascending") for name in ("measure", "modality", "budget", "clip_id")]
    table = parquet.table(SCHEMA, columns).sort_by(order)
    table = table.replace_schema_metadata({name: str(identity[name]) for name in IDENTITY})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


class Scores:
    """Score files, found by dataset, variant, attack and seed."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._values: dict[tuple[str, str, str], dict[int, dict[tuple, dict[str, float]]]] = {}
        for path in paths:
            self._add(path)

    def values(self, scores: Sequence[Score]) -> Values:
        """Return the values of `scores` (at least one), clip by clip, for all seeds.

        Raises:
            UserError: a score was not measured, or not on the clips and with the seeds of the first one, or is not what
                it can be.
        """
        found = [self._found(score) for score in scores]
        seeds = tuple(sorted(found[0]))
        clips = tuple(sorted(next(iter(found[0].values()))))
        values = np.empty((len(scores), len(seeds), len(clips)))
        for number, (score, by_seed) in enumerate(zip(scores, found, strict=True)):
            if tuple(sorted(by_seed)) != seeds:
                raise UserError(f"{score} has the seeds {sorted(by_seed)}, but {scores[0]} has {list(seeds)}")
            for position, seed in enumerate(seeds):
                if tuple(sorted(by_seed[seed])) != clips:
                    raise UserError(
                        f"{score}, seed {seed} was measured on other clips than {scores[0]}; make both files again"
                    )
                values[number, position] = [by_seed[seed][clip] for clip in clips]
            least, greatest = bounds(score.measure)
            # Sums of float32's may be 1.0000001; NaN is a value that is not there.
            if ((values[number] < least - 1e-6) | (values[number] > greatest + 1e-6)).any():
                raise UserError(f"{score} has a value that is not between {least:g} and {greatest:g}; make it again")
        return Values(values, seeds, clips)

    def _add(self, path: str | Path) -> None:
        identity = parquet.metadata(path, SCHEMA.names, IDENTITY, "it holds no scores")
        key = identity["dataset"], identity["variant"], identity["attack"]
        seeds, seed = self._values.setdefault(key, {}), int(identity["seed"])
        if seed in seeds:
            raise UserError(f"{path}: scores of {'/'.join(key)}, seed {seed} are given twice; leave one out")
        measures = seeds[seed] = {}
        table = parquet.read(path, [name for name in SCHEMA.names if name != "label"])
        for clip, modality, budget, measure, value in zip(*(one.to_pylist() for one in table.columns), strict=True):
            measures.setdefault((Condition(modality, budget), measure), {})[clip] = value

    def _found(self, score: Score) -> dict[int, dict[str, float]]:
        seeds = self._values.get(score[:3])
        if seeds is None:
            given = ", ".join("/".join(key) for key in sorted(self._values))
            raise UserError(f"no scores of {'/'.join(score[:3])} among those given ({given}); add their file")
        key = (score.condition, score.measure)
        if missing := [seed for seed, measures in seeds.items() if key not in measures]:
            raise UserError(f"{score} was not measured with seed {missing[0]}")
        return {seed: measures[key] for seed, measures in seeds.items()}
