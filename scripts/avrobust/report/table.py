"""A table of a paper, measured: every entry gets an interval and the published value."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from avrobust.csv_text import read_csv, write_csv_text
from avrobust.data.manifest import clips_seen_in_training
from avrobust.files import write_text
from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, grid, warning
from avrobust.spec.artefacts.table import Column, Layout, Row, combination

# From here on one clip is less than a tenth of a point, and the caption need not say so.
MANY_CLIPS = 1000
READING = f"In %: mean over seeds [95 % interval] (published value). {INTERVALS}"


@dataclass(frozen=True)
class Published:
    """A printed value, in per cent (None: the place is empty in the paper), and a remark on it."""

    value: float | None
    note: str


@dataclass(frozen=True)
class Entry:
    """One measured place of a table.

    `ours`, `low`, `high` and `published` are percentages or differences of them, rounded to two decimals as
    they are printed, so that `difference` and `inside` can be checked by eye. None where no clip is left.
    """

    keys: tuple[str, ...]
    dataset: str
    column: str
    published: float | None
    ours: float | None
    low: float | None
    high: float | None
    clips: int
    seeds: int
    note: str

    @property
    def difference(self) -> float | None:
        """Ours minus published, in percentage points."""
        return None if self.published is None or self.ours is None else rounded(self.ours - self.published)

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our interval."""
        return None if self.published is None or self.ours is None else self.low <= self.published <= self.high


def rounded(value: float) -> float:
    """`value` with the two decimals that papers print, and no negative zero."""
    return round(float(value), 2) + 0.0


