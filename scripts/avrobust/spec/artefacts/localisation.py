"""A table of how well nets with attention find what sounds, clean and attacked, beside what chance finds.

The layout is a JSON object:

    title, caption   text above the table
    citation         the paper, for the reader
    sources          where the clips of each dataset come from: {"music": "lists"}, the papers' own; `render`, `local`
    rows             [{"dataset": "music", "variant": "attended_concat", "attack": "fgsm"}, ...]
    epsilons         strengths of the attacks: [0.006]

The paper prints heat maps and no such numbers, so there are no published values beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product

from avrobust.program import UserError
from avrobust.spec.conditions import UNDER_ATTACK
from avrobust.spec.flat import reading
from avrobust.spec.kind import LOCALISATION, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Row:
    """One net under one attack."""

    dataset: str
    variant: str
    attack: str


@dataclass(frozen=True)
class Layout:
    """The table before it is measured."""

    title: str
    caption: str
    rows: Sequence[Row]
    epsilons: Sequence[float]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    table = record(Layout, spec, "table")
    rows = tuple(record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1))
    for name, values in (("rows", rows), ("epsilons", table.epsilons)):
        if not values:
            raise UserError(f"table: {name} is empty; give at least one")
    if len({*rows}) < len(rows):
        raise UserError("table: two rows are the same; leave one out")
    return Layout(table.title, table.caption, rows, tuple(table.epsilons), table.citation, table.sources)


def needs(table: Layout) -> Iterator[Need]:
    """The scores of each row, attacked in each way."""
    for row, modality, epsilon in product(table.rows, UNDER_ATTACK, table.epsilons):
        yield Need(LOCALISATION, reading({**asdict(row), "modality": modality, "epsilon": epsilon}))


LOCALISATION_TABLE = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("scores",),
    parse=layout,
    needs=needs,
    facts=("citation", "sources"),
    stacked=True,
)
