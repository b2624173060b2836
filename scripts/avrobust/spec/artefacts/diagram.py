"""A diagram of a net: its parts, the shapes that flow between them, and how many parameters each has.

The layout is a JSON object:

    title, caption   text above and below the drawing
    read             the net: {"dataset": "music", "variant": "concat"}
    net              JSON of the ModelSpec, at this scale
    view             how it sees a clip, and `rates`, of the store: {"audio_rate": 11025, "frame_rate": 8}
    classes          how many it tells apart
    citation         the paper, for the reader
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from avrobust.program import UserError
from avrobust.spec.kind import Kind
from avrobust.spec.record import record

FACTS = ("citation", "net", "view", "rates", "classes")


@dataclass(frozen=True)
class Layout:
    """A diagram before the net is built."""

    title: str
    read: Mapping[str, str]
    caption: str = ""
    citation: str = ""
    net: Mapping = field(default_factory=dict)
    view: Mapping = field(default_factory=dict)
    rates: Mapping[str, int] = field(default_factory=dict)
    classes: int = 0


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    figure = record(Layout, spec, "figure")
    if {*figure.read} != {"dataset", "variant"}:
        raise UserError(f"figure: read must name dataset and variant, got {', '.join(figure.read)}")
    return figure


DIAGRAM = Kind(shown=(".svg",), others=(".csv", ".png"), reads=(), parse=layout, facts=FACTS)
