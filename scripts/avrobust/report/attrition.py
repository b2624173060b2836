"""How many of the wanted clips are there: a row per dataset, class and split, and a row for all classes of a split."""

from collections import Counter
from collections.abc import Iterable, Iterator

from avrobust.data.availability import STATUSES, Outcome
from avrobust.data.manifest import SPLITS

COLUMNS = ("scale", "dataset", "class", "split", "wanted", *STATUSES)
ALL_CLASSES = "all"


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
