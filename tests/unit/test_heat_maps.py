"""Figures of heat maps: the right clips, every word on the page, and equal bytes."""

import base64
import csv
import dataclasses
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from artefacts import make
from drawings import check_drawing
from hypothesis import example as tried
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avrobust.files import write_text
from avrobust.metrics.examples import MEASURES, Example, Examples, read_examples, write_examples
from avrobust.program import UserError
from avrobust.report.heat_maps import COLOUR_MAP, DRAWN, GREYS, _mixed, _Text, draw, enlarged, find, overlay, tidy
from avrobust.report.style import drawing
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.heat_maps import layout

SCRIPTS = Path(__file__).parents[2] / "scripts"
SPEC = {
    "title": "Figure 4",
    "caption": "Where the net looks.",
    "budget": "small",
    "strengths": {"small": "0.006"},
    "labels": {"dataset": {"kinetics_sounds": "KS"}, "attack": {"fgsm": "FGSM"}},
    "read": {"variant": "attended_concat", "attack": "mim"},
    "rows": [
        {"dataset": "music", "class": "cello", "title": "playing cello"},
        {"dataset": "kinetics_sounds", "class": "blowing_nose", "title": "blowing nose"},
        {"dataset": "music", "class": "theremin", "title": "playing theremin"},
    ],
}


def example(label: str, clip_id: str, answers: tuple[str, ...], box: tuple | None, seed: int = 0) -> Example:
    """Under five conditions: clean; audio, visual, both at small; both at large."""
    generator = np.random.default_rng(seed)
    measures = {name: generator.uniform(size=5).round(2) for name in MEASURES}
    measures["peak_shift"][0] = measures["correlation"][0] = np.nan
    if box is None:
        measures["pointing"][:] = measures["mass"][:] = np.nan
    return Example(
        clip_id,
        label,
        answers,
        generator.dirichlet(np.ones(9), size=5).reshape(5, 3, 3).astype(np.float32),
        generator.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8),
        np.array(box or (np.nan,) * 4),
        measures,
    )


def sources() -> list[Examples]:
    shared = {
        "variant": "attended_concat",
        "seed": 1234,
        "attack": "fgsm",
        "modalities": ("clean", "audio", "visual", "both", "both"),
        "budgets": ("", "small", "small", "small", "large"),
    }
    cello = example("cello", "cello_0007", ("cello", "flute", "cello", "tuba", "erhu"), (0.1, 0.2, 0.6, 1.0))
    nose = example("blowing_nose", "xYz", ("blowing_nose",) * 3 + ("tap_dancing", "bowling"), None, seed=1)
    music = Examples(dataset="music", examples=(cello,), **shared)
    return [music, Examples(dataset="kinetics_sounds", examples=(nose,), **shared)]


