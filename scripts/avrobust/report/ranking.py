"""A table of how well nets rank clips, measured: every entry gets an interval and the published value."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.ranking import d_prime
from avrobust.program import progress
from avrobust.report.drawing import sizes_note
from avrobust.report.entries import COLUMNS, compared
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, comparable, csv_of, fixed, grid, warning, wide
from avrobust.spec.artefacts.ranking import Layout, Row
from avrobust.spec.conditions import ATTACKED
from avrobust.spec.measures import NORMS, PERCENTAGES
from avrobust.spec.published import Published, published_at, read_published
from avrobust.spec.units import PERCENT, SCORE

# As papers print them.
DECIMALS = {PERCENT: 2, SCORE: 3}
# What is printed with three decimals may be this far from what was measured.
_ROUNDED = 0.0005
READING = (
    "Mean over seeds [95 % interval] (published value); accuracy and changed answers in %, d' and norms in their own "
    f"units, all else as shares. {INTERVALS} Means over classes are of those with a clip in them and one without."
)
NUMBERS = ("published", "ours", "low", "high", "difference")


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    published = read_published(given.published[0], table.printed_keys) if given.published else {}
    ranked = Ranked(progress(given.metrics, label="reading", unit="files"))
    entries = measure(table, ranked, published, scale=given.scale)
    write_text(to[".csv"], csv_of(printed(entries)[[*table.keys, *COLUMNS]]))
    write_text(to[".md"], markdown(table, entries))
    return f"{table.title}: {len(entries)} entries{compared(entries)}"


def measure(
    table: Layout, ranked: Ranked, published: Mapping[tuple[str, ...], Published], *, scale: str
) -> pd.DataFrame:
    """All entries in the layout's order, row by row: keys, `COLUMNS`, `clips_of` a dataset, `said` of the row, `doubt`.

    `doubt`: by how much a printed d' does not belong to the printed area. Numbers are rounded as they are printed;
    `inside` is empty unless clips and sizes are the paper's.

    Raises `UserError` if a cell, a condition or a published value is missing.
    """
    lines = []
    for row in table.rows:
        reading = row.reading
        places = [table.printed_at(row, column) for column in table.columns]
        found = [published_at(published, place) if place else Published(None, "") for place in places]
        said, doubts = list(_said(table, ranked, row)), _doubts(table, found)
        for column, one in zip(table.columns, found, strict=True):
            ours = ranked.measured(column.measure, [reading])
            unit = PERCENT if column.measure in PERCENTAGES else SCORE
            value, low, high = (round(end, DECIMALS[unit]) + 0.0 for end in ours.ends)
            sources = [table.sources.get(reading.dataset, "")]
            line = {**row.keys, "column": column.name, "unit": unit, "published": one.value}
            line |= {"ours": value, "low": low, "high": high, "n": ours.clips, "seeds": ours.seeds, "scale": scale}
            judged = one.value is not None and comparable(sources, scale)
            line |= {"inside": ("yes" if low <= one.value <= high else "no") if judged else "", "source": sources[0]}
            doubt = doubts.get(column.measure, "")
            line |= {"clips_of": reading.dataset, "said": "; ".join(said), "doubt": doubt, "remark": one.note}
            lines.append(line | {"note": "; ".join(filter(None, [one.note, doubt, *said]))})
    entries = pd.DataFrame(lines)
    entries[["published", "ours", "low", "high"]] = entries[["published", "ours", "low", "high"]].astype(float)
    return entries.assign(difference=entries["ours"] - entries["published"])


def printed(entries: pd.DataFrame) -> pd.DataFrame:
    """The entries with numbers as text, with the decimals of their unit."""
    return entries.assign(
        **{
            name: [fixed(value, DECIMALS[unit]) for value, unit in zip(entries[name], entries["unit"], strict=True)]
            for name in NUMBERS
        }
    )


def belongs(area: float, d: float) -> float:
    """Return how far a printed d' is from that of a printed mean area; 0 where rounding may be all of it."""
    least, greatest = (d_prime(np.array(area + sign * _ROUNDED)) + sign * _ROUNDED for sign in (-1, 1))
    return 0.0 if least <= d <= greatest else float(d - d_prime(np.array(area)))


def _doubts(table: Layout, found: Sequence[Published]) -> dict[str, str]:
    """What is wrong with the printed d' of a row, by measure."""
    values = {column.measure: one.value for column, one in zip(table.columns, found, strict=True)}
    area, d = values.get("auc"), values.get("d_prime")
    if area is None or d is None or not (far := belongs(area, d)):
        return {}
    own = float(d_prime(np.array(area)))
    side = "above" if far > 0 else "below"
    return {"d_prime": f"the printed d' is {abs(far):.3f} {side} {own:.3f}, that of the printed AUC of {area:.3f}"}


