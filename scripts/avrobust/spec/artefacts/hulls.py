"""The classes of nets as convex hulls in a t-SNE, and what the space itself says of them: Li et al. (2022), figure 3.

A picture shows what t-SNE keeps, neighbours; areas and overlaps in it are its own. What the paper reads off it, classes
with a denser crust and clearer boundaries after a training, is therefore also measured in the features:
`avrobust.spec.geometry`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.figure import few_enough
from avrobust.spec.geometry import KAPPAS
from avrobust.spec.kind import GEOMETRY, Kind, Need
from avrobust.spec.record import record

MOST_CLASSES, MOST_PANELS = 4, 3


@dataclass(frozen=True)
class Panel:
    """One net's picture: `read` has dataset and variant."""

    title: str
    read: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """A figure before anything is projected: of which `classes`, and of which nets, each in a space of its own.

    `kappa`: the convexity that is printed, of `avrobust.spec.geometry.KAPPAS`; the data have all. `seed`: of the
    trainings that are drawn; the data have the measures of all.
    """

    title: str
    classes: Sequence[str]
    panels: Sequence[Panel]
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
    panels = tuple(record(Panel, value, f"panel {number}") for number, value in enumerate(whole.panels, 1))
    for what, names in (("classes", list(whole.classes)), ("panels", [panel.title for panel in panels])):
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{what}: {twice[0]!r} occurs twice")
    few_enough("classes", whole.classes, MOST_CLASSES)
    few_enough("panels", [panel.title for panel in panels], MOST_PANELS)
    if whole.kappa not in KAPPAS:
        raise UserError(f"kappa: {whole.kappa!r} is none of {', '.join(KAPPAS)}")
    return replace(whole, classes=tuple(whole.classes), panels=panels)


def needs(figure: Layout) -> Iterator[Need]:
    """The measured classes of every net, and the points of those that are drawn."""
    for panel in figure.panels:
        dataset, net = panel.read["dataset"], panel.read["variant"]
        for name in figure.classes:
            yield Need(GEOMETRY, Reading(dataset, net, net, "", CLEAN), example=name)


HULLS = Kind(
    shown=("_measures.csv", ".svg"),
    others=(".csv", ".png"),
    reads=("geometry", "points"),
    parse=layout,
    needs=needs,
    facts=("citation", "sources", "sizes", "seed", "labels", "names"),
)
