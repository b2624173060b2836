"""Cells as arrays: which clip was recognised by which variant, under which attack, with which seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.files import remaking
from avrobust.foreign import PARQUET, reason
from avrobust.metrics.bootstrap import Mean, mean
from avrobust.program import UserError
from avrobust.spec.conditions import MAJORITY
from avrobust.spec.flat import Condition

SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("label", pa.int16()),
        ("modality", pa.string()),
        ("epsilon", pa.float64()),
        ("prediction", pa.int16()),
    ]
)
IDENTITY = ("dataset", "variant", "seed", "attack")


@dataclass(frozen=True)
class Cell:
    """One variant under one attack on one dataset with one seed.

    `clips` (clips,) holds the clip names, sorted; `labels` (clips,) belong to them, and so does each array
    (clips,) of `predictions`, which is found by (modality, epsilon).
    """

    dataset: str
    variant: str
    attack: str
    seed: int
    clips: np.ndarray
    labels: np.ndarray
    predictions: dict[tuple[str, float], np.ndarray]


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

    def combined(self, weights: Sequence[float], offset: float = 0.0) -> Mean:
        """The weighted sum of the conditions' accuracies, plus `offset`; a weight of 100 gives per cent."""
        values = np.tensordot(np.asarray(weights, np.float64), self.correct.astype(np.float64), axes=1) + offset
        least, greatest = (sum(one for one in weights if sign * one > 0) + offset for sign in (-1, 1))
        return mean(values, least, greatest)

    def without(self, clip_ids: Iterable[str]) -> "Outcomes":
        """The same outcomes without these clips."""
        kept = ~np.isin(self.clip_ids, list(clip_ids))
        return Outcomes(self.correct[:, :, kept], self.seeds, self.clip_ids[kept])


def read_cell(path: str | Path) -> Cell:
    """Read one parquet file of rows clip x modality x epsilon; the order of its rows does not matter.

    Raises `UserError` if it is no such file, or if its conditions do not hold the same clips and labels.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        table = file.read(columns=SCHEMA.names)
        metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        seed = int(metadata.get("seed", 0))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: cannot be read as parquet ({reason(path, error, PARQUET)}); {remaking(path)}"
        ) from None
    if missing := [*(set(SCHEMA.names) - {*table.column_names}), *(set(IDENTITY) - {*metadata})]:
        raise UserError(f"{path}: no {', '.join(sorted(missing))} in it; give a file from results/*/cells")
    if not table.num_rows:
        raise UserError(f"{path}: has no rows; {remaking(path)}")

    table = table.select(SCHEMA.names).cast(SCHEMA)
    table = table.sort_by([(name, "ascending") for name in ("modality", "epsilon", "clip_id")])
    clips, labels, modality, epsilon, prediction = (table[name].to_numpy() for name in SCHEMA.names)
    epsilon = np.round(epsilon, 9)  # 0.1 + 0.2 is the budget that a layout writes as 0.3
    starts = np.flatnonzero((modality[1:] != modality[:-1]) | (epsilon[1:] != epsilon[:-1])) + 1
    parts = [slice(start, stop) for start, stop in pairwise([0, *starts.tolist(), len(clips)])]
    first = parts[0]
    if (clips[first][1:] == clips[first][:-1]).any():
        raise UserError(f"{path}: a clip occurs twice in one condition; {remaking(path)}")
    predictions = {}
    for part in parts:
        key = str(modality[part.start]), float(epsilon[part.start])
        if not (np.array_equal(clips[part], clips[first]) and np.array_equal(labels[part], labels[first])):
            raise UserError(f"{path}: {key} has other clips or labels than the rest; {remaking(path)}")
        predictions[key] = prediction[part]
    return Cell(
        dataset=metadata["dataset"],
        variant=metadata["variant"],
        attack=metadata["attack"],
        seed=seed,
        clips=clips[first],
        labels=labels[first],
        predictions=predictions,
    )


class Cells:
    """Cells, found by dataset, variant, attack and seed. Raises `UserError` if one is given twice."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells: dict[tuple[str, str, str], dict[int, Cell]] = {}
        for cell in cells:
            seeds = self._cells.setdefault((cell.dataset, cell.variant, cell.attack), {})
            if cell.seed in seeds:
                raise UserError(
                    f"the cell {cell.dataset}/{cell.variant}/s{cell.seed}/{cell.attack} is given twice; leave one out"
                )
            seeds[cell.seed] = cell

    def outcomes(self, conditions: Sequence[Condition]) -> Outcomes:
        """Which clips each condition (at least one is given) recognises, for all seeds.

        Raises `UserError` if a cell or a condition is missing, or if the conditions were not measured on the
        same clips with the same seeds: they could not be compared clip by clip.
        """
        by_seed = [self._seeds(*condition[:3]) for condition in conditions]
        seeds, clips = sorted(by_seed[0]), next(iter(by_seed[0].values())).clips
        correct = np.empty((len(conditions), len(seeds), len(clips)), bool)
        for number, (condition, cells) in enumerate(zip(conditions, by_seed, strict=True)):
            if sorted(cells) != seeds:
                raise UserError(
                    f"{condition} has the seeds {sorted(cells)}, but {conditions[0]} has {seeds}; "
                    "give the cells of the same seeds"
                )
            for position, seed in enumerate(seeds):
                if not np.array_equal(cells[seed].clips, clips):
                    raise UserError(
                        f"{condition}, seed {seed} was measured on other clips than {conditions[0]}; "
                        "make both cells again from the same data"
                    )
                correct[number, position] = _correct(cells[seed], condition)
        return Outcomes(correct, tuple(seeds), clips)

    def _seeds(self, dataset: str, variant: str, attack: str) -> dict[int, Cell]:
        try:
            return self._cells[dataset, variant, attack]
        except KeyError:
            given = ", ".join("/".join(key) for key in sorted(self._cells))
            raise UserError(
                f"no cell of {dataset}/{variant}/{attack} among those given ({given}); add its file"
            ) from None


def _correct(cell: Cell, condition: Condition) -> np.ndarray:
    if condition.modality == MAJORITY:
        labels, counts = np.unique(cell.labels, return_counts=True)
        return cell.labels == labels[counts.argmax()]
    try:
        return cell.predictions[condition.modality, round(condition.epsilon, 9)] == cell.labels
    except KeyError:
        held = ", ".join(f"{modality} {epsilon:g}" for modality, epsilon in sorted(cell.predictions))
        raise UserError(
            f"{condition} was not measured with seed {cell.seed}; the cell holds {held}; "
            "name one of these or add the budget to the attack"
        ) from None
