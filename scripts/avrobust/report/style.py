"""What all figures share: fonts and lines, and files that are equal byte for byte if the data are.

Whatever the user has set for matplotlib: its environment variables are taken away by `matplotlib_settings`, its
settings and fonts here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from avrobust.files import replacing

# Width of a figure in inches, the text width of a page.
WIDTH = 7.2

# Text stays text in the SVG; identifiers come from a fixed salt, so that equal data give equal bytes.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "avrobust",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
}

# What would make equal drawings differ: times and versions.
UNSTABLE = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save in our style: matplotlib's defaults with `STYLE`, and the fonts that come with matplotlib."""
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    fonts, fontManager.ttflist = fontManager.ttflist, []
    try:
        for path in sorted(Path(mpl.get_data_path(), "fonts/ttf").glob("*.ttf")):
            fontManager.addfont(path)
        with mpl.rc_context({**defaults, **STYLE}):
            yield
    finally:
        fontManager.ttflist = fonts


@contextmanager
def page(width: float, height: float, *, svg: str, png: str, **options: object) -> Iterator[Figure]:
    """Give a figure to draw on; it is then written as SVG and as PNG of 200 dots per inch, each whole or not at all.

    Sizes are in inches; `options` are those of matplotlib's Figure.
    """
    with drawing():
        canvas = Figure(figsize=(width, height), **options)
        FigureCanvasAgg(canvas)
        yield canvas
        # What the SVG writer needs of the style is read while writing.
        for path, kind in ((svg, "svg"), (png, "png")):
            with replacing(path) as temporary:
                canvas.savefig(temporary, format=kind, dpi=200, metadata=UNSTABLE[kind])


def sheet(canvas: Figure) -> Axes:
    """The whole page as axes in inches, from its lower left, without lines or ticks."""
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, canvas.get_figwidth()), ylim=(0, canvas.get_figheight()))
    axes.axis("off")
    return axes
