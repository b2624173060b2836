"""A diagram of a net, from the net that the code builds."""

from collections.abc import Mapping, Sequence

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.report.net_parts import Part, full_width, parts, shapes_of_inputs
from avrobust.spec.artefacts.diagram import Layout


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the net, and write its parts; return a line for the log."""
    inputs = shapes_of_inputs(figure.view, figure.rates)
    ours, full = (parts(net, figure.classes, inputs) for net in (figure.net, full_width(figure.net)))
    # Loading the drawing library takes longer than finding a mistake in what is given.
    from avrobust.report.diagram_plot import draw

    draw(figure, ours, full, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], parts_csv(ours, full, given.scale))
    return f"{figure.title}: {len(ours)} parts"


def parts_csv(ours: Sequence[Part], full: Sequence[Part], scale: str) -> str:
    """The parts as CSV, with sizes of this scale and with the parameters at full width; shapes as 8x32x32."""

    def text(shapes: Sequence[tuple[int, ...]]) -> str:
        return " ".join("x".join(map(str, shape)) for shape in shapes)

    header = ["part", "name", "input", "maps", "output", "parameters", "parameters_at_full_width", "scale"]
    rows = (
        [
            *(one.role, one.name, text(one.inputs), text(one.maps), text([one.output])),
            *(one.parameters, wide.parameters, scale),
        ]
        for one, wide in zip(ours, full, strict=True)
    )
    return write_csv_text(header, rows)
