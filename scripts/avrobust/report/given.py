"""What an artefact is made from: files by what they hold, and the scale at which they were made."""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Given:
    """Paths; an artefact gets those that its kind reads.

    cells, scores, embeddings: parquet. metrics: parquet, how well nets rank clips (`avrobust.metrics.ranked_rows`).
    examples: npz, clips to draw. published: printed values. manifests, classes, availability: of datasets, in the
    layout's order. tables: CSVs to stack, likewise. calibrations: CSVs of budgets. trainings: train.json of nets.
    geometry: parquet, a row for each class of a net (`avrobust.metrics.geometry`). points: parquet, training clips of
    classes that are drawn. answers: CSVs of what a model said of clips. synonyms: a CSV of what classes are called.
    """

    scale: str
    cells: Sequence[str] = ()
    metrics: Sequence[str] = ()
    scores: Sequence[str] = ()
    embeddings: Sequence[str] = ()
    examples: Sequence[str] = ()
    published: Sequence[str] = ()
    manifests: Sequence[str] = ()
    classes: Sequence[str] = ()
    availability: Sequence[str] = ()
    tables: Sequence[str] = ()
    calibrations: Sequence[str] = ()
    trainings: Sequence[str] = ()
    geometry: Sequence[str] = ()
    points: Sequence[str] = ()
    answers: Sequence[str] = ()
    synonyms: Sequence[str] = ()


READS = tuple(field.name for field in fields(Given) if field.name != "scale")
