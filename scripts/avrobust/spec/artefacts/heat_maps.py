"""A figure of heat maps: where a net with attention looks for what sounds, one clip per row.

The layout is a JSON object:

    title, caption   text above and below the drawing
    budget           how far the attacks may go: "small"
    strengths        what is printed for it: {"small": "0.006"}; its name where nothing is said
    read             the net and the attack: {"variant": "localisation", "attack": "mim"}
    rows             [{"dataset": "music", "class": "cello", "title": "playing cello"}, ...]

`title` is what the drawing calls the class; without it the class's own name stands there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.program import UserError
from avrobust.spec.conditions import UNDER_ATTACK, reading
from avrobust.spec.kind import LOCALISATION, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Row:
    """One row of the layout; `label` is the class."""

    dataset: str
    label: str
    title: str


@dataclass(frozen=True)
class Layout:
    """A figure of heat maps before its clips are found."""

    title: str
    budget: str
    read: Mapping[str, str]
    rows: Sequence[Row]
    caption: str = ""
    strengths: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    figure = record(Layout, spec, "figure")
    if {*figure.read} != {"variant", "attack"}:
        raise UserError(f"figure: read must name variant and attack, got {', '.join(figure.read)}")
    rows = []
    for number, value in enumerate(figure.rows, 1):
        where = f"row {number}"
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: must be a JSON object, got {value!r}")
        if unknown := sorted({*value} - {"dataset", "class", "title"}):
            raise UserError(f"{where}: unknown {', '.join(unknown)}; known are class, dataset, title")
        if missing := [name for name in ("dataset", "class") if name not in value]:
            raise UserError(f"{where}: {', '.join(missing)} must be given")
        rows.append(Row(value["dataset"], value["class"], value.get("title") or readable(value["class"])))
    if not rows:
        raise UserError("figure: rows is empty; give at least one")
    return replace(figure, rows=tuple(rows))


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
    shown=(".svg",), others=(".csv", ".png"), reads=("examples",), parse=layout, needs=needs, facts=("strengths",)
)
