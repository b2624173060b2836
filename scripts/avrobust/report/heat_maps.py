"""A figure of heat maps: where a net with attention looks for what sounds, one clip per row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from avrobust.files import write_text
from avrobust.metrics.examples import MEASURES, Example, Examples, read_examples
from avrobust.program import UserError
from avrobust.report.given import Given
from avrobust.report.style import STYLE, WIDTH, page, sheet
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.heat_maps import Layout, Row, readable
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import ATTACKED, CLEAN, Condition
from avrobust.spec.units import SCORE, of_measure

# What each heat map shows, in the order of the drawing; the second frame is of the last.
CONDITIONS = tuple(ATTACKED)
FIELDS = (
    "row",
    "dataset",
    "class",
    "clip_id",
    "condition",
    "epsilon",
    "prediction",
    "measure",
    "unit",
    "value",
    "scale",
    "note",
)


@dataclass(frozen=True)
class Shown:
    """One row with its clip; `examples` say which net and attack, `places` where each condition is in the example.

    `example` is None where the dataset has no clip of the class.
    """

    row: Row
    examples: Examples
    example: Example | None
    places: Mapping[str, int]


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure and write what is said of each map; return a line for the log."""
    shown = find(figure, map(read_examples, given.examples))
    draw(figure, shown, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(tidy(figure, shown, given.scale), decimals=4))
    return f"{figure.title}: {sum(one.example is not None for one in shown)} of {len(shown)} rows have a clip"


def find(figure: Layout, given: Iterable[Examples]) -> list[Shown]:
    """Find each row's clip in the examples of its dataset.

    Raises:
        UserError: no or more than one set of examples of a dataset, or one without the conditions of the figure.
    """
    by_dataset: dict[str, Examples] = {}
    for held in given:
        if held.dataset in by_dataset:
            raise UserError(f"two sets of examples of {held.dataset} are given; leave one out")
        by_dataset[held.dataset] = held
    shown = []
    for row in figure.rows:
        if row.dataset not in by_dataset:
            raise UserError(
                f"no examples of {row.dataset} among those given ({', '.join(sorted(by_dataset))}); add their file"
            )
        examples = by_dataset[row.dataset]
        example = next((one for one in examples.examples if one.label == row.label), None)
        shown.append(Shown(row, examples, example, _places(examples, figure.budget)))
    return shown


def _places(examples: Examples, budget: str) -> dict[str, int]:
    held = [Condition(*one) for one in zip(examples.modalities, examples.budgets, strict=True)]
    places = {}
    for modality in CONDITIONS:
        wanted = CLEAN if modality == "clean" else Condition(modality, budget)
        if wanted not in held:
            raise UserError(
                f"examples of {examples.dataset}: {wanted} is not among their conditions "
                f"({', '.join(map(str, held))}); make them with it"
            )
        places[modality] = held.index(wanted)
    return places


def tidy(figure: Layout, shown: Iterable[Shown], scale: str) -> pd.DataFrame:
    """The data of the figure, a line per heat map and measure; a row without a clip is one line that says so."""
    lines: list[dict] = []
    for number, one in enumerate(shown, 1):
        row, example = (
            {"row": number, "dataset": figure.names.get(one.row.dataset, one.row.dataset), "class": one.row.label},
            one.example,
        )
        if example is None:
            lines.append({**row, "note": "no clip of this class"})
            continue
        for condition, place in one.places.items():
            line = {**row, "clip_id": example.clip_id, "condition": condition, "prediction": example.predictions[place]}
            line["epsilon"] = strength(one.examples.budgets[place], figure.strengths)
            for name in MEASURES:
                unit, value = of_measure(name), example.measures[name][place]
                value = value if unit == SCORE else 100 * value
                lines.append(line | {"measure": name, "unit": unit, "value": value})
    return pd.DataFrame(lines, columns=FIELDS).assign(scale=scale)


