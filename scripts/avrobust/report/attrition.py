"""How many of the wanted clips are there: a row per dataset, class and split, and a row for all classes of a split."""

from collections.abc import Iterable, Mapping

import pandas as pd

from avrobust.data import availability, manifest
from avrobust.data.availability import STATUSES, Outcome
from avrobust.data.manifest import SPLITS
from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.attrition import Layout
from avrobust.spec.units import CLIPS

COLUMNS = ("scale", "dataset", "class", "split", "unit", "wanted", *STATUSES)
ALL_CLASSES = "all"


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger of all datasets; return a line for the log."""
    files = zip(layout.datasets, given.classes, given.availability, strict=True)
    counts = pd.concat(
        attrition(layout.names.get(name, name), manifest.read_classes(classes), availability.read(path))
        for name, classes, path in files
    )
    write_text(to[".csv"], csv_of(counts.assign(scale=given.scale, unit=CLIPS)[[*COLUMNS]]))
    whole = counts[counts["class"] == ALL_CLASSES]
    return ", ".join(f"{row.dataset} {row.split}: {row.ok} of {row.wanted} clips" for row in whole.itertuples())


def attrition(dataset: str, classes: Iterable[str], outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Count one dataset (COLUMNS but for scale and unit), classes in label order; a clip of several counts in each."""
    found = [(name, outcome.split, outcome.status) for outcome in outcomes for name in (*outcome.labels, ALL_CLASSES)]
    frame = pd.DataFrame(found, columns=["class", "split", "status"])
    places = pd.MultiIndex.from_product([[*classes, ALL_CLASSES], SPLITS], names=["class", "split"])
    counts = frame.groupby(["class", "split", "status"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=places, columns=STATUSES, fill_value=0)
    return counts.assign(dataset=dataset, wanted=counts.sum(axis=1)).reset_index()
