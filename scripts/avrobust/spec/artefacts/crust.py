"""The crust of a class: its clips around their mean, and the shell that has a density; Li et al. (2022), figure 1b."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.geometry import KAPPAS
from avrobust.spec.kind import GEOMETRY, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """A figure before anything is drawn: of the class `of_class`; `read` has dataset and variant.

    `kappa`: the convexity that is printed, of `avrobust.spec.geometry.KAPPAS`; the data have all. `seed`: of the
    training that is drawn; the data have the measures of all.
    """

    title: str
    of_class: str
    read: Mapping[str, str]
    kappa: str = "kappa_01"
    seed: int = 0
    caption: str = ""
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    if whole.kappa not in KAPPAS:
        raise UserError(f"kappa: {whole.kappa!r} is none of {', '.join(KAPPAS)}")
    return whole


def needs(figure: Layout) -> Iterator[Need]:
    """The measured classes of the net, and the points of the one that is drawn."""
    net = figure.read["variant"]
    yield Need(GEOMETRY, Reading(figure.read["dataset"], net, net, "", CLEAN), example=figure.of_class)


CRUST = Kind(
    shown=("_measures.csv", ".svg"),
    others=(".csv", ".png"),
    reads=("geometry", "points"),
    parse=layout,
    needs=needs,
    facts=("citation", "sources", "sizes", "seed", "labels", "names"),
)
