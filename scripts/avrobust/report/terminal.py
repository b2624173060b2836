"""What has been made, as plain text that fits a terminal."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from avrobust.csv_text import read_csv
from avrobust.program import UserError

# Intervals are dropped where they do not fit: the file has them.
_INTERVAL = re.compile(r"(?<=\d) \[[^\]]*\]")
_MORE = "…"
# What is shown of a page beside its table: the title, warnings, how many verdicts there are of which kind.
_KEPT = re.compile(r"# |> |\d+ claims?\b")


def listed(folder: str | Path) -> list[dict[str, str]]:
    """The lines of the index in `folder`; raises `UserError` if there is none."""
    index = Path(folder, "index.csv")
    if not index.exists():
        raise UserError(f"{folder}: holds no table and no figure yet; make them with `snakemake`")
    return read_csv(index)[1]


def inventory(folder: str | Path, rows: Iterable[Mapping[str, str]]) -> str:
    """One line per artefact, as a shell takes it: paper_tables/tian2021/table1{.csv,.md}; and what is not done, why."""
    lines = []
    for row in rows:
        stem, endings = (
            f"{folder}/{row['artefact']}",
            [path.removeprefix(row["artefact"]) for path in row["files"].split()],
        )
        said = "" if row["status"] == "done" else f"  {row['status']}: {row['why']}"
        shown = endings[0] if len(endings) == 1 else f"{{{','.join(endings)}}}" if endings else ""
        lines.append(f"{stem}{shown}{said}")
    return "\n".join(lines)


def compact(text: str, *, width: int, rows: int = 8) -> str:
    """A Markdown table with its title, its warnings and its count of verdicts, in at most `width` characters a line.

    Intervals are left out; columns and rows that do not fit are too, and an ellipsis says so. A text without
    a table gives its title alone.
    """
    lines = text.splitlines()
    kept = [line.lstrip("#> ").replace("**", "") for line in lines if _KEPT.match(line)]
    grid = [
        [_INTERVAL.sub("", cell.strip()) for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line)
    ]
    if len(grid) > rows + 1:
        grid = [*grid[: rows + 1], [_MORE]]
    wrapped = [part for line in kept for part in textwrap.wrap(line, width)]
    return "\n".join([*wrapped, *(_cut(line, width) for line in _aligned(grid, width))])


def _aligned(grid: list[list[str]], width: int) -> Iterable[str]:
    widths = [max(len(row[place]) for row in grid if place < len(row)) for place in range(len(grid[0]) if grid else 0)]
    shown = len(widths)
    while shown > 1 and sum(widths[:shown]) + 2 * shown + (len(_MORE) if shown < len(widths) else -2) > width:
        shown -= 1
    for row in grid:
        cells = [f"{cell:{size}}" for cell, size in zip(row[:shown], widths[:shown], strict=False)]
        yield "  ".join([*cells, *([_MORE] if shown < len(widths) and len(row) > 1 else [])]).rstrip()


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - len(_MORE)] + _MORE
