"""Success of an attack over its strength, beside what a paper prints of it, and which strength was taken."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from avrobust.files import write_text
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.style import WIDTH, page
from avrobust.report.text import about, csv_of
from avrobust.spec.artefacts.calibration import Calibrated, Layout

# As scripts/calibrate.py writes it, and what tells whose numbers they are.
COLUMNS = (
    *(
        "budget",
        "dataset",
        "point",
        "epsilon_audio",
        "epsilon_visual",
        "measure",
        "seen_as",
        "unit",
        "value",
        "low",
        "high",
    ),
    *("published", "calibrated", "n", "seeds", "scale", "source"),
)
# (measure, of which victims) -> how it is drawn.
DRAWN = {
    ("success", "white box"): {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    ("success_if_recognised", "white box"): {
        "color": "#0072B2", "marker": "s", "linestyle": (0, (5, 2)), "markerfacecolor": "white",
    },
    ("success", "black box"): {"color": "#D55E00", "marker": "^", "linestyle": "-"},
    ("success_if_recognised", "black box"): {
        "color": "#D55E00", "marker": "v", "linestyle": (0, (5, 2)), "markerfacecolor": "white",
    },
}  # fmt: skip
SAID = {"success": "of all clips", "success_if_recognised": "of those recognised clean"}
FLOOR = {"color": "#555555", "linestyle": (0, (1, 1.5)), "linewidth": 1.0}
PRINTED = {"color": "black", "linestyle": (0, (5, 1.5, 1, 1.5)), "linewidth": 0.8}
# Levels of a pixel.
LEVELS = 255
TALL = 2.3


def write(layout: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the curves and write them; return a line for the log."""
    curves = [pd.read_csv(path) for path in given.calibrations]
    lines = [
        curve.rename(columns={"seed": "seeds"}).assign(
            budget=one.name, dataset=one.dataset, seeds=1, scale=given.scale, source=layout.sources.get(one.dataset, "")
        )
        for one, curve in zip(layout.strengths, curves, strict=True)
    ]
    table = pd.concat(lines)
    text = table.assign(**{name: table[name].map("{:.6g}".format) for name in ("epsilon_audio", "epsilon_visual")})
    write_text(to[".csv"], csv_of(text[[*COLUMNS]]))
    draw(layout, curves, given.scale, svg=to[".svg"], png=to[".png"])
    taken = [curve[curve["calibrated"] == "yes"].iloc[0] for curve in curves]
    return ", ".join(
        f"{of.name}: {one['epsilon_visual'] * LEVELS:.3g}/{LEVELS} of a pixel"
        for of, one in zip(layout.strengths, taken, strict=True)
    )


def draw(layout: Layout, curves: list[pd.DataFrame], scale: str, *, svg: str, png: str) -> None:
    """Draw a panel for each budget into the files `svg` and `png`."""
    handles = [
        Line2D([], [], **style, label=f"{seen_as}, {SAID[measure]}") for (measure, seen_as), style in DRAWN.items()
    ]
    printed = "; ".join(
        " and ".join(f"{one:g}" for one in (of.success, of.black_box) if one is not None) for of in layout.strengths
    )
    handles += [Line2D([], [], **FLOOR, label="clean error"), Line2D([], [], **PRINTED, label=f"published: {printed}")]
    handles.append(Line2D([], [], marker="D", linestyle="none", **drawing.MARK, label="taken"))
    names = layout.labels.get("attack", {})
    notes = [
        f"{names.get(one.attack, one.attack)} on {one.variant}, validation clips of one seed; black box: mean of the "
        "other nets. Bars: 95 % interval. Taken is the smallest of the strengths nearest to the published success, "
        f"{SAID[curve['measure'][curve['calibrated'] == 'yes'].iloc[0]]}."
        for one, curve in zip(layout.strengths, curves, strict=True)
    ]
    clips = ", ".join(str(int(curve["n"].iloc[0])) for curve in curves)
    spoken = about(layout.sources.values(), scale)
    said = f"scale {scale}, n = {clips} clips" + (f", of {spoken}" if spoken else "")
    heads, feet = drawing.heads(len(handles), 4), drawing.feet(notes)
    height, wide = heads + TALL + 0.62 + feet, (WIDTH - drawing.RIGHT) / len(curves)
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        drawing.frame(canvas, layout.title, said, handles, 4, notes)
        for number, (of, curve) in enumerate(zip(layout.strengths, curves, strict=True)):
            where = (number * wide + drawing.LEFT + 0.1, feet + 0.5, wide - drawing.LEFT - 0.15, TALL)
            axis = canvas.add_axes([part / whole for part, whole in zip(where, (WIDTH, height) * 2, strict=True)])
            _panel(axis, of, curve)


def _panel(axis: Axes, of: Calibrated, curve: pd.DataFrame) -> None:
    error = curve[curve["measure"] == "clean_error"].iloc[0]
    axis.axhline(error["value"], **FLOOR, zorder=1)
    for printed in (of.success, of.black_box):
        if printed is not None:
            axis.axhline(printed, **PRINTED, zorder=1)
    for number, ((measure, seen_as), style) in enumerate(DRAWN.items()):
        points = curve[(curve["measure"] == measure) & (curve["seen_as"] == seen_as)]
        # Beside each other by a hundredth of a factor of two, so that intervals do not hide each other.
        x = points["epsilon_visual"] * LEVELS * 2 ** (0.03 * (number - 1.5))
        axis.vlines(x, points["low"], points["high"], color=style["color"], linewidth=0.7, zorder=2)
        axis.plot(x, points["value"], **style, markersize=4, linewidth=1.2, zorder=3)
        taken = points["calibrated"] == "yes"
        axis.plot(x[taken], points["value"][taken], "D", **drawing.MARK | {"markersize": 6}, zorder=4)
    strengths = curve["epsilon_visual"][curve["point"] > 0].unique() * LEVELS
    axis.set_xscale("log", base=2)
    axis.set_xticks(strengths, [f"{one:.3g}" for one in strengths])
    axis.minorticks_off()
    axis.set(xlabel=f"epsilon of a pixel (1/{LEVELS})", ylabel="success (%)", ylim=(-2, 102))
    axis.set_yticks(range(0, 101, 20))
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
