"""A diagram of a net, from the net that the code builds."""

from collections.abc import Mapping, Sequence
from math import log2, pi, prod, sin

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.report.net_parts import (
    Part,
    Shape,
    extractor_parts,
    full_width,
    parts,
    plain,
    shapes_of_inputs,
    words,
)
from avrobust.report.style import WIDTH, page, sheet
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.diagram import Layout
from avrobust.spec.units import PARAMETERS


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the net, and write its parts; return a line for the log."""
    ours = _parts(figure, figure.net)
    # Features have a size of this scale's own, which a wider net would not take.
    full = ours if figure.extractor else _parts(figure, full_width(figure.net))
    draw(figure, ours, full, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(tidy(ours, full, given.scale)))
    return f"{figure.title}: {len(ours)} parts"


def _parts(figure: Layout, net: Mapping) -> list[Part]:
    """The parts of an extractor, if there is one, and those of the net behind it."""
    if not figure.extractor:
        return parts(net, figure.classes, shapes_of_inputs(figure.view, figure.rates))
    made = extractor_parts(figure.extractor, figure.rates, [name for name in COLOURS if name in net])
    return [*made, *parts(net, figure.classes, {one.role.split()[0]: one.output for one in made})]


def tidy(ours: Sequence[Part], full: Sequence[Part], scale: str) -> pd.DataFrame:
    """The parts, with sizes of this scale and with the parameters at full width; shapes as 8x32x32."""
    lines = (
        {
            "part": one.role,
            "name": one.name,
            "input": " ".join(map(plain, one.inputs)),
            "maps": " ".join(map(plain, one.maps)),
            "output": plain(one.output),
            "unit": PARAMETERS,
            "parameters": one.parameters,
            "parameters_at_full_width": wide.parameters,
        }
        for one, wide in zip(ours, full, strict=True)
    )
    return pd.DataFrame(lines).assign(scale=scale)


# Drawing: one lane for each modality, then what both become.
# Okabe and Ito's blue and vermilion; what belongs to both is grey.
GREY = "#444444"
COLOURS = {"audio": "#0072B2", "visual": "#D55E00"}
# Of a lane and of the words below all lanes, in inches.
LANE, TITLE, FOOT = 1.35, 0.3, 0.42
# Widths of an input, an extractor, an encoder (behind an extractor), a defence, what both share, and what lies between.
LEFT, INPUT, EXTRACTOR, ENCODER, BEHIND, DEFENCE, BOX, GAP = 0.1, 0.95, 0.9, 2.2, 1.75, 0.62, 0.8, 0.4
# A longer name of a net is printed smaller.
SHORT = 12


def draw(layout: Layout, ours: Sequence[Part], full: Sequence[Part], scale: str, *, svg: str, png: str) -> None:
    """Draw the parts into the files `svg` and `png`; `full` are the same at full width."""
    lanes = list(dict.fromkeys(one.role.split()[0] for one in ours if one.role.endswith("encoder")))
    height = TITLE + LANE * len(lanes) + FOOT
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        axes = sheet(canvas)
        axes.text(0.1, height - 0.12, layout.title, fontsize=9, va="top")
        pairs, heights = list(zip(ours, full, strict=True)), {}
        for row, lane in enumerate(lanes):
            heights[lane] = height - TITLE - LANE * (row + 0.5)
        ends = {lane: (_lane(axes, lane, y, pairs), y) for lane, y in heights.items()}
        _shared(axes, ends, FOOT + LANE * len(lanes) / 2, pairs)
        for line, text in enumerate(_words(layout, ours, full, scale)):
            axes.text(0.1, FOOT - 0.06 - 0.15 * line, text, fontsize=6.5, va="top", color=GREY)


def _lane(axes: Axes, lane: str, y: float, pairs: Sequence[tuple[Part, Part]]) -> float:
    """Draw one modality's input, extractor, encoder and defence; return where its feature comes out."""
    colour, x = COLOURS[lane], LEFT + INPUT + GAP / 2
    own = [pair for pair in pairs if pair[0].role.split()[0] == lane]
    shape = own[0][0].inputs[0]
    right = (_sound if lane == "audio" else _frame)(axes, y, colour, shape)
    name = "waveform" if lane == "audio" else "frames" if len(shape) > 3 else "frame"
    axes.text(LEFT + INPUT / 2, y - 0.5, f"{name}  {words(shape)}", fontsize=6, ha="center")
    _arrow(axes, (right, y), (x, y), colour)
    room = ENCODER
    if own[0][0].role.endswith("extractor"):
        _extractor(axes, x, y, *own.pop(0), colour)
        _arrow(axes, (x + EXTRACTOR - 0.2, y), (x + EXTRACTOR, y), colour)
        x, room = x + EXTRACTOR, BEHIND
    (encoder, wide), *defences = own
    _box(axes, x, y, room, 1.12, colour)
    _maps(axes, x, y, room, encoder.maps, colour)
    title, size = f"{lane} net: {encoder.name}", 7.5 if len(encoder.name) <= SHORT else 6
    axes.text(x + 0.07, y + 0.5, title, fontsize=size, va="top", weight="bold", color=colour)
    axes.text(x + 0.07, y - 0.48, _count(encoder, wide), fontsize=6.5, color=GREY)
    x += room
    for defence, _ in defences:
        _arrow(axes, (x, y), (x + 0.15, y), colour)
        _box(axes, x + 0.15, y, DEFENCE - 0.15, 1.12, colour)
        x += DEFENCE
        axes.text(
            x - (DEFENCE - 0.15) / 2, y, _broken(defence.name), fontsize=6, ha="center", va="center", color=colour
        )
    return x


