"""A table of a paper, measured: every entry gets an interval and the published value."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType

import numpy as np
import pandas as pd

from avrobust.data.manifest import clips_seen_in_training
from avrobust.files import write_text
from avrobust.metrics.estimate import Estimate
from avrobust.metrics.measured import estimated
from avrobust.metrics.rows import Cells, Outcomes, cells_of
from avrobust.program import UserError, progress
from avrobust.report.entries import COLUMNS, compared
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, comparable, csv_of, grid, warning, wide
from avrobust.spec.any_of import AnyOf
from avrobust.spec.artefacts.table import (
    ACCURACY,
    ANY,
    MEASURE_OF_RATIO,
    Column,
    Layout,
    Row,
    combination,
    constant,
    printed_at,
)
from avrobust.spec.conditions import Reading
from avrobust.spec.published import Published, published_at, read_published
from avrobust.spec.units import PERCENT, POINTS

# From here on one clip is less than a tenth of a point, and the caption need not say so.
MANY_CLIPS = 1000
# How far an attack is from the worst of all, paired by clip, and what that is over: in a table that has rows of it.
ABOVE = ("above_any", "above_any_low", "above_any_high")
READING = f"In %: mean over seeds [95 % interval] (published value). {INTERVALS}"


def columns(table: Layout) -> list[str]:
    """What is said of each entry beside its keys."""
    place = COLUMNS.index("n")
    return [*COLUMNS[:place], *((*ABOVE, "attacks") if table.any else ()), *COLUMNS[place:]]


def rounded(value: float) -> float:
    """`value` with the two decimals that papers print, and no negative zero."""
    return round(float(value), 2) + 0.0


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    published = read_published(given.published[0], table.keys) if given.published else {}
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    seen = {name: clips_seen_in_training(path) for name, path in zip(table.unseen, given.manifests, strict=True)}
    entries = measure(table, cells, published, seen, scale=given.scale)
    write_text(to[".csv"], csv_of(entries[[*table.keys, *columns(table)]]))
    write_text(to[".md"], markdown(table, entries))
    return f"{table.title}: {len(entries)} entries{compared(entries)}"


def measure(
    table: Layout,
    cells: Cells,
    published: Mapping[tuple[str, ...], Published],
    seen: Mapping[str, AbstractSet[str]] = MappingProxyType({}),
    *,
    scale: str,
) -> pd.DataFrame:
    """All entries in the paper's order, row by row: keys, `COLUMNS`, and `clips_of`.

    Numbers are percentages or differences of them, rounded to two decimals as they are printed, so that `difference`
    and `inside` can be checked by eye; NaN where no clip is left. `inside` is empty unless clips and sizes are the
    paper's. `seen`: dataset -> the test clips whose video stands in the training split too.

    Raises `UserError` if a cell, a condition or a published value is missing.
    """
    lines = []
    for row in table.rows:
        weights = [combination(table, column, row.place, row.against) for column in table.columns]
        gaps = [_gap(table, row, column, own) for column, own in zip(table.columns, weights, strict=True)]
        conditions = list(dict.fromkeys(condition for combined in [*weights, *gaps] for condition in combined))
        outcomes = cells.outcomes(conditions)
        if "clips" in row.read:
            outcomes = outcomes.without(seen[row.read["dataset"]])
        line = {**row.keys, "clips_of": row.read["dataset"], "n": outcomes.clips, "seeds": len(outcomes.seeds)}
        if row.place["attack"] == ANY:
            line["attacks"] = " ".join(map(str, table.any))
        for column, combined, gap in zip(table.columns, weights, gaps, strict=True):
            line |= {"column": column.name, "unit": POINTS if column.against else PERCENT}
            if not outcomes.clips:
                lines.append({**line, "note": "no clip is left"})
                continue
            place = printed_at(table, row, column)
            printed = published_at(published, place) if place else Published(None, "")
            ours = _ends(("ours", "low", "high"), outcomes, conditions, combined, offset=constant(table, column))
            if column.is_ratio:
                ours = dict(zip(("ours", "low", "high"), map(rounded, _ratio(cells, row, combined).ends), strict=True))
            above = _ends(ABOVE, outcomes, conditions, gap, _floor(gap)) if gap else {}
            lines.append({**line, "published": printed.value, **ours, **above, "note": printed.note})
    entries = pd.DataFrame(lines).reindex(columns=[*table.keys, "clips_of", *columns(table)])
    numbers = ["published", "ours", "low", "high"]
    entries[numbers] = entries[numbers].astype(float)
    entries["difference"] = (entries["ours"] - entries["published"]).map(rounded)
    entries["source"] = entries["clips_of"].map(lambda dataset: table.sources.get(dataset, ""))
    entries["clips_of"] = entries["clips_of"].replace(dict(table.names))
    judged = entries["difference"].notna() & entries["source"].map(lambda source: comparable([source], scale))
    inside = entries["published"].between(entries["low"], entries["high"]).map({True: "yes", False: "no"})
    entries["inside"] = inside.where(judged, "")
    return entries.assign(scale=scale)


def _ratio(cells: Cells, row: Row, combined: Mapping[Reading, float]) -> Estimate:
    """Success of the clips that are recognised clean."""
    if "clips" in row.read:
        raise UserError(f"{' '.join(row.keys.values())}: a ratio is of all clips of a dataset; leave `clips` out")
    return estimated(cells, MEASURE_OF_RATIO, list(combined))


def _gap(table: Layout, row: Row, column: Column, own: Mapping) -> Mapping[Reading | AnyOf, float]:
    """The column in a row less the same under any attack, as weights; none where that says nothing.

    Nothing is said of clips that nothing attacks, nor of what is a difference itself.
    """
    worst = table.any_row(row)
    if worst is None or column.against or column.measure != ACCURACY:
        return {}
    gap = dict(own)
    for condition, weight in combination(table, column, worst.place).items():
        gap[condition] = gap.get(condition, 0.0) - weight
    return gap if any(isinstance(condition, AnyOf) for condition in gap) else {}


def _floor(gap: Mapping[Reading | AnyOf, float]) -> float:
    """What a clip's gap cannot be below: 0 under one of the attacks that any attack is over."""
    worst = {one for condition in gap if isinstance(condition, AnyOf) for one in condition.readings}
    return 0.0 if {condition for condition in gap if isinstance(condition, Reading)} <= worst else -np.inf


