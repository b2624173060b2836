"""A listing of an encoder, layer by layer, beside the one that the paper prints.

The layout is that of a diagram, with the modality whose encoder is listed:

    part             audio
    samples          length of the sound for which the paper gives shapes, at full width

What is printed stands in a CSV with one column, `layer`: `nn.Conv1d(1, 64, kernel_size=3, stride=2, padding=1)`.
"""

from dataclasses import dataclass

from avrobust.program import UserError
from avrobust.spec.artefacts import diagram
from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout(diagram.Layout):
    """A listing before the net is built."""

    part: str = "audio"
    samples: int = 0


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    figure = record(Layout, spec, "figure")
    if {*figure.read} != {"dataset", "variant"}:
        raise UserError(f"figure: read must name dataset and variant, got {', '.join(figure.read)}")
    if figure.part != "audio":
        raise UserError(f"figure: part must be audio, got {figure.part!r}")
    return figure


LISTING = Kind(
    shown=(".svg",), others=(".csv", ".png"), reads=("published",), parse=layout, facts=(*diagram.FACTS, "samples")
)
