"""Sweep figures: the data are right, the drawings are valid, labelled and equal byte for byte."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from artefacts import PROGRAM, arguments, make, make_alone
from cell_files import CLEAN, write_cell
from drawings import check_drawing
from PIL import Image

from avrobust.metrics.rows import Cells, cells_of
from avrobust.program import UserError
from avrobust.report.sweep import COLOURS, _sizes, draw, measure, tidy
from avrobust.spec.artefacts.sweep import layout as figure

SCRIPTS = Path(__file__).parents[2] / "scripts"
LABELS = [0, 0, 1, 1]
RIGHT = {0: [1, 1, 0, 0], 1: [0, 1, 0, 0], 2: [0, 0, 0, 0], 3: [0, 0, 1, 0], 4: [0, 0, 1, 1]}
PREDICTIONS = {
    CLEAN: RIGHT[4],
    ("audio", "small"): RIGHT[3],
    ("audio", "large"): RIGHT[1],
    ("both", "small"): RIGHT[0],
    ("both", "large"): RIGHT[0],
}


def series(net: str, variant: str, modality: str, attack: str = "") -> dict:
    read = {"dataset": "music", "variant": variant, "attack": "fgsm"}
    return {"net": net, "modality": modality, "attack": attack, "read": read}


SPEC = {
    "title": "Sweep",
    "budgets": ["large", "small"],
    "panels": [
        {
            "name": "a",
            "title": "(a) audio attacked",
            "series": [
                series("AV", "concat", "audio", "FGSM"),
                series("unimodal V", "unimodal_visual", "clean"),
                series("always one class", "concat", "majority"),
            ],
        },
        {
            "name": "c",
            "title": "(c) both attacked",
            "series": [
                series("AV", "concat", "both", "FGSM"),
                series("unimodal A", "unimodal_audio", "audio", "FGSM"),
            ],
        },
    ],
}


def write_cells(folder: Path) -> list[Path]:
    variants = ("concat", "unimodal_visual", "unimodal_audio")
    return [write_cell(folder, f"music/{variant}/0/fgsm", LABELS, PREDICTIONS) for variant in variants]


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return cells_of(write_cells(tmp_path))


def test_curves_start_clean_and_follow_the_budgets(cells: Cells) -> None:
    layout = figure(SPEC)
    audio, visual, majority = (measure(one, layout.budgets, cells) for one in layout.panels[0].series)
    assert (audio.epsilons, audio.accuracy) == ([0.0, 0.006, 0.012], [100.0, 75.0, 25.0])
    assert (audio.low[0], audio.high[0]) == pytest.approx((100 * 0.025**0.25, 100.0)), "4 of 4 clips"
    assert audio.low[1] <= 75.0 <= audio.high[1]
    assert (visual.epsilons, visual.accuracy) == ([0.0], [100.0])
    assert (majority.epsilons, majority.accuracy) == ([0.0], [50.0])
    both = measure(layout.panels[1].series[0], ["small"], cells)
    assert (both.epsilons, both.accuracy) == ([0.0, 0.006], [100.0, 0.0])


def test_a_figure_says_of_how_many_clips_and_seeds_its_curves_are(cells: Cells) -> None:
    (curve,) = [measure(one, ["small"], cells) for one in figure(SPEC).panels[0].series[:1]]
    curves = [replace(curve, clips=clips, seeds=seeds) for clips, seeds in ((8, 8), (1, 8), (8, 1))]
    assert _sizes(curves, "demo") == "scale demo, n = 1, 8, seeds: 1, 8; bars: 95 % interval"


def test_data_beside_the_figure(cells: Cells) -> None:
    panels = {
        panel.name: [measure(one, ["small", "large"], cells) for one in panel.series] for panel in figure(SPEC).panels
    }
    rows = list(csv.reader(tidy(panels, "demo").splitlines()))
    assert rows[0] == ["panel", "series", "epsilon", "unit", "accuracy", "low", "high", "n", "seeds", "scale"]
    assert rows[1] == ["a", "FGSM-AV", "0", "percent", "100.00", "39.76", "100.00", "4", "1", "demo"]
    assert [[*row[:3], row[4]] for row in rows[2:6]] == [
        ["a", "FGSM-AV", "0.006", "75.00"],
        ["a", "FGSM-AV", "0.012", "25.00"],
        ["a", "clean-unimodal V", "0", "100.00"],
        ["a", "majority-always one class", "0", "50.00"],
    ]
    assert len(rows) == 1 + 5 + 3 + 3


def test_program_draws_equal_bytes_twice(tmp_path: Path) -> None:
    cells, folders = write_cells(tmp_path / "cells"), (tmp_path / "one", tmp_path / "two")
    for folder, run in zip(folders, (make, make_alone), strict=True):
        made = run("sweep", SPEC, folder / "figure", cells=cells)
        assert made.returncode == 0, made.stderr
    for kind in ("csv", "svg", "png"):
        first, second = (folder / f"figure.{kind}" for folder in folders)
        assert first.read_bytes() == second.read_bytes()

    check_drawing("sweep", folders[0] / "figure.svg")
    text = "".join(ElementTree.parse(folders[0] / "figure.svg").getroot().itertext())
    for words in (
        "accuracy (%)",
        "attack strength ε (×10⁻³)",
        "(a) audio attacked",
        "unimodal V, clean",
        "FGSM",
    ):
        assert words in text
    assert "scale demo, n = 4, seeds: 1" in text
    with Image.open(folders[0] / "figure.png") as image:
        image.load()
        assert image.size == (1440, 720)
        # Not empty: the colour of the first attack is in it.
        assert tuple(bytes.fromhex(COLOURS[0][1:])) in {colour for _, colour in image.convert("RGB").getcolors(10**6)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The figure of a user without any settings of matplotlib."""
    folder = tmp_path_factory.mktemp("plain")
    return drawn(folder, {})


