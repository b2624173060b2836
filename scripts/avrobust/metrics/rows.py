"""Cells as arrays: which clip a victim recognised, under which attack with which surrogate, with which seed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avrobust import parquet
from avrobust.files import remaking
from avrobust.metrics.interval import Mean, mean
from avrobust.metrics.schema import FLOAT, FORMS, IDENTITY, KEY, SCHEMA
from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.budgets import MODALITIES, SLACK
from avrobust.spec.conditions import ATTACKED, CLEAN, MAJORITY, Condition, Reading

# What is read of each row.
COLUMNS = (
    *KEY, "clip_id", "label", "prediction", "epsilon_audio", "epsilon_visual", "norm_audio", "norm_visual", "cosine",
)  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """What one victim said under one condition of one seed: arrays (clips,), sorted by clip.

    `epsilons`: modality -> what was allowed, in the paper's unit; `norms`: what the perturbation came to. `cosines`: of
    the two features, NaN where a net has none.
    """

    clips: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    epsilons: dict[str, np.ndarray]
    norms: dict[str, np.ndarray]
    cosines: np.ndarray

    def of(self, clips: np.ndarray) -> "Answers":
        """The same of those among `clips`."""
        kept = np.isin(self.clips, clips)
        epsilons, norms = ({name: of[kept] for name, of in values.items()} for values in (self.epsilons, self.norms))
        return Answers(self.clips[kept], self.labels[kept], self.predictions[kept], epsilons, norms, self.cosines[kept])


@dataclass(frozen=True)
class Cell:
    """One surrogate under one attack, answered by one victim, on one dataset with one seed: answers by condition."""

    dataset: str
    surrogate: str
    victim: str
    attack: str
    seed: int
    answers: dict[Condition, Answers]

    @property
    def clips(self) -> np.ndarray:
        """The clips that were attacked, sorted."""
        return self.answers[CLEAN].clips

    def of(self, clips: np.ndarray) -> "Cell":
        """The same of those among `clips`."""
        return replace(self, answers={condition: answers.of(clips) for condition, answers in self.answers.items()})


@dataclass(frozen=True)
class Outcomes:
    """Conditions measured on the same clips with the same seeds.

    `correct` is boolean, (conditions, seeds, clips); `seeds` are the training seeds, sorted; `clip_ids` are the
    clips' names, (clips,).
    """

    correct: np.ndarray
    seeds: tuple[int, ...]
    clip_ids: np.ndarray

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self.correct.shape[2]

    def combined(self, weights: Sequence[float], offset: float = 0.0, floor: float = -np.inf) -> Mean:
        """The weighted sum of the conditions' accuracies, plus `offset`; a weight of 100 gives per cent.

        `floor`: what no clip can be below, where one condition implies another.
        """
        values = np.tensordot(np.asarray(weights, np.float64), self.correct.astype(np.float64), axes=1) + offset
        least, greatest = (sum(one for one in weights if sign * one > 0) + offset for sign in (-1, 1))
        return mean(values, max(least, floor), greatest)

    def without(self, clip_ids: Iterable[str]) -> "Outcomes":
        """The same outcomes without these clips."""
        kept = ~np.isin(self.clip_ids, list(clip_ids))
        return Outcomes(self.correct[:, :, kept], self.seeds, self.clip_ids[kept])


def read_cells(path: str | Path, form: str = FLOAT) -> list[Cell]:
    """Read what a file of cells holds of clips in one of `avrobust.metrics.schema.FORMS`, in whatever order.

    Cells that nobody was asked in this form are left out.

    Raises `UserError` if it is no such file, has nothing of floats, or a clip occurs twice under one condition.
    """
    return _read(path, [form])[form]


def read_several(path: str | Path) -> list[Cell]:
    """Read what a file of cells holds as floats of clips of several labels, none of which is the right answer.

    Labels are numbers that tell sets of them apart, and every prediction is -1. Raises `UserError` as `read_cells`.
    """
    columns = [name for name in COLUMNS if name != "prediction"]
    identity = parquet.metadata(path, [*columns, "form"], IDENTITY, "give a file from results/*/cells")
    table = parquet.read(path, [*columns, "form"]).filter(pc.field("form") == FLOAT).drop_columns("form")
    codes = [crc32(repr(labels).encode()) for labels in table["label"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(codes, pa.int64()))
    return _cells(
        path, identity, table.append_column("prediction", pa.array([-1] * len(codes), pa.int16())), pa.int64()
    )


def cells_of(paths: Iterable[str | Path], form: str = FLOAT) -> "Cells":
    """Return the cells of all these files, of clips in one form."""
    return Cells(cell for path in paths for cell in read_cells(path, form))


def cells_by_form(paths: Iterable[str | Path]) -> dict[str, "Cells"]:
    """Return the cells of all these files in each of `avrobust.metrics.schema.FORMS`."""
    by_file = [_read(path, FORMS) for path in paths]
    return {form: Cells(cell for of_file in by_file for cell in of_file[form]) for form in FORMS}


def _read(path: str | Path, forms: Sequence[str]) -> dict[str, list[Cell]]:
    columns = (*COLUMNS, "form")
    identity = parquet.metadata(path, columns, IDENTITY, "give a file from results/*/cells, of nets of one label")
    table = parquet.read(path, columns)
    found = {}
    for form in forms:
        of_form = table.filter(pc.field("form") == form).drop_columns("form")
        if not of_form.num_rows and form == FLOAT:
            raise UserError(f"{path}: has no rows; {remaking(path)}")
        found[form] = _cells(path, identity, of_form) if of_form.num_rows else []
    return found


def _cells(
    path: str | Path, identity: Mapping[str, str], table: pa.Table, label: pa.DataType | None = None
) -> list[Cell]:
    """`label`: the type of the labels, where they are no classes."""
    fields = [pa.field(name, label) if label and name == "label" else SCHEMA.field(name) for name in COLUMNS]
    table = table.select(COLUMNS).cast(pa.schema(fields))
    table = table.sort_by([(name, "ascending") for name in (*KEY, "clip_id")])
    # Of each key a number for each row, by which equal ones are found; rows of one condition follow each other.
    codes = [table[name].combine_chunks().dictionary_encode(null_encoding="encode").indices for name in KEY]
    changes = np.any([code.to_numpy()[1:] != code.to_numpy()[:-1] for code in codes], axis=0)
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), table.num_rows]
    arrays = {name: table[name].to_numpy() for name in COLUMNS[len(KEY) :]}
    cells: dict[tuple[str, str, str], Cell] = {}
    for start, stop in pairwise(bounds):
        surrogate, victim, attack, *condition = (table[name][start].as_py() for name in KEY)
        clips, labels, predictions, *sizes = (values[start:stop] for values in arrays.values())
        if (clips[1:] == clips[:-1]).any():
            raise UserError(f"{path}: a clip occurs twice in one condition; {remaking(path)}")
        place = (surrogate, victim, attack)
        cell = cells.setdefault(place, Cell(identity["dataset"], *place, int(identity["seed"]), {}))
        epsilons, norms = (dict(zip(MODALITIES, some, strict=True)) for some in (sizes[:2], sizes[2:4]))
        cell.answers[Condition(*condition)] = Answers(clips, labels, predictions, epsilons, norms, sizes[4])
    return list(cells.values())


class Cells:
    """Cells, found by dataset, surrogate, victim, attack and seed. Raises `UserError` if one is given twice."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells: dict[tuple[str, ...], dict[int, Cell]] = {}
        for cell in cells:
            place = (cell.dataset, cell.surrogate, cell.victim, cell.attack)
            seeds = self._cells.setdefault(place, {})
            if cell.seed in seeds:
                words = "/".join(Reading(*place, CLEAN).place)
                raise UserError(f"the cell {words}, seed {cell.seed} is given twice; leave one out")
            seeds[cell.seed] = cell

    def in_common(self, readings: Iterable[Reading]) -> "Cells":
        """The cells of these readings, of the seeds and clips that all of them have; `UserError` if no seed is common.

        Some things are made with one seed alone, or on some of the clips, and compared with what has more. Of clips
        that are not part of each other nothing is taken: they are other clips, which `outcomes` refuses.
        """
        found = {reading[:4]: self._cells[reading[:4]] for reading in readings if reading[:4] in self._cells}
        seeds = set.intersection(*(set(by_seed) for by_seed in found.values())) if found else set()
        if found and not seeds:
            one, other = (f"{'/'.join(place)} has {sorted(found[place])}" for place in (min(found), max(found)))
            raise UserError(f"no seed is common: {one}, {other}; make both with the same seeds")
        cells = [cell for by_seed in found.values() for seed, cell in by_seed.items() if seed in seeds]
        fewest = min((cell.clips for cell in cells), key=len, default=np.array([]))
        return Cells(
            cell.of(fewest) if len(cell.clips) > len(fewest) and np.isin(fewest, cell.clips).all() else cell
            for cell in cells
        )

    def outcomes(self, readings: Sequence[Reading | AnyOf]) -> Outcomes:
        """Which clips each reading (at least one is given) recognises, for all seeds.

        Raises `UserError` if a cell or a condition is missing, or if the readings were not measured on the same
        clips with the same seeds: they could not be compared clip by clip; or if one of several attacks, which count
        together at one budget, went further than that.
        """
        groups = [one.readings if isinstance(one, AnyOf) else (one,) for one in readings]
        for reading in chain.from_iterable(one.readings for one in readings if isinstance(one, AnyOf)):
            self._check_budget(reading)
        places = {reading: place for place, reading in enumerate(dict.fromkeys(chain.from_iterable(groups)))}
        outcomes = self._outcomes(list(places))
        of_groups = [outcomes.correct[[places[reading] for reading in group]].all(axis=0) for group in groups]
        return replace(outcomes, correct=np.stack(of_groups))

    def cosines(self, readings: Sequence[Reading]) -> np.ndarray:
        """The cosine of the two features of each clip, (readings, seeds, clips); raises as `outcomes` does."""
        return self._of_clips(readings, lambda given: given.cosines.astype(np.float64))[0]

    def _outcomes(self, readings: Sequence[Reading]) -> Outcomes:
        return Outcomes(*self._of_clips(readings, lambda given: given.predictions == given.labels))

    def _of_clips(
        self, readings: Sequence[Reading], value: Callable[[Answers], np.ndarray]
    ) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
        """A value of each clip under each reading, (readings, seeds, clips), with the seeds and the clips' names."""
        by_seed = [self._answers(reading) for reading in readings]
        seeds, first = sorted(by_seed[0]), next(iter(by_seed[0].values()))
        found = []
        for reading, answers in zip(readings, by_seed, strict=True):
            if sorted(answers) != seeds:
                raise UserError(
                    f"{reading} has the seeds {sorted(answers)}, but {readings[0]} has {seeds}; "
                    "give the cells of the same seeds"
                )
            for seed in seeds:
                given = answers[seed]
                if not (np.array_equal(given.clips, first.clips) and np.array_equal(given.labels, first.labels)):
                    raise UserError(
                        f"{reading}, seed {seed} was measured on other clips or labels than {readings[0]}; "
                        "make both cells again from the same data"
                    )
                found.append(value(given))
        return np.stack(found).reshape(len(readings), len(seeds), -1), tuple(seeds), first.clips

    def __contains__(self, reading: Reading) -> bool:
        """Whether a reading was measured, with whatever seeds."""
        seeds = self._cells.get(reading[:4], {})
        return any(reading.condition in cell.answers for cell in seeds.values())

    def moved(self, reading: Reading) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Modality -> what the perturbation of every clip came to, and what was allowed: (seeds, clips) each."""
        found = self._answers(reading).values()
        return {
            name: tuple(
                np.stack([each[name] for each in (getattr(of, part) for of in found)]) for part in ("norms", "epsilons")
            )
            for name in MODALITIES
        }

    def _check_budget(self, reading: Reading) -> None:
        for modality, (norms, epsilons) in self.moved(reading).items():
            if not (norms <= epsilons + SLACK * np.maximum(1, epsilons)).all():
                raise UserError(
                    f"{reading} leaves its ball: {modality} moved by {norms.max():g}, allowed {epsilons.max():g}; take "
                    "it out of `any` in the paper's artefacts.yaml"
                )

    def epsilon(self, reading: Reading) -> float:
        """The epsilon of every clip in every modality that a reading attacks; 0 where it attacks none.

        Raises `UserError` if they differ.
        """
        (answers, *_) = self._answers(reading).values()
        found = {float(one) for name in ATTACKED.get(reading.condition.modality, ()) for one in answers.epsilons[name]}
        if len(found) > 1:
            raise UserError(f"{reading} has no single epsilon, but {min(found):g} to {max(found):g}; read it elsewhere")
        return found.pop() if found else 0.0

    def _answers(self, reading: Reading) -> dict[int, Answers]:
        try:
            cells = self._cells[reading[:4]]
        except KeyError:
            given = ", ".join("/".join(Reading(*place, CLEAN).place) for place in sorted(self._cells))
            raise UserError(f"no cell of {'/'.join(reading.place)} among those given ({given}); add its file") from None
        return {seed: _under(cell, reading) for seed, cell in cells.items()}


def _under(cell: Cell, reading: Reading) -> Answers:
    condition = reading.condition
    if condition.modality == MAJORITY:
        clean = cell.answers[CLEAN]
        labels, counts = np.unique(clean.labels, return_counts=True)
        return replace(clean, predictions=np.full_like(clean.labels, labels[counts.argmax()]))
    if condition not in cell.answers:
        raise UserError(
            f"{reading} was not measured with seed {cell.seed}; the cell holds {', '.join(map(str, cell.answers))}; "
            "name one of these or add the budget to the attack"
        )
    return cell.answers[condition]
