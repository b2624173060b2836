"""Measured tables as text: tidy CSV for programs, the paper's wide table as Markdown for readers."""

from collections.abc import Iterable, Sequence

from avrobust.csv_text import write_csv_text
from avrobust.report.tables import Entry, Layout

# From here on one clip is less than a tenth of a point, and the caption need not say so.
MANY_CLIPS = 1000

# Clips of these sources are the papers' own.
PUBLISHED_SOURCE = "lists"
WARNING = (
    "> **Not the paper's data.** The clips are {sources}: these numbers are not comparable with the published ones."
)
SOURCES = {"render": "rendered", "local": "the user's own"}
INTERVALS = "Intervals speak of other clips and, from three seeds on, of other trainings."
READING = f"In %: mean over seeds [95 % interval] (published value). {INTERVALS}"


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
    others = {source for source in table.sources.values() if source != PUBLISHED_SOURCE}
    if others:
        lines += [WARNING.format(sources=" and ".join(SOURCES[source] for source in sorted(others))), ""]
    lines.append(_line([*table.keys, *headers.values()]))
    lines.append(_line(["---"] * len(table.keys) + ["---:"] * len(headers)))
    lines += [_line([*keys, *cells]) for keys, cells in rows.items()]
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


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
