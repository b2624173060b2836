"""A figure of what an adversarial training by curriculum crafts of one clip, step by step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from avrobust.program import UserError
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.curriculum import CONSTANT, Stages
from avrobust.spec.kind import CRAFTING, Kind, Need
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """A figure before the clip is crafted on.

    `read`: dataset, and the variant whose training crafts, on the net that it starts from. `clip`: its id; without it
    the first one of the first class that the first epoch shows. `stage`: per cent of the clip's steps that are
    `sampled`, and of the fused features that are `dropped`; what it does not say is as at the end of the training's
    schedule. `attack`: the training's, as its paper calls it.
    """

    title: str
    read: Mapping[str, str]
    caption: str = ""
    clip: str = ""
    stage: Mapping[str, float] = field(default_factory=dict)
    attack: str = ""
    citation: str = ""
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, list]] = field(default_factory=dict)

    def label(self, kind: str, name: str) -> str:
        """What the paper prints for a `dataset` or an `attack`; the name where it prints nothing."""
        return self.labels.get(kind, {}).get(name) or self.names.get(name, name)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` or `ValueError` names what is wrong."""
    figure = record(Layout, spec, "figure")
    if unknown := sorted({*figure.stage} - {"sampled", "dropped"}):
        raise UserError(f"figure: stage: unknown {', '.join(unknown)}; known are sampled, dropped")
    Stages(**{"sampled": 100, "dropped": 0, **figure.stage}, schedule=CONSTANT, cycle=1, steps=1)
    return figure


def needs(figure: Layout) -> Iterator[Need]:
    """What that training crafts of the clip."""
    net = figure.read["variant"]
    # The training says in how many steps, whatever the attack has elsewhere.
    place = Reading(figure.read["dataset"], net, net, figure.attack, Condition("both", steps=1))
    yield Need(CRAFTING, place, example=figure.clip)


CRAFTING_OF_A_CLIP = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("examples",),
    parse=layout,
    needs=needs,
    facts=("citation", "labels", "names", "sources", "sizes", "attack"),
)
