"""A figure of heat maps: where a net with attention looks for what sounds, one clip per row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.metrics.examples import MEASURES, Example, Examples, read_examples
from avrobust.program import UserError
from avrobust.report.given import Given
from avrobust.spec.artefacts.heat_maps import Layout, Row
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, Condition

# Conditions in the order in which they are drawn.
CONDITIONS = ("clean", "audio", "visual", "both")


@dataclass(frozen=True)
class Shown:
    """One row with its clip; `examples` say which net and attack, `places` where each condition is in the example.

    `example` is None where the dataset has no clip of the class.
    """

    row: Row
    examples: Examples
    example: Example | None
    places: Mapping[str, int]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write what is said of each map; return a line for the log."""
    shown = find(figure, map(read_examples, given.examples))
    # Loading the drawing library takes longer than finding a mistake in what is given.
    from avrobust.report.heat_maps_plot import draw

    draw(figure, shown, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], tidy(figure, shown, given.scale))
    return f"{figure.title}: {sum(one.example is not None for one in shown)} of {len(shown)} rows have a clip"


def find(figure: Layout, given: Iterable[Examples]) -> list[Shown]:
    """Find each row's clip in the examples of its dataset.

    Raises:
        UserError: no or more than one set of examples of a dataset, or one without the conditions of the figure.
    """
    by_dataset: dict[str, Examples] = {}
    for held in given:
        if held.dataset in by_dataset:
            raise UserError(f"two sets of examples of {held.dataset} are given; leave one out")
        by_dataset[held.dataset] = held
    shown = []
    for row in figure.rows:
        if row.dataset not in by_dataset:
            raise UserError(
                f"no examples of {row.dataset} among those given ({', '.join(sorted(by_dataset))}); add their file"
            )
        examples = by_dataset[row.dataset]
        example = next((one for one in examples.examples if one.label == row.label), None)
        shown.append(Shown(row, examples, example, _places(examples, figure.budget)))
    return shown


def _places(examples: Examples, budget: str) -> dict[str, int]:
    held = [Condition(*one) for one in zip(examples.modalities, examples.budgets, strict=True)]
    places = {}
    for modality in CONDITIONS:
        wanted = CLEAN if modality == "clean" else Condition(modality, budget)
        if wanted not in held:
            raise UserError(
                f"examples of {examples.dataset}: {wanted} is not among their conditions "
                f"({', '.join(map(str, held))}); make them with it"
            )
        places[modality] = held.index(wanted)
    return places


def tidy(figure: Layout, shown: Iterable[Shown], scale: str) -> str:
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
            epsilon = strength(one.examples.budgets[place], figure.strengths)
            line = [example.clip_id, condition, epsilon, example.predictions[place], *measures, scale, ""]
            lines.append([*start, *line])
    return write_csv_text(header, lines)


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
