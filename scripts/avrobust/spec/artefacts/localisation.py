"""A table of how well nets with attention find what sounds, clean and attacked, beside what chance finds.

The paper prints heat maps and no such numbers, so there are no published values beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product

from avrobust.program import UserError
from avrobust.spec.conditions import UNDER_ATTACK, reading
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
    """The table before it is measured; `names`: what datasets are called that are the user's own."""

    title: str
    caption: str
    rows: Sequence[Row]
    budgets: Sequence[str]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    strengths: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    table = record(Layout, spec, "table")
    rows = tuple(record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1))
    if len({*rows}) < len(rows):
        raise UserError("table: two rows are the same; leave one out")
    return replace(table, rows=rows, budgets=tuple(table.budgets))


def needs(table: Layout) -> Iterator[Need]:
    """The scores of each row, attacked in each way."""
    for row, modality, budget in product(table.rows, UNDER_ATTACK, table.budgets):
        yield Need(LOCALISATION, reading({**asdict(row), "modality": modality, "budget": budget}))


LOCALISATION_TABLE = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("scores",),
    parse=layout,
    needs=needs,
    facts=("citation", "sources", "strengths", "names"),
    stacked=True,
)