def write_all(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{source.dataset}.npz" for source in sources()]
    for path, source in zip(paths, sources(), strict=True):
        write_examples(path, source)
    return paths


def test_examples_survive_the_file(tmp_path):
    for path, source in zip(write_all(tmp_path), sources(), strict=True):
        found = read_examples(path)
        for name in ("dataset", "variant", "seed", "attack", "modalities", "budgets"):
            assert getattr(found, name) == getattr(source, name)
        for one, other in zip(found.examples, source.examples, strict=True):
            assert (one.clip_id, one.label, one.predictions) == (other.clip_id, other.label, other.predictions)
            for name in ("maps", "frames", "box"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)
            for name in MEASURES:
                np.testing.assert_array_equal(one.measures[name], other.measures[name])
        write_examples(tmp_path / "again.npz", source)
        assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_a_file_without_examples_is_whole(tmp_path):
    nothing = dataclasses.replace(sources()[0], examples=())
    write_examples(tmp_path / "nothing.npz", nothing)
    assert read_examples(tmp_path / "nothing.npz") == nothing


def test_data_beside_the_figure():
    figure = layout(SPEC)
    rows = list(csv.DictReader(csv_of(tidy(figure, find(figure, sources()), "demo"), 4).splitlines()))
    head = "row,dataset,class,clip_id,condition,epsilon,prediction,measure,unit,value,scale,note"
    assert ",".join(rows[0]) == head
    assert len(rows) == 4 * (4 + 4) + 1
    by_measure = {name: [row for row in rows if row["measure"] == name] for name in MEASURES}
    for of_measure in by_measure.values():
        assert [row["condition"] for row in of_measure[:4]] == ["clean", "audio", "visual", "both"]
        assert [row["prediction"] for row in of_measure[:4]] == ["cello", "flute", "cello", "tuba"]
        assert (of_measure[0]["epsilon"], of_measure[3]["epsilon"]) == ("0", "0.006")
    cello = sources()[0].examples[0].measures
    mass, correlation = by_measure["mass"][:4], by_measure["correlation"][1:4]
    assert [row["value"] for row in mass] == [f"{100 * value:.4f}" for value in cello["mass"][:4]]
    assert [row["value"] for row in correlation] == [f"{value:.4f}" for value in cello["correlation"][1:4]]
    units = {name: {row["unit"] for row in of_measure} for name, of_measure in by_measure.items()}
    assert units == {name: {"score" if name == "correlation" else "percent"} for name in MEASURES}
    assert by_measure["peak_shift"][0]["value"] == ""
    assert {row["value"] for row in by_measure["pointing"][4:]} == {""}, "no box is known"
    last = {name: value for name, value in rows[-1].items() if value}
    assert last == {
        "row": "3",
        "dataset": "music",
        "class": "theremin",
        "scale": "demo",
        "note": "no clip of this class",
    }


def test_the_budget_of_the_layout_is_shown():
    twice = {**SPEC, "budget": "large", "rows": SPEC["rows"][:1]}
    with pytest.raises(UserError, match=r"audio at large is not among their conditions .*both at large"):
        find(layout(twice), sources())
    (shown,) = find(layout({**twice, "budget": "small"}), sources())
    assert shown.places == {"clean": 0, "audio": 1, "visual": 2, "both": 3}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    made = make("heat_maps", SPEC, folder / "figure", examples=write_all(folder / "examples"))
    assert made.returncode == 0, made.stderr
    assert "Figure 4: 2 of 3 rows have a clip" in made.stderr
    return folder


def test_every_word_is_on_the_page(drawn):
    check_drawing("heat_maps", drawn / "figure.svg")
    root = ElementTree.parse(drawn / "figure.svg").getroot()
    texts = ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]
    whole = " ".join(texts).replace("\N{NO-BREAK SPACE}", " ")
    for words in (
        "Figure 4",
        "scale demo, ε = 0.006 in each attacked modality; FGSM on attended concat, seed 1234",
        "playing cello",
        "blowing nose",
        "KS",
        "cello_0007",
        "✓ cello",
        "✗ flute",
        "✗ tap dancing",
        "music, playing theremin: no clip of this class",
        "attention, from least to most of each map",
        "sounding object",
        "audio attacked",
        "Where the net looks.",
    ):
        assert words in whole
    assert "erhu" not in whole and "bowling" not in whole, "those are of another budget"
    # Six pictures in each row that has a clip, and the colour bar.
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 2 * 6 + 1


def test_each_picture_is_of_its_own_condition(drawn):
    """Two frames, clean and attacked, and the maps of four conditions, over the clean frame: all of them differ."""
    root = ElementTree.parse(drawn / "figure.svg").getroot()
    svg, link = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(element.get(link).partition(",")[2]))).convert("RGB"))
        for element in root.iter(f"{svg}image")
    ]
    for row, example in enumerate([sources()[0].examples[0], sources()[1].examples[0]]):
        # Conditions of the sources: clean, audio, visual, both, and both at another strength.
        frames = [enlarged(example.frames[place]) for place in (0, 3)]
        maps = [255 * overlay(example.frames[0], example.maps[place]) for place in (0, 1, 2, 3)]
        shown = pictures[6 * row : 6 * row + 6]
        for number, (found, expected) in enumerate(zip(shown, [*frames, *maps], strict=True)):
            assert found.shape == expected.shape
            # Those of other conditions differ by tens of levels.
            assert np.abs(found - expected.astype(float)).mean() < 1.5, number


