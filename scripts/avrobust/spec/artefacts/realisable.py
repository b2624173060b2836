"""A ledger of what is left of every attack of a paper in a file: 8-bit frames and 16-bit sound, H.264 and AAC.

The layout names the cells that the paper's other artefacts read, with the conditions under which they attack.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Attacked:
    """A cell and one of its victims; `conditions`: lists of modality, budget and, perhaps, steps.

    `control`: its attack takes no gradient, or one of its nets loses or wins by construction.
    """

    dataset: str
    surrogate: str
    victim: str
    attack: str
    conditions: Sequence[Condition]
    control: bool = False

    @property
    def readings(self) -> list[Reading]:
        """What is read of it, condition by condition."""
        place = self.dataset, self.surrogate, self.victim, self.attack
        return [Reading(*place, condition) for condition in self.conditions]


@dataclass(frozen=True)
class Layout:
    """The ledger before it is measured.

    `sources`: dataset -> where its clips come from; `names`: how it is printed, where its name is not.
    """

    paper: str
    cells: Sequence[Attacked]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    ledger = record(Layout, spec, "ledger")
    cells = (record(Attacked, value, f"cell {number}") for number, value in enumerate(ledger.cells, 1))
    made = (replace(cell, conditions=tuple(Condition(*one) for one in cell.conditions)) for cell in cells)
    return replace(ledger, cells=tuple(made))


def needs(ledger: Layout) -> Iterator[Need]:
    """Every cell, under every condition."""
    for cell in ledger.cells:
        yield from (Need(CELLS, reading) for reading in cell.readings)


REALISABLE = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("cells",),
    parse=layout,
    needs=needs,
    facts=("paper", "citation", "sources", "names"),
    stacked=True,
)