def _shared(axes: Axes, ends: Mapping[str, tuple[float, float]], y: float, pairs: Sequence[tuple[Part, Part]]) -> None:
    """Draw what the features of all modalities become; `ends`: modality -> where its feature comes out."""
    *_, (fusion, _), (head, _) = pairs
    x = max(right for right, _ in ends.values()) + GAP + 0.05
    for (name, (right, lane)), shape in zip(ends.items(), fusion.inputs, strict=True):
        _arrow(axes, (right, lane), (x, y + (lane - y) * 0.3), COLOURS[name])
        place = right + 0.05, lane + (0.1 if lane >= y else -0.1)
        axes.text(*place, f"$f_{name[0]}$  {words(shape)}", fontsize=7, va="center", color=COLOURS[name])
    for (part, _), title in zip(pairs[-2:], ("fusion", "classifier"), strict=True):
        _box(axes, x, y, BOX, 0.9, GREY)
        middle = x + BOX / 2
        axes.text(middle, y + 0.31, title, fontsize=6.5, ha="center", color=GREY)
        axes.text(middle, y + 0.06, _broken(part.name), fontsize=7, ha="center", va="center", weight="bold")
        count = f"{part.parameters:,}\nparameters" if part.parameters else "no\nparameters"
        axes.text(middle, y - 0.39, count, fontsize=6, ha="center", color=GREY)
        _arrow(axes, (x + BOX, y), (x + BOX + GAP, y), GREY)
        axes.text(x + BOX + GAP / 2 - 0.02, y + 0.09, words(part.output), fontsize=7, ha="center")
        x += BOX + GAP
    axes.text(x + 0.03, y, "$p$", fontsize=9, va="center")
    axes.text(x + 0.06, y - 0.2, head.activation, fontsize=6, ha="center", color=GREY)


def _broken(name: str) -> str:
    return name.replace("_", "\n")


def _count(part: Part, wide: Part) -> str:
    text = f"{part.parameters:,} parameters"
    return text if part.parameters == wide.parameters else f"{text} ({wide.parameters:,} at full width)"


def _extractor(axes: Axes, x: float, y: float, part: Part, wide: Part, colour: str) -> None:
    """Draw what made the features, beforehand and as it is: its name, the features, its parameters."""
    _box(axes, x, y, EXTRACTOR - 0.2, 1.12, colour, "--")
    middle = x + (EXTRACTOR - 0.2) / 2
    axes.text(middle, y + 0.48, "features", fontsize=6.5, ha="center", va="top", color=GREY)
    axes.text(middle, y + 0.05, _broken(part.name), fontsize=6.5, ha="center", va="center", weight="bold", color=colour)
    axes.text(middle, y - 0.33, words(part.output), fontsize=6, ha="center", color=GREY)
    count = f"{part.parameters:,} fixed" if part.parameters else "no parameters"
    axes.text(middle, y - 0.48, count, fontsize=5, ha="center", color=GREY)


