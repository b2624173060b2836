"""How well nets with attention find what sounds, clean and attacked, beside what chance finds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.interval import mean
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, csv_of, grid, warning, wide
from avrobust.spec.artefacts.localisation import Layout, Row
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, UNDER_ATTACK, Condition
from avrobust.spec.units import SCORE, of_measure

NO_BOX = "no box of what sounds is known"


@dataclass(frozen=True)
class Measure:
    """A measure of `scripts/localise.py`: how it is printed, and where it is measured.

    `header`: the column of the wide table, "" for none; `attacked_only`: it compares with the clean clip;
    `needs_box`: it needs to know where what sounds is.
    """

    name: str
    header: str
    attacked_only: bool = False
    needs_box: bool = False

    @property
    def unit(self) -> str:
        """What the CSV's values count in."""
        return of_measure(self.name)


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
    Measure("correlation", "correlation", attacked_only=True),
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
COLUMNS = (
    "dataset", "variant", "attack", "condition", "epsilon", "measure", "unit", "value", "low", "high", "n", "seeds",
    "scale", "source", "note",
)  # fmt: skip


ALL = {one.name: one for one in (*MEASURES, *CHANCE)}


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    entries = measure(table, Scores(progress(given.scores, label="reading", unit="files"))).assign(scale=given.scale)
    write_text(to[".csv"], csv_of(entries[[*COLUMNS]]))
    write_text(to[".md"], markdown(table, entries))
    return f"{table.title}: {len(entries)} entries"


def measure(table: Layout, scores: Scores) -> pd.DataFrame:
    """All entries, row by row, in the order of the conditions, then of the measures; chance comes last.

    What `COLUMNS` names but for the scale; value, low and high as printed, "" where nothing could be measured.

    Raises:
        UserError: scores of a row or of one of its conditions are missing.
    """
    lines = []
    attacked = [Condition(modality, budget) for budget in table.budgets for modality in UNDER_ATTACK]
    everywhere = [CLEAN, *attacked]
    for row in table.rows:
        of_row = []
        for one in ALL.values():
            conditions = everywhere[:1] if one in CHANCE else attacked if one.attacked_only else everywhere
            of_row += zip(conditions, _lines(table, row, one, conditions, scores), strict=True)
        order = {condition: number for number, condition in enumerate(everywhere)}
        of_row.sort(key=lambda found: (ALL[found[1]["measure"]] in CHANCE, order[found[0]]))
        lines += [line for _, line in of_row]
    entries = pd.DataFrame(lines)
    entries["source"] = entries["dataset"].map(lambda dataset: table.sources.get(dataset, ""))
    return entries.assign(dataset=entries["dataset"].replace(dict(table.names)))


def _lines(table: Layout, row: Row, one: Measure, conditions: Sequence[Condition], scores: Scores) -> Iterator[dict]:
    wanted = [Score(**asdict(row), condition=condition, measure=one.name) for condition in conditions]
    nothing = one.needs_box and not _measured(wanted[0], scores)
    found = None if nothing else scores.values(wanted)
    factor, decimals = (1, 3) if one.unit == SCORE else (100, 2)
    for number, condition in enumerate(conditions):
        printed = strength(condition.budget, table.strengths)
        line = {
            **asdict(row),
            "condition": condition.modality,
            "epsilon": printed,
            "measure": one.name,
            "unit": one.unit,
        }
        if found is None:
            yield {**line, "value": "", "low": "", "high": "", "n": 0, "seeds": 0, "note": NO_BOX}
            continue
        ends = mean(factor * found.values[number], *(factor * end for end in bounds(one.name))).ends
        rounded = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in ends)
        line |= dict(zip(("value", "low", "high"), rounded, strict=True))
        yield {**line, "n": len(found.clips), "seeds": len(found.seeds), "note": ""}


def _measured(score: Score, scores: Scores) -> bool:
    """Whether any clip has this score: a measure that needs a box is left out where no box is known."""
    scores.values([score._replace(measure="recognised")])  # a missing file is another matter, and an error
    try:
        scores.values([score])
    except UserError:
        return False
    return True


def markdown(table: Layout, entries: pd.DataFrame) -> str:
    """The table for readers, a line per condition; warns if the clips are not the paper's."""
    headers = [one.header for one in MEASURES if one.header]
    of_chance = {one.name: condition for one, (condition, _) in CHANCE.items()}
    shown_as = {one.name: [one.header] for one in MEASURES} | {one.name: [*of] for one, (_, of) in CHANCE.items()}
    attacked = entries["condition"].isin(UNDER_ATTACK)
    cells = pd.DataFrame(
        {
            **entries[["dataset", "variant", "attack"]],
            "condition": entries["measure"].map(of_chance).fillna(entries["condition"]),
            "ε": entries["epsilon"].where(attacked, ""),
            "header": entries["measure"].map(shown_as),
            "cell": (entries["value"] + " [" + entries["low"] + ", " + entries["high"] + "]").where(
                entries["value"] != "", "—"
            ),
        }
    )
    cells = cells[(cells["cell"] != "—") | ~entries["measure"].isin(of_chance)].explode("header")
    keys = ["dataset", "variant", "attack", "condition", "ε"]
    rows = wide(cells[cells["header"] != ""], keys, "header", "cell").reindex(columns=[*keys, *headers]).fillna("")
    text = [f"# {table.title}", "", table.caption, ""]
    text += [f"After {table.citation}. {READING}" if table.citation else READING, ""]
    scale = entries["scale"].iloc[0]
    text += [f"Scale `{scale}`. {_sizes(entries)}", "", *warning(table.sources.values(), scale)]
    text += grid([*keys, *headers], rows.to_numpy(), headers)
    if len(unknown := entries["dataset"][entries["value"] == ""].unique()):
        text += ["", f"—: {NO_BOX} in {', '.join(unknown)}."]
    return "\n".join(text) + "\n"


def _sizes(entries: pd.DataFrame) -> str:
    """How many clips each dataset has, and how many of them a box."""
    boxes = entries["n"].where(entries["measure"].map(lambda name: ALL[name].needs_box), 0)
    most = entries.assign(boxes=boxes).groupby("dataset", sort=False)[["n", "boxes", "seeds"]].max()
    return " ".join(
        f"{dataset}: n = {clips} clips, {boxes} with a box, {seeds} seed{'s' if seeds > 1 else ''}."
        for dataset, clips, boxes, seeds in most.itertuples()
    )