def _ends(
    names: Sequence[str],
    outcomes: Outcomes,
    conditions: Sequence,
    weights: Mapping,
    floor: float = -np.inf,
    offset: float = 0.0,
) -> dict[str, float]:
    """The value and both ends of its interval of a sum of conditions, in per cent or points, as they are printed."""
    shares = [100 * weights.get(condition, 0.0) for condition in conditions]
    ends = outcomes.combined(shares, 100 * offset, floor).ends
    return dict(zip(names, map(rounded, ends), strict=True))


def markdown(table: Layout, entries: pd.DataFrame) -> str:
    """The table as the paper prints it, below title and caption; warns if the clips are not the paper's."""
    headers = {column.name: column.header or column.name for column in table.columns}
    rows = wide(entries.assign(cell=entries.apply(_cell, axis=1)), table.keys, "column", "cell").to_numpy()
    printed = f"Published values: {table.citation}" if entries["published"].notna().any() else "No published values"
    lines = [f"# {table.title}", "", table.caption, "", f"{printed}. {READING}", ""]
    scale = entries["scale"].iloc[0]
    lines += [f"Scale `{scale}`. {_sizes(entries)}", "", *warning(table.sources.values(), scale)]
    lines += grid([*table.keys, *headers.values()], rows, headers.values())
    if table.any:
        lines += ["", *_above(table, entries)]
    noted = entries[entries["note"] != ""]
    places = noted[[*table.keys]].agg(", ".join, axis=1) + ", " + noted["column"].map(headers)
    if len(noted):
        lines += ["", "Notes:", "", *("- " + places + ": " + noted["note"])]
    return "\n".join(lines) + "\n"


def _above(table: Layout, entries: pd.DataFrame) -> list[str]:
    """What any attack is, and how far each one is from it."""
    over = "; ".join(member.name for member in table.any)
    said = f"Any attack: what is recognised under every one of these, in the same modality and strength: {over}."
    apart = entries[entries["above_any"].notna()]
    if apart.empty:
        return [said]
    cells = apart["above_any"].map("{:.2f}".format) + apart["above_any_low"].map(" [{:.2f}, ".format)
    shown = wide(apart.assign(cell=cells + apart["above_any_high"].map("{:.2f}]".format)), table.keys, "column", "cell")
    headers = {column.name: column.header or column.name for column in table.columns}
    numbers = [headers[name] for name in shown.columns[len(table.keys) :]]
    return [
        said,
        "",
        "## Above any attack",
        "",
        "Accuracy under one attack less that under any of them, in points [95 % interval, paired by clip].",
        "",
        *grid([*table.keys, *numbers], shown.to_numpy(), numbers),
    ]


def _cell(entry: pd.Series) -> str:
    if pd.isna(entry["ours"]):
        return "–"
    published = "" if pd.isna(entry["published"]) else f" ({entry['published']:.2f})"
    return f"{entry['ours']:.2f} [{entry['low']:.2f}, {entry['high']:.2f}]{published}"


def _sizes(entries: pd.DataFrame) -> str:
    sizes = entries[["clips_of", "n", "seeds"]].drop_duplicates().itertuples(index=False)
    return " ".join(
        f"{dataset}: n = {clips} clips, {seeds} seed{'s' if seeds > 1 else ''}"
        + (f"; one clip is {100 / clips:.2f} points." if 0 < clips < MANY_CLIPS else ".")
        for dataset, clips, seeds in sizes
    )