def _maps(axes: Axes, x: float, y: float, room: float, maps: Sequence[Shape], colour: str) -> None:
    """Draw the maps of an encoder as plates in a box of a width: high as the logarithm of their positions.

    They are as thick as that of their channels.
    """
    logs = [(log2(max(2, shape[0])), log2(max(2, prod(shape[1:])))) for shape in maps]
    thickest, highest = (max(values) for values in zip(*logs, strict=True))
    step = (room - 0.3) / len(maps)
    for number, (shape, (channels, positions)) in enumerate(zip(maps, logs, strict=True)):
        width, height = 0.62 * step * channels / thickest, 0.06 + 0.34 * positions / highest
        left = x + 0.15 + step * (number + 0.5) - width / 2
        axes.add_patch(
            Rectangle((left, y - height / 2 - 0.02), width, height, facecolor=colour, alpha=0.75, linewidth=0)
        )
        middle = left + width / 2
        axes.text(middle, y + 0.21, _size(shape), fontsize=4.8, ha="center", va="bottom", color=GREY)
        axes.text(middle, y - 0.34, f"{shape[0]}", fontsize=4.8, ha="center", va="bottom", color=GREY)


def _size(shape: Shape) -> str:
    """Return the size of a map, of a line as one number."""
    return "×".join(str(size) for size in shape[1:] if size > 1) or "1"


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, line: str = "-") -> None:
    shape = FancyBboxPatch(
        (x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.06", facecolor="white",
        edgecolor=colour, linewidth=0.9, linestyle=line,
    )  # fmt: skip
    axes.add_patch(shape)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.9, "color": colour}
    axes.add_patch(FancyArrowPatch(start, end, **style))


def _sound(axes: Axes, y: float, colour: str, shape: Shape) -> float:
    """Draw a sketch of a waveform and return where it ends."""
    times = [number / 240 for number in range(241)]
    wave = [sin(pi * t) * sin(34 * pi * t) * (0.45 + 0.55 * sin(5 * pi * t) ** 2) for t in times]
    axes.plot([LEFT + INPUT * t for t in times], [y + 0.27 * value for value in wave], color=colour, linewidth=0.7)
    return LEFT + INPUT


def _frame(axes: Axes, y: float, colour: str, shape: Shape) -> float:
    """Draw a sketch of a picture, of several where the net sees some of a clip, and return where it ends."""
    side = 0.58
    for shift in (0.1, 0.05, 0.0) if len(shape) > 3 else (0.0,):
        left, low = LEFT + (INPUT - side) / 2 + shift, y - side / 2 + shift
        axes.add_patch(Rectangle((left, low), side, side, facecolor="white", edgecolor=colour, linewidth=0.8))
    hills = ((0, 0.12), (0.2, 0.36), (0.31, 0.22), (0.42, 0.32), (side, 0.1))
    axes.plot([left + x for x, _ in hills], [low + rise for _, rise in hills], color=colour, linewidth=0.8)
    axes.plot([left + 0.45], [low + 0.46], "o", color=colour, markersize=4)
    return LEFT + (INPUT + side) / 2 + (0.1 if len(shape) > 3 else 0.0)


def _words(layout: Layout, ours: Sequence[Part], full: Sequence[Part], scale: str) -> list[str]:
    fixed = sum(one.parameters for one in ours if one.role.endswith("extractor"))
    total, wide = (sum(one.parameters for one in parts) - fixed for parts in (ours, full))
    widths = "" if total == wide else f" ({wide:,} at full width)"
    plates = "Plates: the maps of the convolutions, their sizes above and their channels below"
    lines = [f"{plates}. {total:,} parameters{widths}. Scale: {scale}."]
    if layout.extractor:
        counted = f"{total:,} parameters that are trained, {fixed:,} that are fixed. Scale: {scale}."
        lines = [f"{plates}; of a transformer its steps and their features.", counted]
    return [*lines, layout.caption] if layout.caption else lines
