"""What the Markdown files of all tables and ledgers share."""

from collections.abc import Container, Iterable, Sequence

import pandas as pd

# Clips of this source are the papers' own, and the sizes of this scale are.
PUBLISHED_SOURCE, PUBLISHED_SCALE = "lists", "paper"
SOURCES = {"render": "rendered", "local": "the user's own", "part": "a part of the paper's"}
INTERVALS = "Intervals speak of other clips and, from three seeds on, of other trainings."


def others(sources: Iterable[str]) -> str:
    """Where the clips come from that are not the papers' own, in words; "" if there are none."""
    return " and ".join(SOURCES[source] for source in sorted({*sources} - {PUBLISHED_SOURCE, ""}))


def comparable(sources: Iterable[str], scale: str) -> bool:
    """Whether numbers may be set against published ones: all clips are the papers' own, and so are the sizes."""
    return {*sources} <= {PUBLISHED_SOURCE} and scale == PUBLISHED_SCALE


def about(sources: Iterable[str], scale: str) -> str:
    """What numbers speak about that may not be set against published ones, in words; "" if they may."""
    sources = {*sources}
    if found := others(sources):
        return f"{found} clips"
    return "" if comparable(sources, scale) else f"the paper's clips at scale `{scale}`"


def warning(
    sources: Iterable[str], scale: str, said: str = "these numbers are not comparable with the published ones"
) -> list[str]:
    """Lines that warn of clips or sizes that are not the papers' own, and what that means; none if all are."""
    sources = {*sources}
    if found := others(sources):
        return [f"> **Not the paper's data.** The clips are {found}: {said}.", ""]
    return [] if comparable(sources, scale) else [f"> **Not the paper's sizes.** Scale `{scale}`: {said}.", ""]


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[str]) -> list[str]:
    """The lines of a Markdown table; the columns of `numbers` stand at the right."""
    rule = ["---:" if name in numbers else "---" for name in header]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (header, rule, *rows)]


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, and no negative zero; nothing where there is no value."""
    return "" if value != value else f"{round(value, decimals) + 0.0:.{decimals}f}"


def csv_of(frame: pd.DataFrame, decimals: int = 2) -> str:
    """A frame as CSV with Unix line ends: numbers with so many decimals, nothing where there is no value."""
    return frame.to_csv(index=False, float_format=f"%.{decimals}f", lineterminator="\n")


def wide(frame: pd.DataFrame, keys: Sequence[str], column: str, cell: str) -> pd.DataFrame:
    """A row for each combination of `keys` and a column for each value of `column`, both as they come."""
    rows = frame.groupby(list(keys), sort=False).ngroup()
    cells = frame.assign(row=rows).pivot(index="row", columns=column, values=cell)
    return frame[list(keys)].drop_duplicates().reset_index(drop=True).join(cells[frame[column].unique()])
