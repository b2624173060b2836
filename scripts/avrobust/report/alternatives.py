"""What hangs on a paper's choices: headline numbers under each alternative, less what they are as this run has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.drops import correlated
from avrobust.metrics.estimate import Estimate, combined
from avrobust.metrics.geometry import CLASS_ROWS, OfNets
from avrobust.metrics.interval import Mean
from avrobust.metrics.measured import estimated
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report.drawing import sizes_note
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, csv_of, fixed, grid, warning
from avrobust.spec.artefacts.alternatives import Headline, Layout, Run, Term
from avrobust.spec.conditions import Reading
from avrobust.spec.measures import CORRELATIONS, MEASURES, RANKED
from avrobust.spec.units import PERCENT, POINTS, SCORE

COLUMNS = (
    "choice", "taken", "alternative", "headline", "of_taken", "of_alternative", "unit", "difference", "difference_low",
    "difference_high", "n", "seeds", "scale", "source", "note",
)  # fmt: skip
DECIMALS = {PERCENT: 2, POINTS: 2, SCORE: 3}
SAID = {PERCENT: " %", POINTS: " points", SCORE: ""}
# Why a number stands alone.
IS_TAKEN, NOT_READ, NOT_MADE = "what this run has", "reads nothing of it", "not made"


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger and a page for readers; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    files = Files(cells, Ranked(given.metrics), OfNets(CLASS_ROWS, given.geometry))
    taken = {headline.name: value(headline.terms, files) for headline in layout.headlines}
    entries = tidy(layout, taken, files, given.scale)
    write_text(to[".csv"], csv_of(entries))
    write_text(to[".md"], markdown(layout, taken, entries, given.scale))
    return f"{layout.paper}: {len(layout.runs)} alternatives, {len(layout.headlines)} numbers"


@dataclass(frozen=True)
class Files:
    """All that numbers are read of."""

    cells: Cells
    ranked: Ranked = field(default_factory=lambda: Ranked(()))
    classes: OfNets = field(default_factory=lambda: OfNets(CLASS_ROWS, ()))


def value(terms: tuple[Term, ...], files: Files) -> Mean | Estimate:
    """Return the sum of terms, in per cent or as rankings are measured; a resampled clip moves all of them together.

    Raises `UserError` if a cell or a condition is missing, or cells are of other clips or seeds.
    """
    cells = files.cells
    if terms[0].measure in RANKED:
        ranked = files.ranked.in_common(one for term in terms for one in term.readings)
        return _sum([_of_ranking(term, ranked, files.classes) * term.weight for term in terms])
    if any(MEASURES[term.measure].if_recognised for term in terms):
        return _sum([estimated(cells, term.measure, term.readings) * term.weight for term in terms])
    weights: dict[Reading, float] = {}
    offset = 0.0
    for term in terms:
        told, constant = MEASURES[term.measure].over(term.readings)
        offset += 100 * term.weight * constant
        for reading, weight in told.items():
            weights[reading] = weights.get(reading, 0.0) + 100 * term.weight * weight
    return cells.outcomes(list(weights)).combined(list(weights.values()), offset)


def _sum(parts: Sequence[Estimate]) -> Estimate:
    return combined(lambda *each: np.sum(each, axis=0), *parts, rising=[True] * len(parts))


def _of_ranking(term: Term, ranked: Ranked, classes: OfNets) -> Estimate:
    if term.measure in CORRELATIONS:
        return correlated(ranked, classes, term.measure, term.readings)
    return ranked.measured(term.measure, term.readings)


def difference(headline: Headline, other: Headline, files: Files) -> Mean | Estimate:
    """Return how far `other` is above a number, in points or as rankings are measured, paired by clip."""
    less = tuple(Term(-term.weight, term.measure, term.readings) for term in headline.terms)
    return value((*other.terms, *less), files)


def tidy(layout: Layout, taken: Mapping[str, Mean | Estimate], files: Files, scale: str) -> pd.DataFrame:
    """One line per alternative and headline number (`COLUMNS`), in their order."""
    lines = []
    for run in layout.runs:
        for headline in layout.headlines:
            own = taken[headline.name]
            line = {
                "choice": run.choice,
                "taken": layout.taken[run.choice],
                "alternative": run.alternative,
                "headline": headline.name,
                "of_taken": own.value,
                "unit": headline.unit,
                "n": own.clips,
                "seeds": own.seeds,
                "scale": scale,
                "source": layout.sources.get(layout.dataset, ""),
                "note": "; ".join(filter(None, (run.note, _why_alone(layout, run, headline)))),
            }
            if other := layout.under(run, headline):
                ends = difference(headline, other, files).ends
                names = ("difference", "difference_low", "difference_high")
                line |= {"of_alternative": value(other.terms, files).value, **dict(zip(names, ends, strict=True))}
            lines.append(line)
    frame = pd.DataFrame(lines).reindex(columns=COLUMNS)
    numbers = ["of_taken", "of_alternative", "difference", "difference_low", "difference_high"]
    decimals = frame["unit"].map(DECIMALS)
    return frame.assign(**{name: [fixed(*one) for one in zip(frame[name], decimals, strict=True)] for name in numbers})


def _why_alone(layout: Layout, run: Run, headline: Headline) -> str:
    """Why a number is not read under an alternative; nothing where it is."""
    if layout.is_taken(run):
        return IS_TAKEN
    if headline.instead(run.instead) == headline:
        return NOT_READ
    return NOT_MADE if run.headlines and headline.name not in run.headlines else ""


def markdown(layout: Layout, taken: Mapping[str, Mean | Estimate], entries: pd.DataFrame, scale: str) -> str:
    """The ledger as a table for readers: a row per alternative, a column per number; warns of clips not the paper's."""
    units = {headline.name: headline.unit for headline in layout.headlines}
    seeds = max(of.seeds for of in taken.values())
    read = {name for one in layout.headlines for name in one.names}
    read |= {reading.dataset for one in layout.headlines for term in one.terms for reading in term.readings}
    sizes = sizes_note({name: of for name, of in layout.sizes.items() if name in read}, layout.labels)
    lines = [
        f"# What hangs on the choices of {layout.citation or layout.paper}",
        "",
        "As this run has it [95 % interval]:",
        "",
        *(
            f"- **{one.name}**: {one.says}: {_ends(taken[one.name], one.unit)} ({taken[one.name].clips} clips)"
            for one in layout.headlines
        ),
        "",
        "The table has what each is under an alternative, and in brackets the difference from this, in points or its",
        f"own unit, with its 95 % interval, paired by clip. One choice is changed at a time. {INTERVALS}",
        "What an attack draws at random, such as masks, goes by its name, so that an alternative draws anew. That of a",
        "training is another training of one seed, and the interval leaves out what one more of the same would do.",
        "",
        f"Scale `{scale}`, {seeds} seed{'s' * (seeds > 1)}."
        + (f" Sizes at this scale (at the paper's): {sizes}." if sizes else ""),
        "",
        *warning(layout.sources.values(), scale),
    ]
    rows = []
    for (choice, alternative), of_run in entries.groupby(["choice", "alternative"], sort=False):
        by_name = of_run.set_index("headline").to_dict("index")
        rows.append([choice, of_run["taken"].iloc[0], alternative, *(_cell(by_name[name]) for name in units)])
    return "\n".join([*lines, *grid(["choice", "taken", "alternative", *units], rows, units)]) + "\n"


def _ends(of: Mean | Estimate, unit: str) -> str:
    return _with_ends(*(fixed(end, DECIMALS[unit]) for end in of.ends)) + SAID[unit]


def _cell(line: Mapping[str, str]) -> str:
    """A number under an alternative and how far from what it is; why it is not there, if not."""
    if not line["difference"]:
        return line["note"]
    signed = f"{float(line['difference']):+.{DECIMALS[line['unit']]}f}"
    return f"{line['of_alternative']} ({_with_ends(signed, line['difference_low'], line['difference_high'])})"


def _with_ends(value: str, low: str, high: str) -> str:
    return f"{value} [{low}, {high}]"
