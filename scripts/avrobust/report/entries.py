"""What tables of all kinds say of an entry beside its keys, and of all entries in the log."""

import pandas as pd

from avrobust.report.text import about

COLUMNS = (
    "column", "unit", "published", "ours", "low", "high", "difference", "inside", "n", "seeds", "scale", "source",
    "note",
)  # fmt: skip


def compared(entries: pd.DataFrame) -> str:
    """How many published values lie inside our intervals, and which are not looked at; nothing if none is printed."""
    printed, judged = entries["difference"].notna(), entries["inside"] != ""
    said = f", {(entries['inside'] == 'yes').sum()} of {judged.sum()} published values inside our interval"
    apart = entries[printed & ~judged]
    other = f", {len(apart)} published values not judged: of {about(apart['source'], entries['scale'].iloc[0])}"
    return said * bool(judged.any()) + other * bool(len(apart))
