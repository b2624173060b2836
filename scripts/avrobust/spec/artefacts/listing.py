"""A listing of an encoder of sound, layer by layer, beside the one that the paper prints.

What is printed stands in a CSV with one column, `layer`: `nn.Conv1d(1, 64, kernel_size=3, stride=2, padding=1)`.
"""

from dataclasses import dataclass
from functools import partial

from avrobust.spec.artefacts import diagram
from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout(diagram.Layout):
    """A listing before the net is built; `samples` of sound have the shapes at full width that the paper gives."""

    samples: int = 0


LISTING = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("published",),
    parse=partial(record, Layout, where="figure"),
    facts=(*diagram.FACTS, "samples"),
)
