"""Drawing of an encoder's listing: one line a layer, as code, with what flows and a mark where it is as printed."""

from collections.abc import Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from avrobust.report.listing import Line
from avrobust.report.net_parts import words
from avrobust.report.style import WIDTH, drawing, save
from avrobust.spec.artefacts.listing import Layout

LINE, HEAD, LETTERS = 0.155, 0.72, 128
GREY, WRONG = "#444444", "#B00020"
# In inches, where code begins, where shapes end, how far beyond parameters do, where the mark stands.
CODE, PLACES, NEXT, MARK = 0.3, (4.25, 5.85), 0.75, 6.95


def draw(layout: Layout, lines: Sequence[Line], scale: str, *, svg: str, png: str) -> None:
    """Draw the listing into the files `svg` and `png`."""
    foot = _foot(layout, lines)
    height = HEAD + LINE * (len(lines) + 1) + 0.14 * len(foot) + 0.12
    with drawing():
        canvas = Canvas(figsize=(WIDTH, height))
        FigureCanvasAgg(canvas)
        axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        axes.axis("off")
        axes.text(0.1, height - 0.12, layout.title, fontsize=9, va="top")
        y, small = height - HEAD + 0.14, {"fontsize": 6.5, "color": GREY}
        for place, text in zip(PLACES, (f"full width, {layout.samples:,} samples", f"scale {scale}"), strict=True):
            axes.text(place + 0.38, y + 0.14, text, ha="center", **small)
            axes.text(place, y, "output", ha="right", **small)
            axes.text(place + NEXT, y, "parameters", ha="right", **small)
        axes.text(MARK, y, "printed", ha="center", **small)
        axes.plot([0.1, WIDTH - 0.1], [y - 0.05] * 2, color=GREY, linewidth=0.5)
        for number, line in enumerate(lines):
            _line(axes, height - HEAD - LINE * (number + 0.25), line)
        for number, text in enumerate(foot):
            axes.text(0.1, 0.1 + 0.14 * (len(foot) - 1 - number), text, **small)
        save(canvas, svg=svg, png=png)


def _line(axes: Axes, y: float, line: Line) -> None:
    colour = "black" if line.as_printed else WRONG
    text = line.built or "(missing)"
    text += "" if line.as_printed else f"   # printed: {line.printed or 'nothing'}"
    axes.text(CODE, y, text, fontsize=6.8, family="DejaVu Sans Mono", va="center", color=colour)
    sizes = (line.output, line.parameters), (line.own_output, line.own_parameters)
    for place, (shape, parameters) in zip(PLACES, sizes, strict=True):
        axes.text(place, y, words(shape), fontsize=6.5, ha="right", va="center")
        axes.text(place + NEXT, y, f"{parameters:,}" if parameters else "", fontsize=6.5, ha="right", va="center")
    axes.text(MARK, y, "✓" if line.as_printed else "✗", fontsize=7, ha="center", va="center", color=colour)
    if line.built.startswith("nn.MaxPool"):
        axes.plot([CODE, WIDTH - 0.1], [y - LINE / 2] * 2, color=GREY, linewidth=0.25)


def _foot(layout: Layout, lines: Sequence[Line]) -> list[str]:
    same = sum(line.as_printed for line in lines)
    total, own = sum(line.parameters for line in lines), sum(line.own_parameters for line in lines)
    counted = f"{same} of {len(lines)} layers as printed. {total:,} parameters at full width, {own:,} here."
    return [counted, *wrap(layout.caption, LETTERS)]
