"""The same item of several papers below each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from avrobust.csv_text import read_csv
from avrobust.files import write_text
from avrobust.program import UserError
from avrobust.report.given import Given
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.stack import Layout


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the tables below each other; return a line for the log."""
    write_text(to[".csv"], stack(layout.papers, given.tables))
    return f"{', '.join(layout.papers)} in {to['.csv']}"


def merged_order(headers: Sequence[Sequence[str]]) -> list[str]:
    """All columns of all headers; a new one goes before the first known one that follows it in its header."""
    merged: list[str] = []
    for header in headers:
        place = len(merged)
        for name in reversed(header):
            if name in merged:
                place = merged.index(name)
            else:
                merged.insert(place, name)
    return merged


def stack(papers: Sequence[str], tables: Sequence[str | Path]) -> str:
    """One CSV of all lines, `paper` first; a column that a table does not have stays empty.

    Raises `UserError` if papers and tables do not pair, or if a table cannot be read or is stacked already.
    """
    if len(papers) != len(tables):
        raise UserError(f"{len(papers)} papers but {len(tables)} tables: give one table for each paper")
    frames = []
    for paper, path in zip(papers, tables, strict=True):
        header, lines = read_csv(path)
        if "paper" in header:
            raise UserError(f"{path}: has a column `paper` already; give the table of one paper")
        frames.append(pd.DataFrame(lines, columns=["paper", *header]).assign(paper=paper))
    return csv_of(pd.concat(frames)[merged_order([frame.columns for frame in frames])])
