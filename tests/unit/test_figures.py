"""Sweep figures: the data are right, the drawings are valid, labelled and equal byte for byte."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cell_files import CLEAN, write_cell
from PIL import Image

from avrobust.metrics.rows import Cells, read_cell
from avrobust.program import UserError
from avrobust.report.sweep import figure, measure, tidy
from avrobust.report.sweep_plot import COLOURS, draw

SCRIPTS = Path(__file__).parents[2] / "scripts"
LABELS = [0, 0, 1, 1]
RIGHT = {0: [1, 1, 0, 0], 1: [0, 1, 0, 0], 2: [0, 0, 0, 0], 3: [0, 0, 1, 0], 4: [0, 0, 1, 1]}
PREDICTIONS = {
    CLEAN: RIGHT[4],
    ("audio", 0.006): RIGHT[3],
    ("audio", 0.012): RIGHT[1],
    ("both", 0.0): RIGHT[4],
    ("both", 0.006): RIGHT[0],
    ("both", 0.012): RIGHT[0],
}


def series(net: str, variant: str, modality: str, attack: str = "") -> dict:
    read = {"dataset": "music", "variant": variant, "attack": "fgsm"}
    return {"net": net, "modality": modality, "attack": attack, "read": read}


SPEC = {
    "title": "Sweep",
    "epsilons": [0.006, 0.012],
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
    return Cells(map(read_cell, write_cells(tmp_path)))


def arguments(folder: Path, spec: dict = SPEC) -> list[str]:
    outputs = [f"--{kind}={folder / f'figure.{kind}'}" for kind in ("csv", "svg", "png")]
    return ["--spec", json.dumps(spec), "--scale", "demo", *outputs]


def program(*given: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / "figure.py"), *map(str, given)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_curves_start_clean_and_follow_the_budgets(cells: Cells) -> None:
    layout = figure(SPEC)
    audio, visual, majority = (measure(one, layout.epsilons, cells) for one in layout.panels[0].series)
    assert (audio.epsilons, audio.accuracy) == ([0.0, 0.006, 0.012], [100.0, 75.0, 25.0])
    assert (audio.low[0], audio.high[0]) == (25.0, 100.0), "4 of 4 clips: the rule of three allows 25 %"
    assert audio.low[1] <= 75.0 <= audio.high[1]
    assert (visual.epsilons, visual.accuracy) == ([0.0], [100.0])
    assert (majority.epsilons, majority.accuracy) == ([0.0], [50.0])
    both = measure(layout.panels[1].series[0], [0.006], cells)
    assert (both.epsilons, both.accuracy) == ([0.0, 0.006], [100.0, 0.0])


def test_data_beside_the_figure(cells: Cells) -> None:
    panels = {
        panel.name: [measure(one, [0.006, 0.012], cells) for one in panel.series] for panel in figure(SPEC).panels
    }
    rows = list(csv.reader(tidy(panels, "demo").splitlines()))
    assert rows[0] == ["panel", "series", "epsilon", "accuracy", "low", "high", "n", "seeds", "scale"]
    assert rows[1] == ["a", "FGSM-AV", "0", "100.00", "25.00", "100.00", "4", "1", "demo"]
    assert [row[:4] for row in rows[2:6]] == [
        ["a", "FGSM-AV", "0.006", "75.00"],
        ["a", "FGSM-AV", "0.012", "25.00"],
        ["a", "clean-unimodal V", "0", "100.00"],
        ["a", "majority-always one class", "0", "50.00"],
    ]
    assert len(rows) == 1 + 5 + 3 + 3


def test_program_draws_equal_bytes_twice(tmp_path: Path) -> None:
    cells, folders = write_cells(tmp_path / "cells"), (tmp_path / "one", tmp_path / "two")
    for folder in folders:
        made = program(*arguments(folder), "--cells", *cells)
        assert made.returncode == 0, made.stderr
    for kind in ("csv", "svg", "png"):
        first, second = (folder / f"figure.{kind}" for folder in folders)
        assert first.read_bytes() == second.read_bytes()

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": ""}, "a curve names its attack"),
        ({"modality": "clean"}, "a reference line .* does not"),
        ({"read": {"dataset": "music"}}, "read must name dataset, variant and attack"),
        ({"color": "red"}, "panel a, series 1: unknown color"),
    ],
)
def test_mistakes_in_the_layout_are_named(change: dict, message: str) -> None:
    panel = {"name": "a", "title": "", "series": [series("AV", "concat", "audio", "FGSM") | change]}
    with pytest.raises(UserError, match=message):
        figure({"title": "", "epsilons": [0.006], "panels": [panel]})


def test_a_modality_that_was_not_attacked_is_an_error(tmp_path: Path) -> None:
    spec = {
        "title": "",
        "epsilons": [0.006],
        "panels": [{"name": "b", "title": "", "series": [series("AV", "concat", "visual", "FGSM")]}],
    }
    made = program(*arguments(tmp_path / "out", spec), "--cells", *write_cells(tmp_path / "cells"))
    assert made.returncode == 1
    assert "error: " in made.stderr and "visual" in made.stderr
    assert not (tmp_path / "out").exists()


def test_too_many_nets_are_an_error(cells: Cells, tmp_path: Path) -> None:
    many = [series(f"net {number}", "concat", "audio", "FGSM") for number in range(5)]
    layout = figure({"title": "Many", "epsilons": [0.006], "panels": [{"name": "a", "title": "", "series": many}]})
    curves = {"a": [measure(one, layout.epsilons, cells) for one in layout.panels[0].series]}
    with pytest.raises(UserError, match="Many: 5 nets"):
        draw(layout, curves, "demo", svg=str(tmp_path / "f.svg"), png=str(tmp_path / "f.png"))
    assert not (tmp_path / "f.svg").exists()
