"""What a paper's budgets were calibrated by: the whole curve of each, with the strength that was taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Calibrated:
    """A budget: of what net, attack and dataset the success is, and what the paper prints of it."""

    name: str
    dataset: str
    variant: str
    attack: str
    success: float
    black_box: float | None


@dataclass(frozen=True)
class Layout:
    """The curve of each budget, in the order of their files."""

    title: str
    strengths: Sequence[Calibrated]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON."""
    whole = record(Layout, spec, "calibration")
    found = tuple(record(Calibrated, one, f"calibration {number}") for number, one in enumerate(whole.strengths, 1))
    return replace(whole, strengths=found)


CALIBRATION = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("calibrations",),
    parse=layout,
    facts=("citation", "labels"),
)
