"""What figures of bars and curves share: how series are told apart in colour and in grey, intervals, notes below."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

# Fills of bars: cool ones, ever darker, then warm ones, ever darker and with patterns, so that all can be told apart by
# whoever sees no colour: (colour, hatch, colour of the hatch).
FILLS = (
    ("#E3EEF6", "", "#000000"),
    ("#B5D2E6", "//////", "#1F4E79"),
    ("#7FB2D8", "", "#000000"),
    ("#4A86B8", "......", "#FFFFFF"),
    ("#1F4E79", "", "#000000"),
    ("#FDE9C4", "\\\\\\\\\\\\", "#9A5B00"),
    ("#F0A63C", "------", "#7A3B00"),
    ("#7A3B00", "xxxxx", "#F6C98A"),
    ("#CFCFCF", "oooo", "#444444"),
    ("#8F8F8F", "", "#000000"),
    ("#4D4D4D", "||||||", "#FFFFFF"),
)
# Of what is no result.
OPEN = ("#FFFFFF", "", "#000000")
MARKERS = ("D", "v", "o", "s", "^", "P")
EDGE = "#222222"
# What must be seen on light and on dark bars.
OUTLINED = (withStroke(linewidth=1.8, foreground="white"),)
# Of an interval, which may stand on a bar of four points that is still to be seen.
THINLY_OUTLINED = (withStroke(linewidth=1.1, foreground="white"),)
MARK = {"color": "white", "markeredgecolor": "black", "markersize": 3.4, "markeredgewidth": 0.6}
# Sizes by which classes are chosen whose clips are mixed.
SELECTING = ("tau", "convexity", "density", "densest", "kappa")
CROSS = {"color": "black", "markersize": 4.5, "markeredgewidth": 1.1}

# In inches: heights of a line of text of each kind, and what is left free at the sides of the axes.
TITLE, LEGEND, NOTE, LEFT, RIGHT = 0.19, 0.17, 0.105, 0.5, 0.08
NOTE_SIZE, NOTE_CHARACTERS = 6, 142


def noted(lines: Sequence[str]) -> list[str]:
    """Notes as lines that fit below a figure."""
    return [part for line in lines if line for part in textwrap.wrap(line, NOTE_CHARACTERS)]


def frame(canvas: Figure, title: str, said: str, handles: Sequence[Artist], columns: int, notes: Sequence[str]) -> None:
    """Write a title, a line below it, a legend below that, and notes at the foot of a page."""
    height = canvas.get_figheight()
    canvas.text(0.5, 1 - 0.03 / height, title, ha="center", va="top", fontsize=9)
    canvas.text(0.5, 1 - (0.05 + TITLE) / height, said, ha="center", va="top", fontsize=7, color="#333333")
    top = 1 - (0.03 + 2 * TITLE) / height
    canvas.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, top), ncols=columns, frameon=False, fontsize=7,
        handlelength=2.2, handleheight=1.1, columnspacing=1.4, borderaxespad=0.0,
    )  # fmt: skip
    lines = noted(notes)
    canvas.text(0.01, 0.03 / height, "\n".join(lines), ha="left", va="bottom", fontsize=NOTE_SIZE, linespacing=1.2)


def heads(handles: int, columns: int) -> float:
    """How many inches title and legend take."""
    return 0.1 + 2 * TITLE + LEGEND * -(-handles // columns)


def feet(notes: Sequence[str]) -> float:
    """How many inches the notes take."""
    return 0.06 + NOTE * len(noted(notes))


def intervals(axis: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> None:
    """Draw an interval over each x."""
    axis.vlines(x, low, high, color=EDGE, linewidth=0.6, path_effects=THINLY_OUTLINED, zorder=4)


def crosses(axis: Axes, places: Sequence[tuple[float, float]]) -> None:
    """Draw published values."""
    if places:
        axis.plot(*zip(*places, strict=True), "x", **CROSS, path_effects=OUTLINED, zorder=7)


def sizes_note(sizes: Mapping[str, Mapping[str, Sequence]], labels: Mapping[str, Mapping[str, str]]) -> str:
    """What a scale has otherwise than the paper: "steps 3 (10) of I-FGSM, TMA; copies 2 (5) of TMA"."""
    names = labels.get("attack", {}) | labels.get("dataset", {})
    found: dict[str, list[str]] = {}
    for of, options in sizes.items():
        for option, (ours, papers) in options.items():
            # A net is defended, and its size that of its training; several as one attack fewer clips.
            name = "adversarial training" if "+" in of else "ensembles" if option == "clips" else names.get(of, of)
            name = "mix-up" if option in SELECTING else name
            # A net's loss may measure a table, which not all that train adversarially have.
            name = "the table of a loss" if option == "measured_clips" else name
            found.setdefault(f"{option.replace('_', ' ')} {ours} ({papers})", []).append(name)
    return "; ".join(f"{said} of {', '.join(dict.fromkeys(of))}" for said, of in found.items())


def sizes_line(sizes: Mapping[str, Mapping[str, Sequence]], labels: Mapping[str, Mapping[str, str]]) -> str:
    """What a figure says below itself of `sizes_note`; empty where all is as in the paper."""
    said = sizes_note(sizes, labels)
    return f"Sizes at this scale (at the paper's): {said}." if said else ""