def test_png_opens_and_shows_the_frames(drawn):
    with Image.open(drawn / "figure.png") as image:
        image.load()
        assert image.size[0] == 1440
        pixels = np.asarray(image.convert("RGB")).astype(int)
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    assert (spread > 60).mean() > 0.1, "colours of frames and maps"
    assert (pixels[:, :6] == 255).all() and (pixels[:, -6:] == 255).all(), "nothing runs off the page"


def test_equal_examples_give_equal_bytes_in_any_order(drawn, tmp_path):
    figure = layout(SPEC)
    shown = find(figure, map(read_examples, write_all(tmp_path)[::-1]))
    draw(figure, shown, "demo", svg=tmp_path / "figure.svg", png=tmp_path / "figure.png")
    write_text(tmp_path / "figure.csv", csv_of(tidy(figure, shown, "demo"), 4))
    for kind in ("csv", "svg", "png"):
        assert (tmp_path / f"figure.{kind}").read_bytes() == (drawn / f"figure.{kind}").read_bytes()


def test_a_page_without_boxes_has_no_key_for_them(drawn, tmp_path):
    figure = layout({**SPEC, "rows": SPEC["rows"][1:2]})
    draw(figure, find(figure, sources()), "demo", svg=tmp_path / "figure.svg", png=tmp_path / "figure.png")
    assert "sounding object" in (drawn / "figure.svg").read_text()
    assert "sounding object" not in (tmp_path / "figure.svg").read_text()


def test_overlay_reads_in_grey_and_keeps_the_frame():
    bar = COLOUR_MAP(np.linspace(0, 1, 256))[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(bar) > 0).all(), "lightness rises all the way"
    frame = np.zeros((DRAWN, DRAWN, 3), np.uint8)
    frame[:, DRAWN // 2 :] = 9  # dull, yet to be seen
    flat, rising = np.full((2, 2), 0.25, np.float32), np.array([[0, 0], [1, 1]], np.float32)
    expected = _mixed(np.array([GREYS]), np.zeros((1, 2)))
    assert overlay(frame, flat)[7, [0, -1]] == pytest.approx(expected[0])
    assert overlay(frame, rising)[[0, -1], 0] == pytest.approx(
        _mixed(np.full((1, 2), GREYS[0]), np.array([[0.0, 1.0]]))[0]
    )
    assert overlay(frame[:32, :32], flat).shape == (DRAWN, DRAWN, 3)
    assert enlarged(np.zeros((300, 300, 3), np.uint8)).shape == (300, 300, 3)


@settings(max_examples=30)
@given(st.text(st.sampled_from("abcdWi_ ✓"), max_size=80), st.floats(0.3, 2), st.integers(1, 3))
@tried("_WWWWWW", 0.5625, 1)  # without its underscore the rest is too wide still
def test_text_fits_its_lines(text, width, lines):
    with drawing():
        font = _Text(6.5)
        whole, cut = font.wrapped(text, width), font.wrapped(text, width, lines)
        assert all(font._fits(line, width) for line in [*whole, *cut])
        assert "".join(whole).replace(" ", "") == text.replace(" ", "")
        assert len(cut) <= lines and (cut == whole or cut[-1].endswith("…"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colours": "jet"}, "figure: unknown colours"),
    ],
)
def test_mistakes_in_the_layout_are_named(change, message):
    with pytest.raises(UserError, match=message):
        layout({**SPEC, **change})


def test_examples_must_be_given_once():
    music, kinetics = sources()
    with pytest.raises(UserError, match="no examples of kinetics_sounds among those given"):
        find(layout(SPEC), [music])
    with pytest.raises(UserError, match="two sets of examples of music"):
        find(layout(SPEC), [music, kinetics, music])