# Drawing: every map over its own grey frame, from its least to its greatest value. The released drawing of AVE-ECCV18,
# which Tian & Xu's figures follow, uses the rainbow map JET, whose bright yellow in the middle reads in grey as more
# than its dark red at the top. Here lightness rises all the way.

# Lengths are in inches, font sizes in points.
LEFT, RIGHT, GAP = 0.40, 0.04, 0.06
# Between the frames and the heat maps.
WIDE_GAP = 0.14
HEADER, BELOW_PICTURE, FOOTER = 0.30, 0.30, 0.38
# A row without a clip.
EMPTY_ROW = 0.30
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 9, 7, 6.5
LINE = 1.25 / 72  # of text, per point of its size

COLUMNS = (
    "frame,\nno attack",
    "frame,\nboth attacked",
    "attention,\nno attack",
    "attention,\naudio attacked",
    "attention,\nvisual attacked",
    "attention,\nboth attacked",
)
PICTURE = (WIDTH - LEFT - RIGHT - 4 * GAP - WIDE_GAP) / len(COLUMNS)

COLOUR_MAP = colormaps["inferno"]
# The frame's share of the picture, and its darkest and lightest grey there.
FRAME_SHARE, GREYS = 0.45, (0.2, 0.8)
# Side of the drawn pictures, in pixels; frames that are larger stay as they are.
DRAWN = 224

RIGHT_ANSWER, WRONG_ANSWER = ("✓", "#000000"), ("✗", "#A02000")
FAINT = "#555555"
NO_BREAK = "\N{NO-BREAK SPACE}"


def draw(figure: Layout, shown: Sequence[Shown], scale: str, *, svg: str, png: str) -> None:
    """Draw the rows into the files `svg` and `png`."""
    # Heights are known only when the fonts are.
    with page(WIDTH, WIDTH, svg=svg, png=png) as canvas:
        title, caption = _Text(TITLE_SIZE, "bold"), _Text(TEXT_SIZE)
        title_lines = title.wrapped(figure.title, WIDTH - 2 * GAP)
        subtitle_lines = caption.wrapped(_subtitle(figure, shown, scale), WIDTH - 2 * GAP)
        caption_lines = caption.wrapped(figure.caption, WIDTH - 4 * GAP)
        top = 0.08 + len(title_lines) * title.line + len(subtitle_lines) * caption.line + 0.06
        bottom = FOOTER + len(caption_lines) * caption.line + 0.06
        height = top + HEADER + sum(map(_row_height, shown)) + bottom
        canvas.set_size_inches(WIDTH, height)
        axes = sheet(canvas)
        axes.invert_yaxis()

        y = 0.08
        for lines, text in ((title_lines, title), (subtitle_lines, caption)):
            for line in lines:
                axes.text(WIDTH / 2, y, line, size=text.size, weight=text.weight, ha="center", va="top")
                y += text.line
        for column, name in enumerate(COLUMNS):
            x = _left(column) + PICTURE / 2
            axes.text(x, top + HEADER - 0.05, name, size=TEXT_SIZE, ha="center", va="bottom", linespacing=1.15)
        y = top + HEADER
        for one in shown:
            _row(canvas, axes, one, figure.label("dataset", one.row.dataset), y, height)
            y += _row_height(one)
        _key(canvas, axes, any(_has_box(one) for one in shown), y, height)
        y += FOOTER
        for line in caption_lines:
            axes.text(GAP, y, line, size=TEXT_SIZE, va="top")
            y += caption.line


