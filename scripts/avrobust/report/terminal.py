"""What has been made, as plain text that fits a terminal."""

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from avrobust.program import UserError

KINDS = (".csv", ".md", ".svg", ".png")

# Intervals are dropped where they do not fit: the file has them.
_INTERVAL = re.compile(r"(?<=\d) \[[^\]]*\]")
_MORE = "…"


def artefacts(folder: str | Path) -> dict[str, list[Path]]:
    """The files of each artefact below `folder`, found by the path without its ending, both sorted by name.

    What lies in its folder `reference` was not made here and is left out.

    Raises `UserError` if there is none.
    """
    folder = Path(folder)
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.relative_to(folder).parts[0] == "reference":
            continue
        if path.suffix in KINDS and path.stem != "README" and not path.name.startswith("."):
            found.setdefault(str(path.relative_to(folder).with_suffix("")), []).append(path)
    if not found:
        raise UserError(f"{folder}: holds no table and no figure yet; make them with `snakemake`")
    return found


def inventory(found: dict[str, list[Path]]) -> str:
    """One line per artefact, as a shell takes it: paper_tables/tian2021/table1.{csv,md}."""
    lines = []
    for paths in found.values():
        endings = [path.suffix[1:] for path in paths]
        stem = str(paths[0].with_suffix(""))
        lines.append(f"{stem}.{endings[0]}" if len(endings) == 1 else f"{stem}.{{{','.join(endings)}}}")
    return "\n".join(lines)


def compact(text: str, *, width: int, rows: int = 8) -> str:
    """A Markdown table with its title and its warnings, in at most `width` characters a line.

    Intervals are left out; columns and rows that do not fit are too, and an ellipsis says so. A text without
    a table gives its title alone.
    """
    lines = text.splitlines()
    kept = [line.lstrip("#> ").replace("**", "") for line in lines if line.startswith(("# ", "> "))]
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
