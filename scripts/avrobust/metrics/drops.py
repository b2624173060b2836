"""What an attack takes of each class, and whether that goes with the shape of the class: Li et al., Figure 4.

The drop of a class is (clean - attacked) / clean of its average precision. It is set beside the convexity and density
of the class's training clips in the space of the net that answers. A correlation is taken of each training, of its own
space, and is then their mean; its replicates are those of the drops, so that its interval speaks of other test clips,
and not of other classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avrobust.metrics import correlation
from avrobust.metrics.estimate import Estimate, average
from avrobust.metrics.geometry import OfNets
from avrobust.metrics.ranked import Ranked, mean_of_seeds
from avrobust.metrics.ranked_rows import PRECISION
from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.geometry import KAPPA

# A class of which a net has less than this average precision has nothing to lose, and no drop.
LEAST_PRECISION = 0.01
# So many classes must differ from what most have, or a coefficient is one of the few that do. By chance alone fewer lie
# on one side oftener than 2.5 %.
LEAST_DIFFERENT = 6
_HOW = {"pearson": correlation.pearson, "spearman": correlation.spearman}


@dataclass(frozen=True)
class Drops:
    """Classes that have a drop with every seed, C of them.

    `clean` and `drop`: (S, C, 1 + R), the value before its replicates. `train_clips` (S, C). `columns`: of
    `avrobust.metrics.geometry.CLASS_ROWS` -> (S, C), NaN where one is not defined. `without`: how many other classes
    have no clip or all of them, too little to lose, or no training clip.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    clean: np.ndarray
    drop: np.ndarray
    train_clips: np.ndarray
    columns: Mapping[str, np.ndarray]
    clips: int
    kappa: str
    without: Mapping[str, int]

    def defined(self, column: str) -> np.ndarray:
        """Return which classes have a value of a column with every seed: bool (C,)."""
        return np.isfinite(self.columns[column]).all(axis=0)

    def correlation(self, how: str, column: str, partial: bool = False) -> Estimate:
        """Return how drops go with a column, of the classes that have one: `pearson` or `spearman`.

        `partial`: given the logarithm of a class's number of training clips, and its clean average precision. NaN where
        fewer than `LEAST_DIFFERENT` classes differ from the others.
        """
        kept, found = self.defined(column), []
        if not all(differ(of) for of in self.columns[column][:, kept]):
            nothing = np.full((len(self.drop), self.drop.shape[2]), np.nan)
            return mean_of_seeds(nothing, self.clips)
        for seed in range(len(self.drop)):
            drop, clean = self.drop[seed, kept], self.clean[seed, kept]
            x, size = (of[seed, kept, None].repeat(drop.shape[1], 1) for of in (self.columns[column], self.log_size))
            found.append(_HOW[how](x, drop, (size, clean) if partial else ()))
        return mean_of_seeds(np.stack(found), self.clips).mirrored(-1.0, 1.0)

    def of_class(self, place: int) -> Estimate:
        """Return the drop of a class, the mean of all trainings."""
        return mean_of_seeds(self.drop[:, place], self.clips).mirrored(greatest=1.0)

    @property
    def log_size(self) -> np.ndarray:
        """The logarithm of the number of training clips of each class, (S, C)."""
        return np.log(self.train_clips)


def differ(values: np.ndarray) -> bool:
    """Whether enough of some values (C,) differ from what most are, for these to go with anything."""
    return len(values) - np.unique(values, return_counts=True)[1].max(initial=0) >= LEAST_DIFFERENT


def drops(ranked: Ranked, geometry: OfNets, reading: Reading) -> Drops:
    """Return what `reading` takes of each class that has something to lose; the geometry is that of the victim.

    Raises:
        UserError: a file is missing, or of other seeds or classes.
    """
    clean, attacked = (ranked.of_classes(PRECISION, one) for one in (reading._replace(condition=CLEAN), reading))
    seeds = ranked.seeds(reading)
    rows = [{row["label"]: row for row in geometry.rows(reading.dataset, reading.victim, seed)} for seed in seeds]
    if unknown := {label for of_seed in rows for label in of_seed} - {*range(clean.shape[1])}:
        raise UserError(
            f"{reading.dataset}/{reading.victim}: class {min(unknown)} was measured, but only {clean.shape[1]} are "
            "ranked; make both again from the same data"
        )
    there = ~np.isnan(clean[:, :, 0]).any(axis=0)
    enough = there & (np.nan_to_num(clean[:, :, 0]) >= LEAST_PRECISION).all(axis=0)
    measured = np.array([all(label in of_seed for of_seed in rows) for label in range(clean.shape[1])])
    labels = np.flatnonzero(enough & measured)
    names = [name for name in rows[0][labels[0]] if name.startswith(("kappa", "rho"))] if len(labels) else []
    columns = {name: _column(rows, labels, name) for name in names}
    with np.errstate(divide="ignore", invalid="ignore"):
        drop = 1 - attacked[:, labels] / clean[:, labels]
    return Drops(
        labels,
        tuple(rows[0][label]["class_name"] for label in labels),
        clean[:, labels],
        drop,
        _column(rows, labels, "n"),
        columns,
        ranked.clips(reading),
        KAPPA[ranked.task(reading)],
        {
            "no test clip, or all": int((~there).sum()),
            f"a clean average precision below {LEAST_PRECISION:g}": int((there & ~enough).sum()),
            "no training clip": int((enough & ~measured).sum()),
        },
    )


def correlated(ranked: Ranked, geometry: OfNets, measure: str, readings: Sequence[Reading]) -> Estimate:
    """Return one of `avrobust.spec.measures.CORRELATIONS`, as the mean of what it is at each of `readings`.

    NaN where one is none: too few classes have a drop, or differ.
    """
    how, column = measure.removeprefix("partial_").split("_", 1)
    found = []
    for reading in readings:
        of_classes = drops(ranked, geometry, reading)
        name = of_classes.kappa if column == "kappa" else column
        if name not in of_classes.columns:
            raise UserError(f"{measure} of {reading}: no class has a drop; train the net longer, or leave it out")
        found.append(of_classes.correlation(how, name, measure.startswith("partial_")))
    return average(found)


def _column(rows: list[dict[int, dict]], labels: np.ndarray, name: str) -> np.ndarray:
    values = [[of_seed[label][name] for label in labels] for of_seed in rows]
    return np.array([[np.nan if value is None else value for value in of_seed] for of_seed in values], np.float64)
