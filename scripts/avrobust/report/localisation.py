"""How well nets with attention find what sounds, clean and attacked, beside what chance finds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.metrics.interval import mean
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, grid, warning
from avrobust.spec.artefacts.localisation import Layout, Row
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, UNDER_ATTACK, Condition

NO_BOX = "no box of what sounds is known"


@dataclass(frozen=True)
class Measure:
    """A measure of `scripts/localise.py`: how it is printed, in per cent or as it is, and where it is measured.

    `header`: the column of the wide table, "" for none; `attacked_only`: it compares with the clean clip;
    `needs_box`: it needs to know where what sounds is.
    """

    name: str
    header: str
    per_cent: bool = True
    attacked_only: bool = False
    needs_box: bool = False

    @property
    def unit(self) -> str:
        """What the CSV's values count in."""
        return "%" if self.per_cent else "1"


POINTING, MASS = "pointing (%)", "attention in the box (%)"
MEASURES = (
    Measure("recognised", "recognised (%)"),
    Measure("pointing", POINTING, needs_box=True),
    Measure("pointing_other_boxes", "pointing, other clips' boxes (%)", needs_box=True),
    Measure("mass", MASS, needs_box=True),
    Measure("mass_other_boxes", "attention in other clips' boxes (%)", needs_box=True),
    Measure("pointing_above_floor", "", needs_box=True),
    Measure("mass_above_floor", "", needs_box=True),
    Measure("peak_shift", "peak shift (% of the diagonal)", attacked_only=True),
    Measure("correlation", "correlation", per_cent=False, attacked_only=True),
)
# What both are without a net, and under which headers: for a random position, which is also an even map, and for the
# frame's centre. They belong to the clean clip.
CHANCE = {
    Measure("position_share", "", needs_box=True): ("chance: an even map", (POINTING, MASS)),
    Measure("centre_pointing", "", needs_box=True): ("chance: the centre", (POINTING,)),
}
READING = (
    "Mean over seeds [95 % interval]. Pointing: the map's peak lies in the box of "
    "what sounds (pointing game, Zhang et al., ECCV 2016). Attention in the box: how much of the map's weight lies "
    "there (energy-based pointing game, Wang et al., CVPRW 2020). Other clips' boxes: the same maps, on average over "
    "the boxes of all other clips, what a net gets that does not look at its clip. Peak shift and correlation: of the "
    f"attacked map against the clean one. {INTERVALS}"
)


@dataclass(frozen=True)
class Entry:
    """One measured place: value, low and high as printed; None, with a note, where nothing could be measured."""

    row: Row
    condition: Condition
    measure: Measure
    value: float | None
    low: float | None
    high: float | None
    clips: int
    seeds: int
    note: str = ""


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    entries = measure(table, Scores(progress(given.scores, label="reading", unit="files")))
    write_text(to[".csv"], tidy(table, entries, given.scale))
    write_text(to[".md"], markdown(table, entries, given.scale))
    return f"{table.title}: {len(entries)} entries"


def measure(table: Layout, scores: Scores) -> list[Entry]:
    """All entries, row by row, in the order of the conditions, then of the measures; chance comes last.

    Raises:
        UserError: scores of a row or of one of its conditions are missing.
    """
    entries = []
    for row in table.rows:
        attacked = [Condition(modality, budget) for budget in table.budgets for modality in UNDER_ATTACK]
        everywhere = [CLEAN, *attacked]
        of_row = [_entries(row, one, attacked if one.attacked_only else everywhere, scores) for one in MEASURES]
        of_row += [_entries(row, one, everywhere[:1], scores) for one in CHANCE]
        order = {(place, one): number for number, (place, one) in enumerate(_places(everywhere))}
        entries += sorted(
            (entry for part in of_row for entry in part),
            key=lambda entry: order[entry.condition, entry.measure],
        )
    return entries


def _places(conditions: Sequence[Condition]) -> list[tuple[Condition, Measure]]:
    return [(place, one) for place in conditions for one in MEASURES] + [(conditions[0], one) for one in CHANCE]


