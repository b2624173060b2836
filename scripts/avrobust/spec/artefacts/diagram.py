"""A diagram of a net: its parts, the shapes that flow between them, and how many parameters each has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from avrobust.spec.kind import Kind
from avrobust.spec.record import record

FACTS = ("citation", "net", "view", "rates", "classes")


@dataclass(frozen=True)
class Layout:
    """A diagram before the net is built: of `net`, JSON of a ModelSpec, for so many `classes`.

    `read`: its dataset and variant. `view`: how it sees a clip, from a store with these `rates`; `extractor`: what made
    the features that it sees, with a view of its own, nothing where it sees clips.
    """

    title: str
    read: Mapping[str, str]
    caption: str = ""
    citation: str = ""
    net: Mapping = field(default_factory=dict)
    view: Mapping = field(default_factory=dict)
    rates: Mapping[str, int] = field(default_factory=dict)
    classes: int = 0
    extractor: Mapping = field(default_factory=dict)


DIAGRAM = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=(),
    parse=partial(record, Layout, where="figure"),
    facts=(*FACTS, "extractor"),
)