def write(table: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the table for programs and for readers; return a line for the log."""
    published = read_published(given.published[0], table.keys) if given.published else {}
    cells = cells_of(progress(given.cells, label="reading", unit="files"))
    seen = {name: clips_seen_in_training(path) for name, path in zip(table.unseen, given.manifests, strict=True)}
    entries = measure(table, cells, published, seen)
    write_text(to[".csv"], tidy(table, entries, given.scale))
    write_text(to[".md"], markdown(table, entries, given.scale))
    compared = [entry.inside for entry in entries if entry.inside is not None]
    inside = f"{sum(compared)} of {len(compared)} published values inside our interval"
    return f"{table.title}: {len(entries)} entries, {inside}"


def read_published(path: str | Path, keys: Sequence[str]) -> dict[tuple[str, ...], Published]:
    """The printed values of a CSV with the columns `keys`, column, value, note: found by (*keys, column).

    Raises `UserError` if the header differs, a value is no number, or a place occurs twice.
    """
    wanted = [*keys, "column", "value", "note"]
    header, lines = read_csv(path)
    if header != wanted:
        raise UserError(f"{path}: the header must be {','.join(wanted)}, got {','.join(header)}")
    published: dict[tuple[str, ...], Published] = {}
    for line in lines:
        place = (*(line[key] for key in keys), line["column"])
        if place in published:
            raise UserError(f"{path}: {' '.join(place)} occurs twice; keep one")
        try:
            value = float(line["value"]) if line["value"] else None
        except ValueError:
            raise UserError(f"{path}: {line['value']!r}, at {' '.join(place)}, is not a number") from None
        published[place] = Published(value, line["note"])
    return published


def measure(
    table: Layout,
    cells: Cells,
    published: Mapping[tuple[str, ...], Published],
    seen: Mapping[str, AbstractSet[str]] = MappingProxyType({}),
) -> list[Entry]:
    """All entries in the paper's order, row by row, each with its interval (`avrobust.metrics.interval`).

    `seen`: dataset -> the test clips whose video stands in the training split too.

    Raises `UserError` if a cell, a condition or a published value is missing.
    """
    columns = {column.name: column for column in table.columns}
    entries = []
    for row in table.rows:
        weights = [combination(name, columns, row.place, row.against) for name in columns]
        conditions = list(dict.fromkeys(condition for combined in weights for condition in combined))
        outcomes = cells.outcomes(conditions)
        if "clips" in row.read:
            outcomes = outcomes.without(seen[row.read["dataset"]])
        if not outcomes.clips:
            entries += [_without_clips(table, row, column.name, len(outcomes.seeds)) for column in table.columns]
            continue
        keys = tuple(row.keys[key] for key in table.keys)
        for column, combined in zip(table.columns, weights, strict=True):
            place = *({**row.keys, **row.printed_as}[key] for key in table.keys), column.name
            printed = _printed(row, column, place, published)
            ours = outcomes.combined([100 * combined.get(condition, 0.0) for condition in conditions])
            entries.append(
                Entry(
                    keys=keys,
                    dataset=row.read["dataset"],
                    column=column.name,
                    published=printed.value,
                    ours=rounded(ours.value),
                    low=rounded(ours.low()),
                    high=rounded(ours.high()),
                    clips=outcomes.clips,
                    seeds=len(outcomes.seeds),
                    note=printed.note,
                )
            )
    return entries


def _without_clips(table: Layout, row: Row, column: str, seeds: int) -> Entry:
    """An entry for which no clip is left: every test clip's video stands in the training split too."""
    keys = tuple(row.keys[key] for key in table.keys)
    nothing = dict.fromkeys(("published", "ours", "low", "high"))
    return Entry(keys, row.read["dataset"], column, **nothing, clips=0, seeds=seeds, note="no clip is left")


def _printed(row: Row, column: Column, place: tuple[str, ...], published: Mapping) -> Published:
    if row.ours_only or column.ours_only:
        return Published(None, "")
    if place not in published:
        raise UserError(
            f"no published value for {' '.join(place)}: spell it as in the published file, "
            "or mark the row or the column ours_only"
        )
    return published[place]


def tidy(table: Layout, entries: Iterable[Entry], scale: str) -> str:
    """The table as CSV, one line per entry in the paper's order of rows and columns."""
    header = [*table.keys, "column", "published", "ours", "low", "high"]
    header += ["difference", "inside", "n", "seeds", "scale", "source", "note"]
    lines = (
        [
            *entry.keys,
            entry.column,
            *map(_number, (entry.published, entry.ours, entry.low, entry.high, entry.difference)),
            {True: "yes", False: "no", None: ""}[entry.inside],
            entry.clips,
            entry.seeds,
            scale,
            table.sources.get(entry.dataset, ""),
            entry.note,
        ]
        for entry in entries
    )
    return write_csv_text(header, lines)


def markdown(table: Layout, entries: Sequence[Entry], scale: str) -> str:
    """The table as the paper prints it, below title and caption; warns if the clips are not the paper's."""
    headers = {column.name: column.header or column.name for column in table.columns}
    rows: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        rows.setdefault(entry.keys, []).append(_cell(entry))
    lines = [
        f"# {table.title}",
        "",
        table.caption,
        "",
        f"Published values: {table.citation}. {READING}",
        "",
        f"Scale `{scale}`. {_sizes(entries)}",
        "",
    ]
    lines += warning(table.sources.values())
    lines += grid([*table.keys, *headers.values()], ([*keys, *cells] for keys, cells in rows.items()), headers.values())
    if notes := [
        f"- {', '.join((*entry.keys, headers[entry.column]))}: {entry.note}" for entry in entries if entry.note
    ]:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cell(entry: Entry) -> str:
    if entry.ours is None:
        return "–"
    published = "" if entry.published is None else f" ({entry.published:.2f})"
    return f"{entry.ours:.2f} [{entry.low:.2f}, {entry.high:.2f}]{published}"


def _sizes(entries: Iterable[Entry]) -> str:
    sizes = dict.fromkeys((entry.dataset, entry.clips, entry.seeds) for entry in entries)
    return " ".join(
        f"{dataset}: n = {clips} clips, {seeds} seed{'s' if seeds > 1 else ''}"
        + (f"; one clip is {100 / clips:.2f} points." if 0 < clips < MANY_CLIPS else ".")
        for dataset, clips, seeds in sizes
    )
