"""Measures of ranked clips as estimates, of files that scripts/rank.py made: mAP, AUC, d' and what an attack takes.

A mean over classes is taken of those that have a value. Where several nets were trained, a measure of classes is the
mean over these, before anything else is computed of it. A sample's average precision is too high, and that of a
resampled one again, so that intervals of what is computed of it are basic ones: replicates are mirrored at the value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
import pyarrow as pa

from avrobust import parquet
from avrobust.files import remaking
from avrobust.metrics.estimate import Estimate, average, combined, drop_rate, with_one_more
from avrobust.metrics.ranked_rows import AREA, IDENTITY, LARGEST, OF_CLASSES, PRECISION, SCHEMA, WEIGHT
from avrobust.metrics.ranking import d_prime, mean_of_classes
from avrobust.metrics.schema import KEY
from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Condition, Reading
from avrobust.spec.measures import PERCENTAGES

# What resampling moves to one side, and what it lies between.
BOUNDS = {"map": (0.0, 1.0), "auc": (0.0, 1.0), "d_prime": (-inf, inf), "map_drop": (-inf, 1.0)}
# Dataset, surrogate, victim, attack.
Place = tuple[str, str, str, str]


@dataclass(frozen=True)
class Condensed:
    """What the ranking by one net came to under one condition with one seed.

    `of_classes`: measure -> (C, 1 + R), the value before its replicates; `positives` (C,): clips of each class.
    `of_all`: measure -> (1 + R,). `clips`: how many; `clip_names`: a digest of which.
    """

    of_classes: Mapping[str, np.ndarray]
    positives: np.ndarray
    of_all: Mapping[str, np.ndarray]
    clips: int
    clip_names: str


class Ranked:
    """Ranked cells, found by dataset, surrogate, victim, attack, seed and condition."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        """Read the files.

        Raises:
            UserError: one is no such file, or a cell is given twice.
        """
        self._cells: dict[Place, dict[int, dict[Condition, Condensed]]] = {}
        self._tasks: dict[str, str] = {}
        for path in paths:
            self._add(path)

    def in_common(self, readings: Iterable[Reading]) -> "Ranked":
        """The cells of these readings, of the seeds that all of them have.

        Raises:
            UserError: one is missing, no seed is common, or they are of other clips or classes, or have other numbers
                of replicates, so that none could be paired.
        """
        cells = {reading[:4]: self._cell(reading) for reading in readings}
        seeds = set.intersection(*(set(of) for of in cells.values())) if cells else set()
        if cells and not seeds:
            one, other = (f"{'/'.join(place)} has {sorted(cells[place])}" for place in (min(cells), max(cells)))
            raise UserError(f"no seed is common: {one}, {other}; make both with the same seeds")
        kept = {place: {seed: of[seed] for seed in sorted(seeds)} for place, of in cells.items()}
        found = [(place, seed, of[seed][CLEAN]) for place, of in kept.items() for seed in of]
        for place, seed, clean in found[1:]:
            if differs := _difference(clean, found[0][2]):
                one, two = (f"{'/'.join(where)} with seed {number}" for where, number in (found[0][:2], (place, seed)))
                raise UserError(f"{two} was measured {differs} than {one}; make both again alike, from the same data")
        made = Ranked(())
        made._cells, made._tasks = kept, self._tasks
        return made

    def measured(self, measure: str, readings: Sequence[Reading]) -> Estimate:
        """Return a measure of `avrobust.spec.measures.RANKED`, as the mean of what it is at each of `readings`.

        Raises:
            UserError: a cell or a condition is missing, or cells are of other seeds or clips.
        """
        cells = self.in_common(readings)
        found = average([cells._measured(measure, reading) for reading in readings])
        return found.mirrored(*BOUNDS[measure]) if measure in BOUNDS else found

    def by_class(self, measure: str, reading: Reading) -> list[Estimate]:
        """Return a measure of `OF_CLASSES` of each class, NaN where it has none; raises as `measured` does."""
        of_seeds = self.of_classes(measure, reading).transpose(1, 0, 2)
        return [mean_of_seeds(of_class, self.clips(reading)) for of_class in of_seeds]

    def of_classes(self, measure: str, reading: Reading) -> np.ndarray:
        """Return a measure of each seed and class, the value before its replicates: (S, C, 1 + R)."""
        return np.stack([of.of_classes[measure] for of in self._under(reading)])

    def seeds(self, reading: Reading) -> list[int]:
        """Return the seeds of a reading, ascending; raises as `measured` does."""
        return sorted(self._cell(reading))

    def task(self, reading: Reading) -> str:
        """Return the task of its nets: whether a clip has one label, or several."""
        return self._tasks[reading.dataset]

    def largest(self, norm: str, reading: Reading) -> float:
        """Return the largest norm of all clips and seeds; `norm`: of `avrobust.spec.achieved.NORMS`."""
        return float(max(of.of_all[f"{LARGEST}{norm}"][0] for of in self._under(reading)))

    def positives(self, reading: Reading) -> np.ndarray:
        """Return how many clips each class has, (C,)."""
        return self._under(reading)[0].positives

    def clips(self, reading: Reading) -> int:
        """Return how many clips were ranked."""
        return self._under(reading)[0].clips

    def _measured(self, measure: str, reading: Reading) -> Estimate:
        clips, clean = self.clips(reading), reading._replace(condition=CLEAN)
        if measure in ("map", "auc"):
            name = PRECISION if measure == "map" else AREA
            of_seeds = [mean_of_classes(of.of_classes[name].T) for of in self._under(reading)]
            return mean_of_seeds(np.stack(of_seeds), clips)
        if measure == "d_prime":
            return combined(d_prime, self._measured("auc", reading))
        if measure == "map_drop":
            return drop_rate(self._measured("map", clean), self._measured("map", reading))
        found = self._under(reading)
        if measure not in found[0].of_all:
            raise UserError(f"{measure} of {reading}: its clips have several labels; leave it out")
        of_all, weight = (
            mean_of_seeds(np.stack([of.of_all[name] for of in found]), clips) for name in (measure, WEIGHT)
        )
        return with_one_more(of_all, weight) * 100.0 if measure in PERCENTAGES else of_all

    def _cell(self, reading: Reading) -> dict[int, dict[Condition, Condensed]]:
        if reading[:4] not in self._cells:
            given = ", ".join("/".join(Reading(*place, CLEAN).place) for place in sorted(self._cells)) or "none"
            raise UserError(f"no ranking of {'/'.join(reading.place)} among those given ({given}); add its file")
        return self._cells[reading[:4]]

    def _under(self, reading: Reading) -> list[Condensed]:
        """What it came to with each seed, in their order."""
        by_seed = self._cell(reading)
        for seed, conditions in by_seed.items():
            if reading.condition not in conditions:
                raise UserError(
                    f"{reading} was not ranked with seed {seed}; the file holds {', '.join(map(str, conditions))}; "
                    "name one of these or add the budget to the attack"
                )
        return [by_seed[seed][reading.condition] for seed in sorted(by_seed)]

    def _add(self, path: str | Path) -> None:
        told = parquet.metadata(path, SCHEMA.names, IDENTITY, "give a file from results/*/metrics")
        self._tasks[told["dataset"]] = told["task"]
        table = parquet.read(path, SCHEMA.names)
        keys = list(zip(*(table[name].to_pylist() for name in KEY), strict=True))
        bounds = [0, *(number for number, (one, two) in enumerate(pairwise(keys), 1) if one != two), len(keys)]
        for start, stop in pairwise(bounds):
            surrogate, victim, attack, *condition = keys[start]
            conditions = self._cells.setdefault((told["dataset"], surrogate, victim, attack), {})
            known = conditions.setdefault(int(told["seed"]), {})
            if Condition(*condition) in known:
                where = f"{surrogate}/{victim}/{attack}, {Condition(*condition)}"
                raise UserError(f"{path}: {where} is given twice; leave one out, or {remaking(path)}")
            known[Condition(*condition)] = _condensed(table.slice(start, stop - start))


def _condensed(table: pa.Table) -> Condensed:
    replicates = np.asarray(table["replicates"].combine_chunks().flatten()).reshape(len(table), -1)
    values = np.column_stack([np.asarray(table["value"]), replicates.astype(np.float64)])
    measures, labels = np.array(table["measure"].to_pylist()), np.array(table["label"].is_valid())
    of_classes = {name: values[labels & (measures == name)] for name in OF_CLASSES}
    of_all = {name: values[(~labels & (measures == name)).argmax()] for name in {*measures[~labels].tolist()}}
    positives = np.asarray(table["positives"].to_pylist(), object)[labels & (measures == PRECISION)].astype(int)
    return Condensed(of_classes, positives, of_all, table["clips"][0].as_py(), table["clip_names"][0].as_py())


def _difference(one: Condensed, other: Condensed) -> str:
    """In what two cells cannot be compared, as a message says it; nothing if they can."""
    if one.clip_names != other.clip_names:
        return "on other clips"
    shapes = one.of_classes[AREA].shape, other.of_classes[AREA].shape
    if shapes[0][0] != shapes[1][0]:
        return "with other classes"
    return f"with other replicates ({shapes[0][1] - 1}, not {shapes[1][1] - 1})" if shapes[0] != shapes[1] else ""


def mean_of_seeds(of_seeds: np.ndarray, clips: int) -> Estimate:
    """Return the mean over trainings of values and their replicates, (S, 1 + R)."""
    mean = of_seeds.mean(axis=0)
    return Estimate(float(mean[0]), mean[1:], of_seeds[:, 0], clips)
