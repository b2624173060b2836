"""How many of the wanted clips are there: a row per dataset, class and split, and a row for all classes of a split."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from avrobust.csv_text import write_csv_text
from avrobust.data import availability, manifest
from avrobust.data.availability import STATUSES, Outcome
from avrobust.data.manifest import SPLITS
from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.spec.artefacts.attrition import Layout

COLUMNS = ("scale", "dataset", "class", "split", "wanted", *STATUSES)
ALL_CLASSES = "all"


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger of all datasets; return a line for the log."""
    rows = []
    for name, classes, path in zip(layout.datasets, given.classes, given.availability, strict=True):
        rows += attrition(given.scale, name, manifest.read_classes(classes), availability.read(path))
    write_text(to[".csv"], write_csv_text(COLUMNS, rows))
    whole = [row for row in rows if row[2] == ALL_CLASSES]
    return ", ".join(f"{row[1]} {row[3]}: {row[5]} of {row[4]} clips" for row in whole)


def attrition(scale: str, dataset: str, classes: Iterable[str], outcomes: Iterable[Outcome]) -> Iterator[tuple]:
    """Yield the rows of one dataset (COLUMNS), classes in label order; a clip of several classes counts in each."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for outcome in outcomes:
        for name in (*outcome.labels, ALL_CLASSES):
            counts[name, outcome.split, outcome.status] += 1
    for name in (*classes, ALL_CLASSES):
        for split in SPLITS:
            of_status = [counts[name, split, status] for status in STATUSES]
            yield scale, dataset, name, split, sum(of_status), *of_status