def overlay(frame: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Return a map's colours mixed with the frame's grey: floats in [0, 1], (side, side, 3).

    `frame`: uint8 (size, size, 3); `map_`: (h, w). Both are drawn from their least to their greatest value, so that
    a dull frame can be seen too. `side` is the frame's size, or `DRAWN` if that is more.
    """
    frame = enlarged(frame)
    heat = _least_to_most(_upsampled(map_, len(frame)))
    # Rec. 709: how light a colour looks.
    grey = _least_to_most(frame @ np.array([0.2126, 0.7152, 0.0722]))
    return _mixed(GREYS[0] + (GREYS[1] - GREYS[0]) * grey, heat)


def enlarged(frame: np.ndarray) -> np.ndarray:
    """Return the frame, uint8 (size, size, 3), at least `DRAWN` pixels a side, so that no viewer has to guess."""
    if len(frame) >= DRAWN:
        return frame
    return np.asarray(Image.fromarray(frame).resize((DRAWN, DRAWN), Image.Resampling.BICUBIC))


def _upsampled(map_: np.ndarray, size: int) -> np.ndarray:
    """Return the map at the frame's pixels, bilinear, as the localisation is scored: (h, w) -> (size, size)."""
    picture = Image.fromarray(map_.astype(np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR), np.float64)


def _least_to_most(values: np.ndarray) -> np.ndarray:
    """Return the values moved and scaled to [0, 1]; 0 where they are all the same."""
    span = np.ptp(values)
    return (values - values.min()) / (span if span > 0 else 1)


def _mixed(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    return FRAME_SHARE * grey[..., None] + (1 - FRAME_SHARE) * COLOUR_MAP(heat)[..., :3]


def _subtitle(figure: Layout, shown: Sequence[Shown], scale: str) -> str:
    attacked = dict.fromkeys((one.examples.attack, one.examples.variant, one.examples.seed) for one in shown)
    nets = "; ".join(
        f"{figure.label('attack', attack)} on {readable(net)}, seed {seed}" for attack, net, seed in attacked
    )
    return f"scale {scale}, ε = {strength(figure.budget, figure.strengths)} in each attacked modality; {nets}"


def _has_box(one: Shown) -> bool:
    return one.example is not None and not np.isnan(one.example.box).any()


def _left(column: int) -> float:
    return LEFT + column * (PICTURE + GAP) + (WIDE_GAP - GAP if column > 1 else 0)


def _row_height(one: Shown) -> float:
    return EMPTY_ROW if one.example is None else PICTURE + BELOW_PICTURE


def _row(canvas: Canvas, axes: Axes, one: Shown, dataset: str, top: float, height: float) -> None:
    text, small = _Text(TEXT_SIZE, "bold"), _Text(SMALL_SIZE)
    if one.example is None:
        message = f"{dataset}, {one.row.title}: no clip of this class"
        axes.text(LEFT, top + EMPTY_ROW / 2, message, size=TEXT_SIZE, color=FAINT, ha="left", va="center")
        return
    length = PICTURE + BELOW_PICTURE - GAP
    labels = [(line, small, FAINT) for line in small.wrapped(dataset, length, lines=1)]
    labels += [(line, text, "#000000") for line in text.wrapped(one.row.title, length, lines=2)]
    x = LEFT - 0.05 - sum(font.line for _, font, _ in labels)
    for line, font, colour in labels:
        style = {"size": font.size, "weight": font.weight, "color": colour, "rotation": 90}
        axes.text(x, top + PICTURE / 2, line, ha="left", va="center", **style)
        x += font.line
    example = one.example
    frames = [enlarged(example.frames[one.places[condition]]) for condition in ("clean", "both")]
    maps = [overlay(example.frames[0], example.maps[one.places[condition]]) for condition in CONDITIONS]
    for column, picture in enumerate([*frames, *maps]):
        axis = canvas.add_axes((_left(column) / WIDTH, 1 - (top + PICTURE) / height, PICTURE / WIDTH, PICTURE / height))
        axis.imshow(picture, interpolation="none", extent=(0, 1, 1, 0), aspect="auto")
        axis.set_axis_off()
        if _has_box(one):
            axis.add_patch(_outline(example.box, axis))
    under = top + PICTURE + 0.03
    captions = {0: (example.clip_id, FAINT)}
    for column, condition in enumerate(CONDITIONS, start=2):
        answer = example.predictions[one.places[condition]]
        sign, colour = RIGHT_ANSWER if answer == example.label else WRONG_ANSWER
        captions[column] = f"{sign}{NO_BREAK}{readable(answer)}", colour
    for column, (words, colour) in captions.items():
        for number, line in enumerate(small.wrapped(words, PICTURE, lines=2)):
            y = under + number * small.line
            axes.text(_left(column) + PICTURE / 2, y, line, size=small.size, color=colour, ha="center", va="top")


def _outline(box: Sequence[float], axis: Axes) -> Rectangle:
    x0, y0, x1, y1 = map(float, box)
    # A box that ends with the view keeps its whole line inside.
    inset = 0.008
    x0, y0, x1, y1 = max(x0, inset), max(y0, inset), min(x1, 1 - inset), min(y1, 1 - inset)
    effects = [Stroke(linewidth=1.6, foreground="black"), Normal()]
    return Rectangle(
        (x0, y0),
        x1 - x0,
        y1 - y0,
        fill=False,
        edgecolor="white",
        linewidth=0.8,
        path_effects=effects,
        transform=axis.transData,
    )


def _key(canvas: Canvas, axes: Axes, boxes: bool, top: float, height: float) -> None:
    """Draw the colour bar, what the signs mean, and the box where there is one."""
    bar_left, bar_width, bar_height = _left(2), 2 * PICTURE + GAP, 0.10
    axis = canvas.add_axes(
        (bar_left / WIDTH, 1 - (top + 0.04 + bar_height) / height, bar_width / WIDTH, bar_height / height)
    )
    axis.imshow(_mixed(np.full((1, 256), 0.5), np.linspace(0, 1, 256)[None]), interpolation="none", aspect="auto")
    axis.set_axis_off()
    axes.text(
        bar_left + bar_width / 2,
        top + 0.04 + bar_height + 0.03,
        "attention, from least to most of each map",
        size=TEXT_SIZE,
        ha="center",
        va="top",
    )
    middle = top + 0.04 + bar_height / 2
    x = bar_left + bar_width + 2 * GAP
    axes.text(x, middle, "recognised as: ✓ right, ✗ wrong", size=TEXT_SIZE, ha="left", va="center")
    if boxes:
        patch = _outline((0, 0, 1, 1), axes)
        patch.set_bounds(LEFT, top + 0.03, 0.18, 0.12)
        axes.add_patch(patch)
        axes.text(LEFT + 0.25, middle, "sounding object", size=TEXT_SIZE, ha="left", va="center")


class _Text:
    """Text of one size, in points, broken into lines that fit."""

    def __init__(self, size: float, weight: str = "normal") -> None:
        self.size, self.weight, self.line = size, weight, size * LINE
        self._font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
        self._renderer = RendererAgg(1, 1, 72)

    def wrapped(self, text: str, width: float, lines: int | None = None) -> list[str]:
        """Break a text into lines at most `width` inches wide; an ellipsis stands for what is beyond `lines` of them.

        Lines break at spaces; a word that is too wide for a line breaks behind an underscore, else anywhere.
        """
        broken: list[str] = []
        for word in filter(None, text.split(" ")):
            joined = f"{broken[-1]} {word}" if broken else word
            if broken and self._fits(joined, width):
                broken[-1] = joined
                continue
            broken.append("")
            for letter in word:
                while broken[-1] and not self._fits(broken[-1] + letter, width):
                    behind = broken[-1].rfind("_") + 1 or len(broken[-1])
                    broken[-1:] = broken[-1][:behind], broken[-1][behind:]
                broken[-1] += letter
        if lines is not None and len(broken) > lines:
            last = broken[lines - 1]
            while last and not self._fits(f"{last}…", width):
                last = last[:-1]
            broken = [*broken[: lines - 1], f"{last}…"]
        return broken

    def _fits(self, text: str, width: float) -> bool:
        return self._renderer.get_text_width_height_descent(text, self._font, ismath=False)[0] <= 72 * width
