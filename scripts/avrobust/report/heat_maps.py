"""A figure of heat maps: where a net with attention looks for what sounds, one clip per row.

The layout is a JSON object:

    title, caption   text above and below the drawing
    epsilon          strength of the attacks, the same in both modalities: 0.006
    rows             [{"dataset": "music", "class": "cello", "title": "playing cello"}, ...]

`title` is what the drawing calls the class; without it the class's own name stands there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from avrobust.analysis.examples import MEASURES, Example, Examples
from avrobust.csv_text import write_csv_text
from avrobust.program import UserError
from avrobust.report.spec import record

# Conditions in the order in which they are drawn.
CONDITIONS = ("clean", "audio", "visual", "both")


@dataclass(frozen=True)
class Row:
    """One row of the layout; `label` is the class."""

    dataset: str
    label: str
    title: str


@dataclass(frozen=True)
class Layout:
    """A figure of heat maps before its clips are found."""

    title: str
    epsilon: float
    rows: Sequence[Row]
    caption: str = ""


@dataclass(frozen=True)
class Shown:
    """One row with its clip; `source` says which net and attack, `places` where each condition is in the example.

    `example` is None where the dataset has no clip of the class.
    """

    row: Row
    source: Examples
    example: Example | None
    places: Mapping[str, int]


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    figure = record(Layout, spec, "figure")
    rows = []
    for number, value in enumerate(figure.rows, 1):
        where = f"row {number}"
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: must be a JSON object, got {value!r}")
        if unknown := sorted({*value} - {"dataset", "class", "title"}):
            raise UserError(f"{where}: unknown {', '.join(unknown)}; known are class, dataset, title")
        if missing := [name for name in ("dataset", "class") if name not in value]:
            raise UserError(f"{where}: {', '.join(missing)} must be given")
        rows.append(Row(value["dataset"], value["class"], value.get("title") or readable(value["class"])))
    if not rows:
        raise UserError("figure: rows is empty; give at least one")
    return Layout(figure.title, figure.epsilon, tuple(rows), figure.caption)


def readable(name: str) -> str:
    """Return a class or dataset name as words: playing_cello -> playing cello."""
    return name.replace("_", " ")


def find(figure: Layout, sources: Iterable[Examples]) -> list[Shown]:
    """Find each row's clip in the examples of its dataset.

    Raises:
        UserError: no or more than one set of examples of a dataset, or one without the conditions of the figure.
    """
    by_dataset: dict[str, Examples] = {}
    for source in sources:
        if source.dataset in by_dataset:
            raise UserError(f"two sets of examples of {source.dataset} are given; leave one out")
        by_dataset[source.dataset] = source
    shown = []
    for row in figure.rows:
        if row.dataset not in by_dataset:
            raise UserError(
                f"no examples of {row.dataset} among those given ({', '.join(sorted(by_dataset))}); add their file"
            )
        source = by_dataset[row.dataset]
        example = next((one for one in source.examples if one.label == row.label), None)
        shown.append(Shown(row, source, example, _places(source, figure.epsilon)))
    return shown


def _places(source: Examples, epsilon: float) -> dict[str, int]:
    held = [
        (modality, round(strength, 9)) for modality, strength in zip(source.modalities, source.epsilons, strict=True)
    ]
    places = {}
    for modality in CONDITIONS:
        wanted = (modality, 0.0 if modality == "clean" else round(epsilon, 9))
        if wanted not in held:
            there = ", ".join(f"{name} {strength:g}" for name, strength in held)
            raise UserError(
                f"examples of {source.dataset}: {modality} at epsilon {wanted[1]:g} is not among their conditions "
                f"({there}); make them with it"
            )
        places[modality] = held.index(wanted)
    return places


def tidy(shown: Iterable[Shown], scale: str) -> str:
    """The data of the figure as CSV, one line per heat map; a row without a clip is one line that says so."""
    header = ["row", "dataset", "class", "clip_id", "condition", "epsilon", "prediction"]
    header += [*MEASURES, "scale", "note"]
    lines: list[list[object]] = []
    for number, one in enumerate(shown, 1):
        start, example = [number, one.row.dataset, one.row.label], one.example
        if example is None:
            lines.append([*start, *[None] * (4 + len(MEASURES)), scale, "no clip of this class"])
            continue
        for condition, place in one.places.items():
            measures = [_number(example.measures[name][place]) for name in MEASURES]
            epsilon = f"{one.source.epsilons[place]:g}"
            line = [example.clip_id, condition, epsilon, example.predictions[place], *measures, scale, ""]
            lines.append([*start, *line])
    return write_csv_text(header, lines)


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
