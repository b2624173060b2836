"""A table of how well nets with attention find what sounds, clean and attacked, beside what chance finds.

The layout is a JSON object:

    title, caption   text above the table
    citation         the paper, for the reader
    sources          where the clips of each dataset come from: {"music": "lists"}, the papers' own; `render`, `local`
    rows             [{"dataset": "music", "variant": "attended_concat", "attack": "fgsm"}, ...]
    budgets          how far the attacks may go: ["small"]
    strengths        what is printed for each budget: {"small": "0.006"}; its name where nothing is said

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
    """The table before it is measured."""

    title: str
    caption: str
    rows: Sequence[Row]
    budgets: Sequence[str]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    strengths: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    table = record(Layout, spec, "table")
    rows = tuple(record(Row, value, f"row {number}") for number, value in enumerate(table.rows, 1))
    for name, values in (("rows", rows), ("budgets", table.budgets)):
        if not values:
            raise UserError(f"table: {name} is empty; give at least one")
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
    facts=("citation", "sources", "strengths"),
    stacked=True,
)
