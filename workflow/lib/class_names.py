"""Names of a dataset's classes, known before anything is made."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.errors import SettingsError


def class_names(root: Path, dataset: Mapping) -> Sequence[str]:
    """Return the class names of a dataset in label order: the user's own, those of its file, or those of its index.

    Those of an index are its display names with underscores for spaces, as `avrobust.data.protocols.audioset` has them.

    Raises:
        SettingsError: there is no such index, or the user's own table can't be read.
    """
    if named := dataset.get("own_classes") or dataset.get("classes"):
        return named
    if "class_index" not in dataset:
        raise SettingsError(f"{dataset['table']}: no classes can be read of it, and the dataset's file has none")
    index = root / dataset["class_index"]
    if not index.is_file():
        raise SettingsError(
            f"class_index: {dataset['class_index']!r} is no file; give a path from the project's folder"
        )
    with index.open(encoding="utf-8", newline="") as file:
        return ["_".join(row["display_name"].split()) for row in csv.DictReader(file)]
