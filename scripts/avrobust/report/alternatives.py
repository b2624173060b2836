"""What hangs on a paper's choices: headline numbers under each alternative, less what they are as this run has it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.estimate import Estimate, combined
from avrobust.metrics.interval import Mean
from avrobust.metrics.measured import estimated
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report.drawing import sizes_note
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, csv_of, fixed, grid, warning
from avrobust.spec.artefacts.alternatives import Headline, Layout, Run, Term
from avrobust.spec.conditions import Reading
from avrobust.spec.measures import MEASURES
from avrobust.spec.units import PERCENT, POINTS

COLUMNS = (
    "choice", "taken", "alternative", "headline", "of_taken", "of_alternative", "unit", "difference", "difference_low",
    "difference_high", "n", "seeds", "scale", "source", "note",
)  # fmt: skip
# Why a number stands alone.
IS_TAKEN, NOT_READ, NOT_MADE = "what this run has", "reads nothing of it", "not made"


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger and a page for readers; return a line for the log."""
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    taken = {headline.name: value(headline.terms, cells) for headline in layout.headlines}
    entries = tidy(layout, taken, cells, given.scale)
    write_text(to[".csv"], csv_of(entries))
    write_text(to[".md"], markdown(layout, taken, entries, given.scale))
    return f"{layout.paper}: {len(layout.runs)} alternatives, {len(layout.headlines)} numbers"


def value(terms: tuple[Term, ...], cells: Cells) -> Mean | Estimate:
    """Return the sum of terms in per cent; a resampled clip moves all of them together.

    Raises `UserError` if a cell or a condition is missing, or cells are of other clips or seeds.
    """
    if any(MEASURES[term.measure].if_recognised for term in terms):
        parts = [estimated(cells, term.measure, term.readings) * term.weight for term in terms]
        return combined(lambda *each: np.sum(each, axis=0), *parts, rising=[True] * len(parts))
    weights: dict[Reading, float] = {}
    offset = 0.0
    for term in terms:
        told, constant = MEASURES[term.measure].over(term.readings)
        offset += 100 * term.weight * constant
        for reading, weight in told.items():
            weights[reading] = weights.get(reading, 0.0) + 100 * term.weight * weight
    return cells.outcomes(list(weights)).combined(list(weights.values()), offset)


def difference(headline: Headline, other: Headline, cells: Cells) -> Mean | Estimate:
    """Return how far `other` is above a number, in points, paired by clip."""
    less = tuple(Term(-term.weight, term.measure, term.readings) for term in headline.terms)
    return value((*other.terms, *less), cells)


def tidy(layout: Layout, taken: Mapping[str, Mean | Estimate], cells: Cells, scale: str) -> pd.DataFrame:
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
                "unit": POINTS if headline.is_difference else PERCENT,
                "n": own.clips,
                "seeds": own.seeds,
                "scale": scale,
                "source": layout.sources.get(layout.dataset, ""),
                "note": "; ".join(filter(None, (run.note, _why_alone(layout, run, headline)))),
            }
            if other := layout.under(run, headline):
                ends = difference(headline, other, cells).ends
                names = ("difference", "difference_low", "difference_high")
                line |= {"of_alternative": value(other.terms, cells).value, **dict(zip(names, ends, strict=True))}
            lines.append(line)
    frame = pd.DataFrame(lines).reindex(columns=COLUMNS)
    numbers = ["of_taken", "of_alternative", "difference", "difference_low", "difference_high"]
    return frame.assign(**{name: [fixed(one, 2) for one in frame[name]] for name in numbers})


def _why_alone(layout: Layout, run: Run, headline: Headline) -> str:
    """Why a number is not read under an alternative; nothing where it is."""
    if layout.is_taken(run):
        return IS_TAKEN
    if headline.instead(run.instead) == headline:
        return NOT_READ
    return NOT_MADE if run.headlines and headline.name not in run.headlines else ""


def markdown(layout: Layout, taken: Mapping[str, Mean | Estimate], entries: pd.DataFrame, scale: str) -> str:
    """The ledger as a table for readers: a row per alternative, a column per number; warns of clips not the paper's."""
    units = {headline.name: "points" if headline.is_difference else "%" for headline in layout.headlines}
    seeds, read = max(of.seeds for of in taken.values()), {name for one in layout.headlines for name in one.names}
    sizes = sizes_note({name: of for name, of in layout.sizes.items() if name in read}, layout.labels)
    lines = [
        f"# What hangs on the choices of {layout.citation or layout.paper}",
        "",
        "As this run has it [95 % interval]:",
        "",
        *(
            f"- **{one.name}**: {one.says}: {_ends(taken[one.name])} {units[one.name]} ({taken[one.name].clips} clips)"
            for one in layout.headlines
        ),
        "",
        "The table has what each is under an alternative, and in brackets the difference from this in points with its",
        f"95 % interval, paired by clip. One choice is changed at a time. {INTERVALS}",
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


def _ends(of: Mean | Estimate) -> str:
    return _with_ends(*(fixed(end, 2) for end in of.ends))


def _cell(line: Mapping[str, str]) -> str:
    """A number under an alternative and how far from what it is; why it is not there, if not."""
    if not line["difference"]:
        return line["note"]
    signed = f"{float(line['difference']):+.2f}"
    return f"{line['of_alternative']} ({_with_ends(signed, line['difference_low'], line['difference_high'])})"


def _with_ends(value: str, low: str, high: str) -> str:
    return f"{value} [{low}, {high}]"
