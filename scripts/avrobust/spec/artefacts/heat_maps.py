"""A figure of heat maps: where a net with attention looks for what sounds, one clip per row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.spec.conditions import UNDER_ATTACK, reading
from avrobust.spec.kind import LOCALISATION, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Row:
    """One row of the layout; `label` is the class, `title` what the drawing calls it."""

    dataset: str
    label: str
    title: str


@dataclass(frozen=True)
class Layout:
    """A figure of heat maps before its clips are found.

    `strengths`: what is printed for a budget; `labels`: for a dataset or an attack; `names`: for a user's own dataset.
    """

    title: str
    budget: str
    read: Mapping[str, str]
    rows: Sequence[Row]
    caption: str = ""
    strengths: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def label(self, kind: str, name: str) -> str:
        """What the paper prints for a `dataset` or an `attack`; the name as words where it prints nothing."""
        return self.labels.get(kind, {}).get(name) or readable(name)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names an unknown or missing key."""
    figure = record(Layout, spec, "figure")
    return replace(figure, rows=tuple(Row(row["dataset"], row["class"], row["title"]) for row in figure.rows))


def readable(name: str) -> str:
    """Return a class or dataset name as words: playing_cello -> playing cello."""
    return name.replace("_", " ")


def needs(figure: Layout) -> Iterator[Need]:
    """A clip of each row's class, attacked in each way."""
    for row in figure.rows:
        for modality in UNDER_ATTACK:
            read = {**figure.read, "dataset": row.dataset, "modality": modality, "budget": figure.budget}
            yield Need(LOCALISATION, reading(read), example=row.label)


HEAT_MAPS = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("examples",),
    parse=layout,
    needs=needs,
    facts=("strengths", "labels", "names"),
)