def _entries(row: Row, one: Measure, conditions: Sequence[Condition], scores: Scores) -> list[Entry]:
    wanted = [Score(row.dataset, row.variant, row.attack, condition, one.name) for condition in conditions]
    if one.needs_box and not _measured(wanted[0], scores):
        return [Entry(row, condition, one, None, None, None, 0, 0, NO_BOX) for condition in conditions]
    found = scores.values(wanted)
    factor = 100 if one.per_cent else 1
    entries = []
    for condition, values in zip(conditions, found.values, strict=True):
        ours = mean(factor * values, *(factor * end for end in bounds(one.name)))
        numbers = (_rounded(number, one) for number in (ours.value, ours.low(), ours.high()))
        entries.append(Entry(row, condition, one, *numbers, len(found.clips), len(found.seeds)))
    return entries


def _measured(score: Score, scores: Scores) -> bool:
    """Whether any clip has this score: a measure that needs a box is left out where no box is known."""
    scores.values([score._replace(measure="recognised")])  # a missing file is another matter, and an error
    try:
        scores.values([score])
    except UserError:
        return False
    return True


def _rounded(value: float, one: Measure) -> float:
    return round(float(value), 2 if one.per_cent else 3) + 0.0


def tidy(table: Layout, entries: Iterable[Entry], scale: str) -> str:
    """The table as CSV, one line per entry."""
    header = ["dataset", "variant", "attack", "condition", "epsilon", "measure", "unit", "value", "low", "high"]
    header += ["n", "seeds", "scale", "source", "note"]
    lines = (
        [
            entry.row.dataset,
            entry.row.variant,
            entry.row.attack,
            entry.condition.modality,
            strength(entry.condition.budget, table.strengths),
            entry.measure.name,
            entry.measure.unit,
            *(_number(value, entry.measure) for value in (entry.value, entry.low, entry.high)),
            entry.clips,
            entry.seeds,
            scale,
            table.sources.get(entry.row.dataset, ""),
            entry.note,
        ]
        for entry in entries
    )
    return write_csv_text(header, lines)


def markdown(table: Layout, entries: Sequence[Entry], scale: str) -> str:
    """The table for readers, a line per condition; warns if the clips are not the paper's."""
    headers = [one.header for one in MEASURES if one.header]
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for entry in entries:
        modality, budget, _ = entry.condition
        condition, shown = CHANCE.get(entry.measure, (modality, (entry.measure.header,)))
        epsilon = "" if condition != modality or condition == "clean" else strength(budget, table.strengths)
        keys = entry.row.dataset, entry.row.variant, entry.row.attack, condition, epsilon
        if entry.measure not in CHANCE or entry.value is not None:
            lines.setdefault(keys, {}).update(dict.fromkeys(shown, _cell(entry)))
    text = [f"# {table.title}", "", table.caption, ""]
    text += [f"After {table.citation}. {READING}" if table.citation else READING, ""]
    text += [f"Scale `{scale}`. {_sizes(entries)}", ""]
    text += warning(table.sources.values())
    rows = ([*keys, *(cells.get(header, "") for header in headers)] for keys, cells in lines.items())
    text += grid(["dataset", "variant", "attack", "condition", "ε", *headers], rows, headers)
    if unknown := list(dict.fromkeys(entry.row.dataset for entry in entries if entry.value is None)):
        text += ["", f"—: {NO_BOX} in {', '.join(unknown)}."]
    return "\n".join(text) + "\n"


def _number(value: float | None, one: Measure) -> str:
    return "" if value is None else f"{value:.{2 if one.per_cent else 3}f}"


def _cell(entry: Entry) -> str:
    value, low, high = (_number(number, entry.measure) for number in (entry.value, entry.low, entry.high))
    return "—" if entry.value is None else f"{value} [{low}, {high}]"


def _sizes(entries: Iterable[Entry]) -> str:
    """How many clips each dataset has, and how many of them a box."""
    parts = []
    for dataset in dict.fromkeys(entry.row.dataset for entry in entries):
        of_dataset = [entry for entry in entries if entry.row.dataset == dataset]
        clips = max(entry.clips for entry in of_dataset)
        boxes = max(entry.clips for entry in of_dataset if entry.measure.needs_box)
        seeds = max(entry.seeds for entry in of_dataset)
        parts.append(f"{dataset}: n = {clips} clips, {boxes} with a box, {seeds} seed{'s' if seeds > 1 else ''}.")
    return " ".join(parts)
