"""A figure of what an adversarial training by curriculum crafts of a clip: drawn from the arrays that it had."""

from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Polygon, Rectangle

from avrobust.files import write_text
from avrobust.metrics.one_clip import OneClip, read_one_clip
from avrobust.program import UserError
from avrobust.report.drawing import NOTE_SIZE, feet, noted, sizes_note
from avrobust.report.given import Given
from avrobust.report.style import WIDTH, page, sheet
from avrobust.report.text import about, csv_of
from avrobust.spec.artefacts.crafting import Layout
from avrobust.spec.units import COUNT, SCORE

COLUMNS = (
    "dataset", "variant", "seed", "clip_id", "class", "step", "begins", "ends", "segment", "sampled", "modality",
    "epsilon", "measure", "unit", "value", "scale", "source", "note",
)  # fmt: skip
# Of what the values of a step are moved by.
NORMS = {
    "largest": lambda moved: np.abs(moved).max(),
    "mean": lambda moved: np.abs(moved).mean(),
    "l2": lambda moved: np.sqrt(np.square(moved).sum()),
}


def write(figure: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Draw the figure, and write which step is what and how far it moved; return a line for the log."""
    if len(given.examples) != 1:
        raise UserError(f"{figure.title}: {len(given.examples)} crafted clips are given; give one")
    clip = read_one_clip(given.examples[0])
    draw(figure, clip, given.scale, svg=to[".svg"], png=to[".png"])
    write_text(to[".csv"], csv_of(tidy(figure, clip, given.scale), decimals=6))
    return f"{figure.title}: {clip.clip_id}, {len(clip.sampled)} of {clip.steps} steps"


def tidy(figure: Layout, clip: OneClip, scale: str) -> pd.DataFrame:
    """A line per step, modality and norm, then what is said of the whole clip."""
    whole = {
        "dataset": figure.names.get(clip.dataset, clip.dataset),
        "variant": clip.variant,
        "seed": clip.seed,
        "clip_id": clip.clip_id,
        "class": clip.label,
        "scale": scale,
        "source": figure.sources.get(clip.dataset, ""),
    }
    return pd.DataFrame([{**whole, **line} for line in (*_of_steps(clip), *_of_clip(clip))], columns=COLUMNS)


def _of_steps(clip: OneClip) -> Iterator[dict]:
    for step in range(clip.steps):
        begins, ends = (clip.seconds * place / clip.steps for place in (step, step + 1))
        line = {
            "step": str(step + 1),
            "begins": f"{begins:g}",
            "ends": f"{ends:g}",
            "segment": str(clip.segments[step] + 1),
            "sampled": "yes" if step in clip.sampled else "no",
        }
        for (modality, moved), epsilon in zip(_moved(clip, step).items(), clip.epsilons, strict=True):
            for name, norm in NORMS.items():
                value = {"measure": name, "unit": SCORE, "value": norm(moved)}
                yield {**line, "modality": modality, "epsilon": f"{epsilon:g}", **value}


def _of_clip(clip: OneClip) -> Iterator[dict]:
    for when, value, answer in zip(("before", "after"), clip.cross_entropy, clip.predictions, strict=True):
        note = f"recognised as {answer} by {clip.start}"
        yield {"measure": f"cross_entropy_{when}", "unit": SCORE, "value": value, "note": note}
    counts = {
        "attack_steps": clip.attack_steps,
        "copies": len(clip.copies),
        "gradients_a_clip": clip.gradients,
        "encoder_steps_a_clip": clip.encoder_steps,
        "fused_features": len(clip.dropped),
        "dropped_features": clip.dropped.sum(),
    }
    for name, value in counts.items():
        yield {
            "measure": name,
            "unit": COUNT,
            "value": value,
            "note": " ".join(clip.copies) if name == "copies" else "",
        }


def _moved(clip: OneClip, step: int) -> dict[str, np.ndarray]:
    """By how much the sound and the frame of a step differ from before."""
    samples = clip.samples(step)
    return {
        "audio": clip.moved_sound[samples].astype(np.float64) - clip.sound[samples],
        "visual": clip.moved_frames[step].astype(np.float64) - clip.frames[step] / 255,
    }


# Drawing: every step has a column, from the clip at the top to what is trained on at the bottom. Lengths are in inches.
LEFT, RIGHT, GAP = 0.78, 0.13, 0.05
TITLE, HEADING, BAND, MARKS, SOUND, CLOCK, STRIP, FUNNEL, BETWEEN = 0.4, 0.22, 0.17, 0.1, 0.32, 0.17, 0.13, 0.2, 0.1
MOST_PICTURE = 0.56
HEADING_SIZE, TEXT_SIZE, SMALL_SIZE = 7.5, 6.5, 6
DARK, GREY, FAINT, SEEN = "#000000", "#444444", "#B0B0B0", "#E6E6E6"
# Segments are told apart by their numbers; the fills, light and dark in turn, only help.
FILLS = ("#DCEAF5", "#E0A64F", "#CBE3D8", "#BE86AC")
MADE_BY = {
    "identity": "as it is",
    "scaling": "scaled",
    "masking": "masked\nin time",
    "blurring": "blurred",
    "mixing": "mixed with\nanother clip",
}
# So many strokes show a sound, each from its least to its greatest value; of what is too fine for that, the beginning
# of each step is shown, so many seconds of it.
STROKES, BEGINNING = 700, 0.005
RIGHT_ANSWER, WRONG_ANSWER = "✓", "✗"


class _Sheet:
    """A page for clips of so many steps; `top`: how many inches below its upper end the next row goes."""

    def __init__(self, canvas: Canvas, steps: int, top: float) -> None:
        self.canvas, self.axes, self.steps, self.top = canvas, sheet(canvas), steps, top
        self.axes.invert_yaxis()

    @property
    def column(self) -> float:
        """The width of a step."""
        return (WIDTH - LEFT - RIGHT) / self.steps

    @property
    def picture(self) -> float:
        """The side of a picture."""
        return picture_side(self.steps)

    def left(self, step: float) -> float:
        """Where a step begins."""
        return LEFT + step * self.column

    def say(self, text: str, aside: str = "") -> None:
        """Write a heading, and something at its right."""
        place = self.top + 0.02
        self.axes.text(0.08, place, text, fontsize=HEADING_SIZE, weight="bold", va="top")
        self.axes.text(WIDTH - RIGHT, place + 0.01, aside, fontsize=TEXT_SIZE, ha="right", va="top", color=GREY)
        self.top += HEADING

    def name(self, text: str, height: float) -> None:
        """Name a row that begins here and is as high."""
        place = LEFT - 0.07, self.top + height / 2
        self.axes.text(*place, text, fontsize=TEXT_SIZE, ha="right", va="center", linespacing=1.1)

    def inside(self, left: float, width: float, height: float) -> Axes:
        """Axes of a part of the row that begins here."""
        whole = self.canvas.get_figheight()
        axes = self.canvas.add_axes((left / WIDTH, 1 - (self.top + height) / whole, width / WIDTH, height / whole))
        axes.set_axis_off()
        return axes

    def below(self, height: float) -> None:
        """Go to where the next row begins."""
        self.top += height


def picture_side(steps: int) -> float:
    """The side of a picture of one of so many steps, in inches."""
    return min((WIDTH - LEFT - RIGHT) / steps - GAP, MOST_PICTURE)


def height(clip: OneClip, notes: Sequence[str]) -> float:
    """The height of the page, in inches."""
    row = picture_side(clip.steps) + GAP + SOUND
    whole = BAND + MARKS + row + CLOCK
    rows = [whole, len(clip.copies) * (row + GAP) + STRIP, row + FUNNEL + GAP + row, whole + SOUND]
    return TITLE + sum(HEADING + of + BETWEEN for of in rows) + feet(notes)


def amplification(values: np.ndarray, room: float) -> float:
    """By what values are multiplied so that the largest one has about as much as `room`: two digits, rounded down."""
    largest = float(np.abs(values).max())
    if not largest:
        return 1.0
    factor = room / largest
    unit = 10.0 ** (floor(log10(factor)) - 1)
    return floor(factor / unit + 1e-4) * unit


def draw(figure: Layout, clip: OneClip, scale: str, *, svg: str, png: str) -> None:
    """Draw the clip into the files `svg` and `png`."""
    factor = amplification(clip.frame_steps, 0.5)
    notes = _notes(figure, clip, factor)
    before, after = (
        f"{clip.start}: {_answer(clip, answer)}, cross-entropy {value:.2f}"
        for answer, value in zip(clip.predictions, clip.cross_entropy, strict=True)
    )
    with page(WIDTH, height(clip, notes), svg=svg, png=png) as canvas:
        on = _Sheet(canvas, clip.steps, TITLE)
        centred = {"ha": "center", "va": "top"}
        on.axes.text(WIDTH / 2, 0.06, figure.title, fontsize=9, **centred)
        on.axes.text(WIDTH / 2, 0.25, _said(figure, clip, scale), fontsize=7, color=GREY, **centred)
        cut = f"{_count(clip.steps, 'step')} in {_count(len(clip.frame_steps), 'random segment')}"
        on.say(f"a   The clip: {cut}, {len(clip.sampled)} sampled (▼)", before)
        _whole(on, clip, clip.frames, clip.sound)
        on.below(BETWEEN)
        copies = _count(len(clip.copies), "copy", "copies")
        without = f"{copies}, without {clip.dropped.sum()} of {len(clip.dropped)} fused features"
        on.say(f"b   What the net gets when it is first attacked: the sampled steps alone, in {without}")
        for number, made_by in enumerate(clip.copies):
            _copy(on, clip, number, MADE_BY.get(str(made_by), str(made_by)))
        _features(on, clip)
        on.below(BETWEEN)
        made = f"What {figure.label('attack', clip.attack)} makes of that in {_count(clip.attack_steps, 'step')}"
        on.say(f"c   {made}: one perturbation for each segment, which all of its steps get")
        _perturbations(on, clip, factor)
        on.below(BETWEEN)
        on.say("d   What is trained on: the clip moved by that, inside ball and range", after)
        _whole(on, clip, clip.moved_frames, clip.moved_sound)
        _beginnings(on, clip, clip.moved_sound, clip.sound)
        lines = "\n".join(noted(notes))
        canvas.text(
            0.01, 0.03 / canvas.get_figheight(), lines, ha="left", va="bottom", fontsize=NOTE_SIZE, linespacing=1.2
        )


def _whole(on: _Sheet, clip: OneClip, frames: np.ndarray, sound: np.ndarray) -> None:
    """Draw segments, all frames and the sound with its clock."""
    on.name("segment", BAND)
    for segment, of in enumerate(_steps_of(clip)):
        left, width, high = on.left(of[0]), len(of) * on.column, BAND - 0.03
        style = {"facecolor": FILLS[segment % len(FILLS)], "edgecolor": GREY, "linewidth": 0.5}
        on.axes.add_patch(Rectangle((left + 0.015, on.top), width - 0.03, high, **style))
        _number(on, left + width / 2, on.top + high / 2, segment)
    on.below(BAND)
    for step in clip.sampled:
        on.axes.text(on.left(step + 0.5), on.top + MARKS / 2, "▼", fontsize=5, ha="center", va="center", color=DARK)
    on.below(MARKS)
    on.name("frames", on.picture)
    for step in range(clip.steps):
        _picture(on, frames[step], step, bold=step in clip.sampled)
    on.below(on.picture + GAP)
    on.name("sound", SOUND)
    axes = on.inside(LEFT, WIDTH - LEFT - RIGHT, SOUND)
    axes.set(xlim=(0, clip.steps), ylim=(-1, 1))
    for step in clip.sampled:
        axes.axvspan(step, step + 1, facecolor=SEEN, linewidth=0)
    _strokes(axes, sound, 0, clip.steps, STROKES)
    axes.vlines(range(clip.steps + 1), -1, 1, color=FAINT, linewidth=0.4)
    on.below(SOUND)
    for step in range(0, clip.steps + 1, -(-clip.steps // 10)):
        on.axes.plot([on.left(step)] * 2, [on.top, on.top + 0.03], color=GREY, linewidth=0.5)
        time = f"{clip.seconds * step / clip.steps:.3g}" + (" s" if step == clip.steps else "")
        on.axes.text(on.left(step), on.top + 0.04, time, fontsize=SMALL_SIZE, ha="center", va="top", color=GREY)
    on.below(CLOCK)


def _copy(on: _Sheet, clip: OneClip, number: int, made_by: str) -> None:
    """Draw what the net gets of a copy, every sampled step in its column."""
    on.name(f"copy {number + 1}\n{made_by}", on.picture)
    for place, step in enumerate(clip.sampled):
        _picture(on, clip.copied_frames[number, place], step, bold=True)
    on.below(on.picture + GAP)
    on.name("its sound", SOUND)
    for place, step in enumerate(clip.sampled):
        axes = on.inside(on.left(step), on.column, SOUND)
        axes.set(xlim=(0, 1), ylim=(-1, 1))
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=SEEN, linewidth=0))
        _strokes(axes, clip.copied_sounds[number, place], 0, 1, STROKES // clip.steps)
    on.below(SOUND + GAP)


def _features(on: _Sheet, clip: OneClip) -> None:
    """Draw which fused features are dropped meanwhile."""
    on.name("features,\ndropped", STRIP)
    axes = on.inside(LEFT, WIDTH - LEFT - RIGHT, STRIP)
    axes.set(xlim=(0, len(clip.dropped)), ylim=(0, 1))
    for colour, of in ((SEEN, ~clip.dropped), (DARK, clip.dropped)):
        axes.bar(np.flatnonzero(of) + 0.5, 1, width=0.85, color=colour, linewidth=0)
    on.below(STRIP)


def _perturbations(on: _Sheet, clip: OneClip, factor: float) -> None:
    """Draw the perturbation of each segment, and below it that of each step."""
    most = float(np.abs(clip.sound_steps).max())
    segments = _steps_of(clip)
    on.name("of each\nsegment", on.picture)
    for segment, of in enumerate(segments):
        _picture(on, np.clip(0.5 + factor * clip.frame_steps[segment], 0, 1), of.mean())
    on.below(on.picture + GAP)
    on.name(_beginning_of("its sound"), SOUND)
    for segment, of in enumerate(segments):
        _beginning(on, clip, [clip.sound_steps[segment]], of.mean(), most)
    on.below(SOUND)
    for segment, of in enumerate(segments):
        left, right, top, low = on.left(of[0]), on.left(of[-1] + 1), on.top + 0.02, on.top + FUNNEL
        narrow = on.left(of.mean()), on.left(of.mean() + 1)
        corners = [(narrow[0], top), (narrow[1], top), (right - 0.015, low), (left + 0.015, low)]
        fill = FILLS[segment % len(FILLS)]
        on.axes.add_patch(Polygon(corners, facecolor=fill, edgecolor=GREY, linewidth=0.4, alpha=0.6))
        _number(on, (left + right) / 2, (top + low) / 2, segment)
    on.below(FUNNEL + GAP)
    on.name("of each\nstep", on.picture)
    moved = [_moved(clip, step) for step in range(clip.steps)]
    for step, of_step in enumerate(moved):
        _picture(on, np.clip(0.5 + factor * of_step["visual"], 0, 1), step, bold=step in clip.sampled)
    on.below(on.picture + GAP)
    on.name(_beginning_of("its sound"), SOUND)
    for step, of_step in enumerate(moved):
        _beginning(on, clip, [of_step["audio"]], step, most)
    on.below(SOUND)


def _beginnings(on: _Sheet, clip: OneClip, after: np.ndarray, before: np.ndarray) -> None:
    """Draw how the sound of each step begins, before and after."""
    on.name(_beginning_of("sound"), SOUND)
    shown = [[sound[clip.samples(step)] for sound in (before, after)] for step in range(clip.steps)]
    most = max(float(np.abs(sound[: _count_shown(clip)]).max()) for sounds in shown for sound in sounds)
    for step, sounds in enumerate(shown):
        _beginning(on, clip, sounds, step, most)
    on.below(SOUND)


def _beginning(on: _Sheet, clip: OneClip, sounds: Sequence[np.ndarray], step: float, most: float) -> None:
    """Draw how sounds of a step begin, the last one dark, in its column, from -`most` to `most`."""
    axes = on.inside(on.left(step) + GAP / 2, on.column - GAP, SOUND)
    axes.set(xlim=(0, _count_shown(clip) - 1), ylim=(-1.1 * max(most, 1e-9), 1.1 * max(most, 1e-9)))
    fill = SEEN if step in clip.sampled and len(sounds) > 1 else "#F6F6F6"
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=fill, linewidth=0))
    for sound, (colour, width) in zip(sounds, ((FAINT, 1.6), (DARK, 0.6))[-len(sounds) :], strict=True):
        axes.plot(sound[: _count_shown(clip)], color=colour, linewidth=width)


def _beginning_of(what: str) -> str:
    return f"{what},\n{1000 * BEGINNING:g} ms"


def _count_shown(clip: OneClip) -> int:
    """How many samples the beginning of a step has."""
    return max(2, min(round(BEGINNING * len(clip.sound) / clip.seconds), clip.sound_steps.shape[1]))


def _steps_of(clip: OneClip) -> list[np.ndarray]:
    """The steps of each segment."""
    return [np.flatnonzero(clip.segments == segment) for segment in range(len(clip.frame_steps))]


def _number(on: _Sheet, x: float, y: float, segment: int) -> None:
    on.axes.text(x, y, str(segment + 1), fontsize=TEXT_SIZE, ha="center", va="center_baseline")


def _picture(on: _Sheet, picture: np.ndarray, step: float, bold: bool = False) -> None:
    """Draw a picture in the column of a step, with a bold frame where it is sampled."""
    axes = on.inside(on.left(step) + (on.column - on.picture) / 2, on.picture, on.picture)
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    line = {"linewidth": 1.5 if bold else 0.4, "edgecolor": DARK if bold else FAINT}
    axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, transform=axes.transAxes, clip_on=False, **line))


def _strokes(axes: Axes, sound: np.ndarray, left: float, right: float, count: int) -> None:
    """Draw a sound from `left` to `right`, each of `count` strokes from the least to the greatest of its samples."""
    count = min(count, len(sound))
    edges = np.arange(count + 1) * len(sound) // count
    low, high = (ufunc.reduceat(sound, edges[:-1]) for ufunc in (np.minimum, np.maximum))
    places = left + (right - left) * (np.arange(count) + 0.5) / count
    axes.fill_between(places, low, high, step="mid", facecolor=DARK, edgecolor=DARK, linewidth=0.3)


def _said(figure: Layout, clip: OneClip, scale: str) -> str:
    """The line below the title: which clip and whose, which training, which net."""
    dataset = figure.label("dataset", clip.dataset)
    net = f"training of {clip.variant}, which starts from {clip.start}; seed {clip.seed}"
    spoken = about([figure.sources.get(clip.dataset, "")], scale)
    return f"scale {scale}; {dataset}, {clip.clip_id}{f', of {spoken}' if spoken else ''}; {net}"


def _answer(clip: OneClip, answer: str) -> str:
    sign = RIGHT_ANSWER if answer == clip.label else WRONG_ANSWER
    return f"{sign} {str(answer).replace('_', ' ')}"


def _notes(figure: Layout, clip: OneClip, factor: float) -> list[str]:
    audio, visual = (f"{255 * float(epsilon):.3g}/255" for epsilon in clip.epsilons)
    seen = (
        "Bold frames and grey behind the sound: sampled steps. Where a sound is too fine to be drawn, each step shows "
        "how it begins, in a row that is as high as its greatest value; in d grey before, black after. In c frames are "
        f"moved {factor:g} times as much as in the clip, from a middle grey."
    )
    found = (
        f"Epsilon: {visual} of a pixel in [0, 1], {audio} of a sample in [-1, 1]. Stage: {clip.sampled_percent:g} % of "
        f"the steps, {clip.dropped_percent:g} % of the fused features. Crafting takes {clip.gradients:g} gradients of "
        f"the clip, and {clip.encoder_steps:g} steps of sound and frames that pass an encoder."
    )
    differing = sizes_note(figure.sizes, figure.labels)
    sizes = f"Sizes here, the paper's in brackets: {differing}." if differing else ""
    return [figure.caption, seen, found, sizes]


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"