def _said(table: Layout, ranked: Ranked, row: Row) -> Iterator[str]:
    """What is to be known of all numbers of a row."""
    reading = row.reading
    names = table.labels.get("dataset", {}) | table.names
    yield f"clips of {names.get(reading.dataset, reading.dataset)}"
    positives = ranked.positives(reading)
    if missing := int(((positives == 0) | (positives == ranked.clips(reading))).sum()):
        there = len(positives) - missing
        yield f"means of {there} of {len(positives)} classes: of each other one no clip is, or every one"
    attacked = ATTACKED[reading.condition.modality]
    if len(attacked) > 1:
        yield "the joint attack has the budget of each modality, together more than one alone"
    norms = dict.fromkeys(column.measure for column in table.columns if column.measure in NORMS)
    for name in (name for name in norms if name.split("_")[-1] in attacked):
        mean, largest = ranked.measured(name, [reading]).value, ranked.largest(name, reading)
        if round(largest, DECIMALS[SCORE]) != round(mean, DECIMALS[SCORE]):
            yield f"{name} is {largest:.3f} in one clip"


def markdown(table: Layout, entries: pd.DataFrame) -> str:
    """The table as the paper prints it, below title and caption; warns if the clips are not the paper's."""
    headers = {column.name: column.header or column.name for column in table.columns}
    cells = [_cell(entry) for entry in printed(entries).to_dict("records")]
    rows = wide(entries.assign(cell=cells), table.keys, "column", "cell").to_numpy()
    said = f"Published values: {table.citation}" if entries["published"].notna().any() else "No published values"
    scale = entries["scale"].iloc[0]
    readings = [row.reading for row in table.rows]
    read = {name for one in readings for name in (one.dataset, one.attack, one.surrogate, one.victim)}
    sizes = sizes_note({name: of for name, of in table.sizes.items() if name in read}, table.labels)
    lines = [f"# {table.title}", "", table.caption, "", f"{said}. {READING}", ""]
    lines += [f"Scale `{scale}`. {_sizes(entries)}" + (f" Sizes here (the paper's): {sizes}." if sizes else ""), ""]
    lines += warning(table.sources.values(), scale)
    lines += grid([*table.keys, *headers.values()], rows, headers.values())
    return "\n".join([*lines, *_notes(table, entries, headers)]) + "\n"


def _notes(table: Layout, entries: pd.DataFrame, headers: Mapping[str, str]) -> list[str]:
    """What is said of rows, each once, and of entries."""
    where = entries[[*table.keys]].agg(", ".join, axis=1)
    of_rows = entries.assign(where=where).drop_duplicates("where")
    said = of_rows["said"].str.split("; ").explode()
    lines = [
        f"- {_which(of_rows, of_rows.index.isin(of.index), table.keys)}: {text}"
        for text, of in said.groupby(said, sort=False)
    ]
    for name in ("remark", "doubt"):
        noted = entries[entries[name] != ""]
        lines += ("- " + where[noted.index] + ", " + noted["column"].map(headers) + ": " + noted[name]).tolist()
    return ["", "Notes:", "", *lines] if lines else []


def _which(rows: pd.DataFrame, chosen: np.ndarray, keys: Sequence[str]) -> str:
    """Some rows in few words: all, those of one value of a key, or each by its keys."""
    if chosen.all():
        return "all rows"
    for key in keys:
        values = rows.loc[chosen, key].unique()
        if len(values) == 1 and (rows[key] == values[0]).sum() == chosen.sum():
            return f"{key} {values[0]}"
    return "; ".join(rows.loc[chosen, "where"])


def _cell(entry: Mapping[str, str]) -> str:
    if not entry["ours"]:
        return "–"
    # What all clips have alike, such as the norm of one perturbation for all, needs no interval; d' of an area of 1,
    # which is infinite, has none.
    exact = entry["low"] == entry["ours"] == entry["high"] or not entry["low"]
    said = entry["ours"] if exact else f"{entry['ours']} [{entry['low']}, {entry['high']}]"
    return f"{said} ({entry['published']})" if entry["published"] else said


def _sizes(entries: pd.DataFrame) -> str:
    sizes = entries[["clips_of", "n", "seeds"]].drop_duplicates().itertuples(index=False)
    return " ".join(f"{dataset}: n = {n} clips, {seeds} seed{'s' * (seeds > 1)}." for dataset, n, seeds in sizes)
