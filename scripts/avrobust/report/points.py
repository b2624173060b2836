"""Measured points of figures: a value with its interval, and what stands beside it in the data."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from avrobust.metrics.measured import measured
from avrobust.metrics.rows import Cells
from avrobust.report.text import about, comparable
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import FREE, Reading
from avrobust.spec.factors import each_of
from avrobust.spec.figure import Figure
from avrobust.spec.measures import MEASURES, READ
from avrobust.spec.published import Published
from avrobust.spec.units import PERCENT

COLUMNS = (
    "column", "unit", "published", "ours", "low", "high", "difference", "inside", "n", "seeds", "sizes", "scale",
    "source", "note",
)  # fmt: skip
# Said of a number that the budget was set by.
CALIBRATED = "calibrated"
CLEAN_MEASURES = tuple(name for name, measure in MEASURES.items() if measure.is_clean)


class Point(NamedTuple):
    """A value, the ends of its interval, and of how many clips and trainings it is; `unit` as in `spec.units`."""

    value: float
    low: float
    high: float
    clips: int
    seeds: int
    unit: str = PERCENT


def point(cells: Cells, measure: str, readings: Sequence[Reading | AnyOf]) -> Point:
    """Return a measure as the mean of what it is at each of `readings`; the worst of several attacks clip by clip.

    Raises `UserError` if a cell or a condition is missing.
    """
    if any(isinstance(one, AnyOf) for one in readings):
        told, outcomes = MEASURES[measure], cells.outcomes(readings)
        share = 100 * told.weights[READ] / len(readings)
        found = outcomes.combined([share] * len(readings), 100 * told.constant)
    else:
        found = measured(cells, measure, readings)
    return Point(*found.ends, found.clips, found.seeds)


def line(
    figure: Figure, column: str, one: Point, readings: Sequence[Reading | AnyOf], printed: Published | None, scale: str
) -> dict[str, object]:
    """Return what stands in the data behind the keys (`COLUMNS`), rounded as it is printed.

    `inside` is empty unless clips and sizes are the paper's, and of what the budget was set by.
    """
    read = [each for of in readings for each in each_of(of)]
    value, low, high = (round(end, 2) + 0.0 for end in (one.value, one.low, one.high))
    published = printed.value if printed else None
    sources = {figure.sources.get(each.dataset, "") for each in read}
    attacked = any(each.condition.modality not in FREE for each in read)
    calibrated = any(_place(each) in figure.calibrated for each in read) and column not in CLEAN_MEASURES
    judged = published is not None and comparable(sources, scale) and not calibrated
    return {
        "column": column,
        "unit": one.unit,
        "published": published,
        "ours": value,
        "low": low,
        "high": high,
        "difference": None if published is None else round(value - published, 2) + 0.0,
        "inside": ("yes" if low <= published <= high else "no") if judged else "",
        "n": one.clips or None,
        "seeds": one.seeds,
        "sizes": sizes_of(figure, read) if attacked and column not in CLEAN_MEASURES else "",
        "scale": scale,
        "source": ", ".join(sorted(sources - {""})),
        "note": "; ".join(filter(None, [printed.note if printed else "", CALIBRATED * calibrated])),
    }


def as_printed(
    published: Mapping[tuple[str, ...], Published], columns: Sequence[str], keys: Sequence[str], scale: str
) -> list[dict[str, object]]:
    """Return lines for what is printed in these columns, of which nothing is measured."""
    return [
        dict(zip(keys, place, strict=True))
        | {"column": column, "published": one.value, "scale": scale, "note": one.note}
        for (*place, column), one in published.items()
        if column in columns
    ]


def _place(one: Reading) -> list[str]:
    return [*one[:4], one.condition.modality, one.condition.budget]


def sizes_of(figure: Figure, readings: Sequence[Reading]) -> str:
    """Return what attacks, nets and datasets have otherwise than at the paper's scale: "steps 3 (10), copies 2 (5)".

    Steps that a condition names are the paper's own.
    """
    found: dict[str, None] = {}
    for one in readings:
        for of in dict.fromkeys((one.attack, one.surrogate, one.victim, one.dataset)):
            for size, (ours, papers) in figure.sizes.get(of, {}).items():
                if not (size == "steps" and of == one.attack and one.condition.steps):
                    found[f"{size.replace('_', ' ')} {ours} ({papers})"] = None
    return ", ".join(found)


def said_of(figure: Figure, points: Sequence[Point], scale: str) -> str:
    """Of what scale, how many clips and trainings a figure is, and of whose clips where they are not the paper's."""
    clips, seeds = (
        ", ".join(map(str, sorted({*of} - {0}))) for of in zip(*((one.clips, one.seeds) for one in points), strict=True)
    )
    spoken = about(figure.sources.values(), scale)
    of = f", of {spoken}" if spoken else ""
    return f"scale {scale}, n = {clips} clips{of}, seeds: {seeds}; lines on bars and points: 95 % interval"
