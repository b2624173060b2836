"""VideoLLaMA2 asked what sounds: how often an attack through other nets makes it miss what it named before."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avrobust.asked.answers import CLEAN, Answer, read_answers
from avrobust.asked.synonyms import is_named, read_synonyms
from avrobust.files import write_text
from avrobust.metrics.answers import Judged, judge
from avrobust.metrics.interval import Mean
from avrobust.metrics.rows import Cells, cells_of
from avrobust.report import drawing
from avrobust.report.given import Given
from avrobust.report.points import COLUMNS, Point, line, point
from avrobust.report.style import WIDTH, page
from avrobust.report.text import about, csv_of
from avrobust.spec.artefacts.answers import MODEL, Layout
from avrobust.spec.conditions import CLEAN as UNATTACKED
from avrobust.spec.published import Published, read_published

KEYS = ("attack",)
RECOGNISED, SUCCESS, OF_NETS = "recognised", "success", "success_on_nets"
# So many answers are printed below the drawing.
EXAMPLES = 3
TALL = 1.7


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure, write its numbers and all answers; return a line for the log."""
    answers, synonyms = read_answers(given.answers), read_synonyms(given.synonyms[0])
    judged = judge(answers, synonyms)[figure.read["dataset"], figure.read["surrogate"]]
    published = read_published(given.published[0], KEYS) if given.published else {}
    found = measure(figure, judged, cells_of(given.cells))
    write_text(to[".csv"], csv_of(tidy(figure, found, published, given.scale)))
    write_text(to["_answers.csv"], csv_of(told(answers, synonyms)))
    notes = [figure.caption, *examples(figure, answers, judged)]
    draw(figure, found, published, notes, given.scale, svg=to[".svg"], png=to[".png"])
    of = found[CLEAN, RECOGNISED]
    return f"{figure.title}: {of.value:.0f} % of {of.clips} clips recognised clean"


def measure(figure: Layout, judged: Judged, cells: Cells) -> dict[tuple[str, str], Point]:
    """Every value: (attack or `clean`, column) -> what was measured.

    Raises `UserError` if a cell or an answer is missing, or no clip is recognised clean.
    """
    found = {(CLEAN, RECOGNISED): _point(judged.recognised)}
    for attack in figure.attacks:
        found[attack, SUCCESS] = _point(judged.success(attack))
        found[attack, OF_NETS] = point(cells, SUCCESS, figure.readings(attack))
    return found


def _point(of: Mean) -> Point:
    return Point(*of.ends, of.clips, of.seeds)


def tidy(
    figure: Layout, found: Mapping[tuple[str, str], Point], published: Mapping[tuple[str, ...], Published], scale: str
) -> pd.DataFrame:
    """The data of the figure: a line for each value. `n` of `success` are the clips that are recognised clean."""
    lines = []
    for (attack, column), one in found.items():
        read = [figure.asked(figure.attacks[0])._replace(condition=UNATTACKED)]
        if attack != CLEAN:
            read = figure.readings(attack) if column == OF_NETS else [figure.asked(attack)]
        name = figure.name(attack)
        lines.append({"attack": name, **line(figure, column, one, read, published.get((name, column)), scale)})
    return pd.DataFrame(lines).reindex(columns=[*KEYS, *COLUMNS])


def told(answers: Sequence[Answer], synonyms: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """Every answer, and whether it was taken for right, so that a reader may judge otherwise."""
    right = ["yes" if is_named(one.label, one.answer, synonyms) else "no" for one in answers]
    return pd.DataFrame(answers).assign(right=right)


def examples(figure: Layout, answers: Sequence[Answer], judged: Judged) -> list[str]:
    """Answers to the first clips that the last attack makes the model miss, as notes below the figure."""
    missed = judged.missed(figure.attacks[-1]) == 100
    chosen = [clip_id for clip_id, is_missed in zip(judged.clip_ids, missed, strict=True) if is_missed][:EXAMPLES]
    lines = []
    for clip_id in chosen:
        of = {one.attack: one for one in answers if one.clip_id == clip_id}
        said = "; ".join(f"{figure.name(attack)}: “{of[attack].answer}”" for attack in (CLEAN, *figure.attacks))
        lines.append(f"{of[CLEAN].label.replace('_', ' ')} ({clip_id}). {said}")
    return lines


def draw(
    figure: Layout,
    found: Mapping[tuple[str, str], Point],
    published: Mapping[tuple[str, ...], Published],
    notes: Sequence[str],
    scale: str,
    *,
    svg: str,
    png: str,
) -> None:
    """Draw a group of bars for each attack into the files `svg` and `png`: the model's, and the nets' beside it."""
    shown = [published.get((figure.name(attack), SUCCESS)) for attack in figure.attacks]
    looks = {SUCCESS: drawing.FILLS[4], OF_NETS: drawing.FILLS[0]}
    names = {SUCCESS: f"{MODEL}, of clips recognised clean", OF_NETS: "the nets that were attacked, mean, of all clips"}
    handles: list = [Patch(**_look(looks[column]), label=name) for column, name in names.items()]
    if any(shown):
        handles.append(Line2D([], [], marker="x", linestyle="none", **drawing.CROSS, label="published"))
    clean = found[CLEAN, RECOGNISED]
    recognised = round(clean.value * clean.clips / 100)
    spoken = about(figure.sources.values(), scale)
    said = f"scale {scale}, {recognised} of {clean.clips} clips recognised clean; lines on bars: 95 % interval"
    said += f"; of {spoken}" if spoken else ""
    heads, feet = drawing.heads(len(handles), len(handles)), drawing.feet(notes)
    height = heads + TALL + 0.3 + feet
    with page(WIDTH, height, svg=svg, png=png) as canvas:
        drawing.frame(canvas, figure.title, said, handles, len(handles), notes)
        where = (drawing.LEFT, feet + 0.25, WIDTH - drawing.LEFT - drawing.RIGHT, TALL)
        axis = canvas.add_axes([part / whole for part, whole in zip(where, (WIDTH, height) * 2, strict=True)])
        for number, column in enumerate(names):
            points = [found[attack, column] for attack in figure.attacks]
            x = [3 * place + number for place in range(len(points))]
            axis.bar(x, [one.value for one in points], 1.0, **_look(looks[column]), zorder=3)
            drawing.intervals(axis, x, [one.low for one in points], [one.high for one in points])
        drawing.crosses(axis, [(3 * place, one.value) for place, one in enumerate(shown) if one and one.value])
        _label(axis, [figure.name(attack) for attack in figure.attacks])


def _look(fill: tuple[str, str, str]) -> dict[str, object]:
    colour, hatch, hatched = fill
    return {"facecolor": colour, "hatch": hatch, "hatchcolor": hatched, "edgecolor": drawing.EDGE, "linewidth": 0.4}


def _label(axis: Axes, names: Sequence[str]) -> None:
    axis.set_xticks([3 * place + 0.5 for place in range(len(names))], names, fontsize=7.5)
    axis.set(xlim=(-1.5, 3 * len(names) - 0.5), ylim=(0, 103), yticks=range(0, 101, 25))
    axis.tick_params(axis="y", labelsize=6.5)
    axis.tick_params(axis="x", length=0, pad=2)
    axis.set_ylabel("attack success (%)", fontsize=7, labelpad=1)
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
