"""Names of a dataset's classes, known before anything is made."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


def class_names(root: Path, dataset: Mapping) -> Sequence[str]:
    """Return the class names of a dataset in label order: the user's own, those of its file, or those of its index.

    Those of an index are its display names with underscores for spaces, as `avrobust.data.protocols.audioset` has them.
    """
    if named := dataset.get("own_classes") or dataset.get("classes"):
        return named
    with (root / dataset["class_index"]).open(encoding="utf-8", newline="") as file:
        return ["_".join(row["display_name"].split()) for row in csv.DictReader(file)]
