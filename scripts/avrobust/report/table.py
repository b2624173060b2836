"""A table of a paper, measured: every entry gets an interval and the published value."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

import pandas as pd

from avrobust.data.manifest import clips_seen_in_training
from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import progress
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, about, comparable, csv_of, grid, warning, wide
from avrobust.spec.artefacts.table import Layout, combination, printed_at
from avrobust.spec.published import Published, published_at, read_published

# From here on one clip is less than a tenth of a point, and the caption need not say so.
MANY_CLIPS = 1000
COLUMNS = (
    "column", "published", "ours", "low", "high", "difference", "inside", "n", "seeds", "scale", "source", "note",
)  # fmt: skip
READING = f"In %: mean over seeds [95 % interval] (published value). {INTERVALS}"


def rounded(value: float) -> float:
    """`value` with the two decimals that papers print, and no negative zero."""
    return round(float(value), 2) + 0.0


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    published = read_published(given.published[0], table.keys) if given.published else {}
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    seen = {name: clips_seen_in_training(path) for name, path in zip(table.unseen, given.manifests, strict=True)}
    entries = measure(table, cells, published, seen, scale=given.scale)
    write_text(to[".csv"], csv_of(entries[[*table.keys, *COLUMNS]]))
    write_text(to[".md"], markdown(table, entries))
    return f"{table.title}: {len(entries)} entries{compared(entries)}"


def compared(entries: pd.DataFrame) -> str:
    """How many published values lie inside our intervals, and which are not looked at; nothing if none is printed."""
    printed, judged = entries["difference"].notna(), entries["inside"] != ""
    said = f", {(entries['inside'] == 'yes').sum()} of {judged.sum()} published values inside our interval"
    apart = entries[printed & ~judged]
    other = f", {len(apart)} published values not judged: of {about(apart['source'], entries['scale'].iloc[0])}"
    return said * bool(judged.any()) + other * bool(len(apart))


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
    columns = {column.name: column for column in table.columns}
    lines = []
    for row in table.rows:
        weights = [combination(name, columns, row.place, row.against) for name in columns]
        conditions = list(dict.fromkeys(condition for combined in weights for condition in combined))
        outcomes = cells.outcomes(conditions)
        if "clips" in row.read:
            outcomes = outcomes.without(seen[row.read["dataset"]])
        line = {**row.keys, "clips_of": row.read["dataset"], "n": outcomes.clips, "seeds": len(outcomes.seeds)}
        for column, combined in zip(table.columns, weights, strict=True):
            if not outcomes.clips:
                lines.append({**line, "column": column.name, "note": "no clip is left"})
                continue
            place = printed_at(table, row, column)
            printed = published_at(published, place) if place else Published(None, "")
            ends = outcomes.combined([100 * combined.get(condition, 0.0) for condition in conditions]).ends
            ours = dict(zip(("ours", "low", "high"), map(rounded, ends), strict=True))
            lines.append({**line, "column": column.name, "published": printed.value, **ours, "note": printed.note})
    entries = pd.DataFrame(lines).reindex(columns=[*table.keys, "clips_of", *COLUMNS])
    numbers = ["published", "ours", "low", "high"]
    entries[numbers] = entries[numbers].astype(float)
    entries["difference"] = (entries["ours"] - entries["published"]).map(rounded)
    entries["source"] = entries["clips_of"].map(lambda dataset: table.sources.get(dataset, ""))
    judged = entries["difference"].notna() & entries["source"].map(lambda source: comparable([source], scale))
    inside = entries["published"].between(entries["low"], entries["high"]).map({True: "yes", False: "no"})
    entries["inside"] = inside.where(judged, "")
    return entries.assign(scale=scale)


def markdown(table: Layout, entries: pd.DataFrame) -> str:
    """The table as the paper prints it, below title and caption; warns if the clips are not the paper's."""
    headers = {column.name: column.header or column.name for column in table.columns}
    rows = wide(entries.assign(cell=entries.apply(_cell, axis=1)), table.keys, "column", "cell").to_numpy()
    lines = [f"# {table.title}", "", table.caption, "", f"Published values: {table.citation}. {READING}", ""]
    scale = entries["scale"].iloc[0]
    lines += [f"Scale `{scale}`. {_sizes(entries)}", "", *warning(table.sources.values(), scale)]
    lines += grid([*table.keys, *headers.values()], rows, headers.values())
    noted = entries[entries["note"] != ""]
    places = noted[[*table.keys]].agg(", ".join, axis=1) + ", " + noted["column"].map(headers)
    if len(noted):
        lines += ["", "Notes:", "", *("- " + places + ": " + noted["note"])]
    return "\n".join(lines) + "\n"


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
