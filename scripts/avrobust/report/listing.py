"""An encoder layer by layer, from the net that the code builds, beside the listing that the paper prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import zip_longest
from textwrap import wrap

import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import nn

from avrobust.files import write_text
from avrobust.program import UserError
from avrobust.report.given import Given
from avrobust.report.net_parts import Layer, Shape, encoder_of, full_width, layers, plain, shapes_of_inputs, words
from avrobust.report.style import WIDTH, page, sheet
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.listing import Layout
from avrobust.spec.units import PARAMETERS

# On pictures a pixel high these are what their partners are on sequences.
SEQUENCES = {nn.Conv2d: nn.Conv1d, nn.BatchNorm2d: nn.BatchNorm1d, nn.MaxPool2d: nn.MaxPool1d}
# What code says without a name, and what changes no number.
UNNAMED = ("in_channels", "out_channels", "num_features")
UNSEEN = ("device", "dtype", "inplace")


@dataclass(frozen=True)
class Line:
    """A layer: as built at full width and as printed, in the same words; its shape and parameters there and here.

    `built` is empty for a layer that is printed only; `printed` for one that is built only.
    """

    built: str
    printed: str
    output: Shape = ()
    parameters: int = 0
    own_output: Shape = ()
    own_parameters: int = 0

    @property
    def as_printed(self) -> bool:
        """Whether the layer is the printed one."""
        return self.built == self.printed


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the listing, and write it; return a line for the log."""
    lines = measure(figure, printed_layers(given.published[0]))
    draw(figure, lines, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(tidy(lines, given.scale)))
    return f"{figure.title}: {sum(line.as_printed for line in lines)} of {len(lines)} layers as printed"


def measure(figure: Layout, printed: Sequence[str]) -> list[Line]:
    """Return the layers of the encoder at full width on the paper's length, each beside the printed and our own."""
    (channels, samples) = shapes_of_inputs(figure.view, figure.rates)["audio"]
    full, own = (
        layers(encoder_of(net, "audio", figure.classes), torch.zeros(1, channels, length))
        for net, length in ((full_width(figure.net), figure.samples), (figure.net, samples))
    )
    lines = []
    for layer, here, text in zip_longest(full, own, printed):
        if layer is None:
            lines.append(Line("", text))
            continue
        shapes = _flat(layer.output), layer.parameters, _flat(here.output), here.parameters
        lines.append(Line(in_words(layer), text or "", *shapes))
    return lines


def in_words(layer: Layer) -> str:
    """Return a layer as PyTorch code has it, defaults left out; one on pictures a pixel high as that on sequences."""
    kind = SEQUENCES.get(type(layer.module), type(layer.module))
    words = []
    for name, option in signature(kind).parameters.items():
        value = getattr(layer.module, name, option.default)
        value = value is not None if name == "bias" else _along(value, 0 if name == "padding" else 1)
        if name in UNNAMED:
            words.append(f"{value}")
        elif name not in UNSEEN and value != option.default:
            words.append(f"{name}={value}")
    return f"nn.{kind.__name__}({', '.join(words)})"


def _along(value: object, idle: int) -> object:
    """Return the second of a pair of sizes, if the first is `idle`: does nothing to pictures a pixel high."""
    return value[1] if isinstance(value, tuple) and len(value) == 2 and value[0] == idle else value


def _flat(shape: Shape) -> Shape:
    return tuple(size for number, size in enumerate(shape) if number != 1 or size != 1)


def printed_layers(path: str) -> list[str]:
    """Return the column `layer` of a CSV; a `UserError` if there is none."""
    try:
        return [*pd.read_csv(path, keep_default_na=False)["layer"]]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: no listing ({error}); write down what the paper prints, a column `layer`") from None


def tidy(lines: Sequence[Line], scale: str) -> pd.DataFrame:
    """The listing; shapes as 64x32768, channels first."""
    told = (
        {
            "number": number,
            "printed": line.printed,
            "built": line.built,
            "as_printed": "yes" if line.as_printed else "no",
            "output": plain(line.output),
            "unit": PARAMETERS,
            "parameters": line.parameters,
            "output_at_this_scale": plain(line.own_output),
            "parameters_at_this_scale": line.own_parameters,
        }
        for number, line in enumerate(lines, 1)
    )
    return pd.DataFrame(told).assign(scale=scale)


# Drawing: one line a layer, as code, with what flows and a mark where it is as printed.
LINE, HEAD, LETTERS = 0.155, 0.72, 128
GREY, WRONG = "#444444", "#B00020"
# In inches, where code begins, where shapes end, how far beyond parameters do, where the mark stands.
CODE, PLACES, NEXT, MARK = 0.3, (4.25, 5.85), 0.75, 6.95


def draw(layout: Layout, lines: Sequence[Line], scale: str, *, svg: str, png: str) -> None:
    """Draw the listing into the files `svg` and `png`."""
    foot = _foot(layout, lines)
    height = HEAD + LINE * (len(lines) + 1) + 0.14 * len(foot) + 0.12
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        axes = sheet(canvas)
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