def drawn(folder: Path, variables: dict[str, object], settings: str = "") -> dict[str, bytes]:
    """Draw in `folder`, which may hold a matplotlibrc, and return the files' bytes."""
    cells = write_cells(folder / "cells")
    if settings:
        (folder / "matplotlibrc").write_text(settings, encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "MATPLOTLIB"))}
    command = [sys.executable, PROGRAM, *arguments("sweep", SPEC, folder / "out/figure", cells=cells)]
    made = subprocess.run(
        command, cwd=folder, env=own | {name: str(value) for name, value in variables.items()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return {kind: (folder / f"out/figure.{kind}").read_bytes() for kind in ("csv", "svg", "png")}


LOUD = "axes.grid: True\nfigure.facecolor: lightgrey\nfont.family: serif\nsavefig.bbox: tight\nlines.linestyle: --\n"


@pytest.mark.parametrize("case", ["in the folder of settings", "in the working folder", "of nobody", "of the user"])
def test_the_users_matplotlib_changes_no_byte(case: str, plain: dict[str, bytes], tmp_path: Path) -> None:
    """Settings and backends that are there, and those that cannot be taken."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own/matplotlibrc").write_text(LOUD, encoding="utf-8")
    (tmp_path / "latin").write_bytes("font.family: Grün\n".encode("latin-1"))
    variables = {
        "in the folder of settings": {"MPLCONFIGDIR": tmp_path / "own"},
        # A file where a folder should be: not even root can make one there.
        "of nobody": {
            "MPLBACKEND": "holograms", "MATPLOTLIBRC": tmp_path / "latin", "MPLCONFIGDIR": tmp_path / "latin/folder",
        },
        "of the user": {
            "MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": tmp_path / "own/matplotlibrc",
        },
    }.get(case, {})  # fmt: skip
    assert drawn(tmp_path, variables, LOUD if case == "in the working folder" else "") == plain


def test_another_font_of_our_fonts_name_is_not_taken(plain: dict[str, bytes], tmp_path: Path) -> None:
    """Matplotlib's list of fonts is a file in the user's cache, made from all that was ever installed."""
    (tmp_path / "own").mkdir()
    (tmp_path / "after").mkdir()
    drawn(tmp_path / "before", {"MPLCONFIGDIR": tmp_path / "own"})
    (kept,) = (tmp_path / "own").glob("fontlist*.json")
    listed = json.loads(kept.read_text(encoding="utf-8"))
    serif = next(font["fname"] for font in listed["ttflist"] if font["fname"].endswith("DejaVuSerif.ttf"))
    for font in listed["ttflist"]:
        if font["name"] == "DejaVu Sans":
            font["fname"] = serif
    kept.write_text(json.dumps(listed), encoding="utf-8")
    assert drawn(tmp_path / "after", {"MPLCONFIGDIR": tmp_path / "own"}) == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"read": {"dataset": "music"}}, "read must name dataset, variant and attack"),
        ({"color": "red"}, "panel a, series 1: unknown color"),
    ],
)
def test_mistakes_in_the_layout_are_named(change: dict, message: str) -> None:
    panel = {"name": "a", "title": "", "series": [series("AV", "concat", "audio", "FGSM") | change]}
    with pytest.raises(UserError, match=message):
        figure({"title": "", "budgets": ["small"], "panels": [panel]})


def test_a_modality_that_was_not_attacked_is_an_error(tmp_path: Path) -> None:
    spec = {
        "title": "",
        "budgets": ["small"],
        "panels": [{"name": "b", "title": "", "series": [series("AV", "concat", "visual", "FGSM")]}],
    }
    made = make("sweep", spec, tmp_path / "out/figure", cells=write_cells(tmp_path / "cells"))
    assert made.returncode == 1
    assert "error: " in made.stderr and "visual" in made.stderr
    assert not (tmp_path / "out").exists()


def test_too_many_nets_are_an_error(cells: Cells, tmp_path: Path) -> None:
    many = [series(f"net {number}", "concat", "audio", "FGSM") for number in range(5)]
    layout = figure({"title": "Many", "budgets": ["small"], "panels": [{"name": "a", "title": "", "series": many}]})
    curves = {"a": [measure(one, layout.budgets, cells) for one in layout.panels[0].series]}
    with pytest.raises(UserError, match="Many: 5 nets"):
        draw(layout, curves, "demo", svg=str(tmp_path / "f.svg"), png=str(tmp_path / "f.png"))
    assert not (tmp_path / "f.svg").exists()
