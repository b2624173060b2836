"""Diagrams and listings: shapes and parameters by hand, the printed listing, drawings equal byte for byte."""

import csv
from collections import Counter
from itertools import pairwise, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from artefacts import make
from drawings import check_drawing
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from avrobust.program import UserError
from avrobust.report import diagram
from avrobust.report.listing import in_words, measure, printed_layers
from avrobust.report.net_parts import Layer, full_width, parts, shapes_of_inputs
from avrobust.spec.artefacts.diagram import DIAGRAM
from avrobust.spec.artefacts.listing import LISTING as KIND

PRINTED = Path(__file__).parents[2] / "workflow/papers/tian2021/published/figureA1.csv"
NARROW = {"options": {"width": 0.125}}
NET = {
    "fusion": {"name": "concat"}, "audio": {"name": "conv1d", **NARROW},
    "visual": {"name": "resnet18", "options": {"width": 0.125, "pooling": "average"}},
}  # fmt: skip
SPEC = {
    "title": "Figure 2. The net",
    "read": {"dataset": "music", "variant": "concat"},
    "net": NET,
    "view": {"name": "moment", "options": {"audio_samples": 8191, "frame_size": 64}},
    "rates": {"audio_rate": 11025, "frame_rate": 8},
    "classes": 11,
}
LISTING = {**SPEC, "title": "Listing", "samples": 65_535, "caption": "A listing."}
CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
LAYOUT = KIND.parse
INPUTS = {"audio": (1, 8191), "visual": (3, 64, 64)}


def parameters(*channels: int) -> int:
    """Of convolutions of width 3 with a bias, each with a normalisation."""
    return sum(3 * before * after + after + 2 * after for before, after in pairwise(channels))


def test_parts_by_hand():
    """Eight convolutions halve 8,191 samples, four pools too; ResNet-18 halves 64 pixels five times."""
    sound, frame, fusion, head = parts(NET, 11, INPUTS)
    assert (sound.role, sound.name, sound.inputs, sound.output) == ("audio encoder", "conv1d", [(1, 8191)], (64,))
    lengths = (4096, 2048, 512, 256, 64, 32, 8, 4)
    channels = [count // 8 for count in CHANNELS[1:]]
    assert sound.maps == [(count, 1, length) for count, length in zip(channels, lengths, strict=True)]
    assert sound.parameters == parameters(1, *channels)
    assert frame.maps == [(8, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]
    assert (fusion.inputs, fusion.output, fusion.parameters) == ([(64,), (64,)], (128,), 0)
    assert (head.output, head.parameters, head.activation) == ((11,), 128 * 11 + 11, "softmax")
    wide = parts(full_width(NET), 11, INPUTS)
    assert [one.parameters for one in wide] == [1_566_528, 11_176_512, 0, 1024 * 11 + 11]


def drawn(name: str, spec: dict, folder: Path) -> None:
    done = make("diagram", spec, folder / "figure")
    assert done.returncode == 0, done.stderr
    check_drawing(name, folder / "figure.svg")


def test_a_net_of_steps_with_a_defence(tmp_path):
    front = {"sample_rate": 8000, "n_fft": 256, "window": 256, "hop": 64, "mels": 32}
    inner = {"name": "vgg11_bn", "options": {"width": 0.125, "stride": 8}}
    net = {
        "fusion": {"name": "audio"}, "head": {"name": "attention"}, "task": "multiple",
        "audio": {
            "name": "log_mel", "options": {"net": inner, "samples_per_step": 8000, "front": front, "projection": 24},
        },
        "defence": {"name": "feature_memory", "options": {"mixing": 0.5}},
    }  # fmt: skip
    sound, defence, fusion, head = parts(net, 5, {"audio": (1, 24_000)})
    assert (sound.output, sound.maps[0], sound.maps[-1]) == ((3, 24), (8, 32, 376), (64, 2, 47))
    assert (defence.role, defence.name, defence.output) == ("audio defence", "feature_memory", (3, 24))
    assert (fusion.output, head.output, head.activation) == ((3, 24), (5,), "sigmoid")
    assert "width" not in full_width(net)["audio"]["options"]["net"]["options"]
    clip = {"name": "clip", "options": {"frames": 3, "seconds": 3, "frame_size": 40}}
    both = {
        **net,
        "fusion": {"name": "sum"},
        "visual": {"name": "resnet18", "options": {"width": 0.125, "projection": 24}},
    }
    drawn(
        "diagram of steps",
        {**SPEC, "net": both, "view": clip, "rates": {"audio_rate": 8000, "frame_rate": 8}},
        tmp_path,
    )


def test_inputs_are_those_of_the_view():
    assert shapes_of_inputs(SPEC["view"], SPEC["rates"]) == INPUTS
    clip = {"name": "clip", "options": {"frames": 5, "seconds": 2, "frame_size": 40}}
    assert shapes_of_inputs(clip, SPEC["rates"]) == {"audio": (1, 22_050), "visual": (5, 3, 40, 40)}


def test_the_audio_net_is_the_printed_one_layer_by_layer():
    lines = measure(LAYOUT(LISTING), printed_layers(str(PRINTED)))
    assert len(lines) == 28 and all(line.as_printed for line in lines)
    assert sum(line.parameters for line in lines) == parameters(*CHANNELS) == 1_566_528
    assert sum(line.own_parameters for line in lines) == parameters(1, *(count // 8 for count in CHANNELS[1:]))
    assert (lines[0].output, lines[-1].output, lines[-1].own_output) == ((64, 32_768), (512, 16), (64, 2))


def test_what_is_not_as_printed_is_marked():
    printed = printed_layers(str(PRINTED))
    printed[3] = printed[3].replace("stride=2", "stride=1")
    lines = measure(LAYOUT(LISTING), [*printed, "nn.Dropout()"])
    differing = [(number, line.built, line.printed) for number, line in enumerate(lines) if not line.as_printed]
    ours = "nn.Conv1d(64, 64, kernel_size=3, stride=2, padding=1)"
    assert differing == [(3, ours, ours.replace("stride=2", "stride=1")), (28, "", "nn.Dropout()")]
    assert [line.printed for line in measure(LAYOUT(LISTING), printed[:27])][-1] == ""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Conv2d(1, 2, (1, 3), bias=False), "nn.Conv1d(1, 2, kernel_size=3, bias=False)"),
        (nn.Conv2d(1, 2, 3, padding=1), "nn.Conv1d(1, 2, kernel_size=(3, 3), padding=(1, 1))"),
        (nn.Conv2d(2, 2, (1, 3), dilation=(1, 2), groups=2), "nn.Conv1d(2, 2, kernel_size=3, dilation=2, groups=2)"),
        (nn.Conv2d(1, 2, (1, 3), padding=(1, 1)), "nn.Conv1d(1, 2, kernel_size=3, padding=(1, 1))"),
        (nn.BatchNorm2d(3, momentum=0.5), "nn.BatchNorm1d(3, momentum=0.5)"),
        (nn.MaxPool2d((1, 2), (1, 2), ceil_mode=True), "nn.MaxPool1d(kernel_size=2, stride=2, ceil_mode=True)"),
        (nn.ReLU(inplace=True), "nn.ReLU()"),
        (nn.Dropout(0.2), "nn.Dropout(p=0.2)"),
    ],
)
def test_layers_in_words_hide_nothing_that_counts(module, words):
    assert in_words(Layer(module, (1,))) == words


@pytest.mark.parametrize(("kind", "spec"), [("diagram", SPEC), ("listing", LISTING)])
def test_the_program_draws_and_writes_the_same_bytes_again(tmp_path, kind, spec):
    given = {"published": [PRINTED]} if kind == "listing" else {}
    for name in ("one", "two"):
        done = make(kind, spec, tmp_path / name, **given)
        assert done.returncode == 0, done.stderr
    for suffix in (".svg", ".csv", ".png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    check_drawing(kind, tmp_path / "one.svg")
    words = [text.strip() for text in ElementTree.parse(tmp_path / "one.svg").getroot().itertext()]
    texts = " ".join(words)
    with (tmp_path / "one.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Image.open(tmp_path / "one.png").width == 1440
    if kind == "diagram":
        assert [row["part"] for row in rows] == ["audio encoder", "visual encoder", "fusion", "head"]
        assert rows[1]["maps"] == "8x32x32 8x16x16 16x8x8 32x4x4 64x2x2"
        for text in ("1×8,191", "3×64×64", "1,566,528 at full width", "softmax", "1,419", "Scale: demo"):
            assert text in texts
    else:
        assert {row["as_printed"] for row in rows} == {"yes"} and len(rows) == 28
        assert rows[27]["output"] == "512x16" and texts.count("✓") == 28
        # Of each layer a shape and a number of parameters, at full width and here; no parameters are left blank.
        wanted = Counter()
        for row, at in product(rows, ("", "_at_this_scale")):
            wanted["×".join(f"{int(size):,}" for size in row[f"output{at}"].split("x"))] += 1
            wanted[f"{int(row[f'parameters{at}']):,}"] += row[f"parameters{at}"] != "0"
        assert wanted <= Counter(words)
        assert "28 of 28 layers as printed. 1,566,528 parameters at full width" in texts


def test_the_sketches_of_an_input_stay_in_their_place():
    """Hills and sun in the picture; a waveform as wide as its lane, and silent where it begins and ends."""
    for shape, pictures in (((3, 64, 64), 1), ((5, 3, 64, 64), 3)):
        axes = Figure().add_subplot()
        right = diagram._frame(axes, 2.0, "black", shape)
        frames = axes.patches
        assert len(frames) == pictures and right == pytest.approx(max(one.get_x() + one.get_width() for one in frames))
        front = frames[-1]
        assert front.get_y() + front.get_height() / 2 == pytest.approx(2.0)
        left, low = front.get_xy()
        for line in axes.lines:
            x, y = (np.array(values) for values in line.get_data())
            assert left - 1e-9 <= x.min() and x.max() <= left + front.get_width() + 1e-9
            assert low < y.min() and y.max() < low + front.get_height()
        # The sun stands above all hills.
        assert axes.lines[1].get_ydata()[0] > max(axes.lines[0].get_ydata())
    axes = Figure().add_subplot()
    right = diagram._sound(axes, 2.0, "black", (1, 8191))
    x, y = (np.array(values) for values in axes.lines[0].get_data())
    assert (x[0], x[-1]) == (diagram.LEFT, pytest.approx(right)) and right == diagram.LEFT + diagram.INPUT
    assert y[0] == pytest.approx(2.0) and y[-1] == pytest.approx(2.0)
    assert 0.1 < y.max() - 2.0 < 0.3 and 0.1 < 2.0 - y.min() < 0.3


def test_a_listing_without_its_printed_one_and_mistakes_of_a_layout_are_said(tmp_path):
    (tmp_path / "other.csv").write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(UserError, match="no listing"):
        printed_layers(str(tmp_path / "other.csv"))
    with pytest.raises(UserError, match="no listing"):
        printed_layers(str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match="figure: unknown part"):
        LAYOUT({**LISTING, "part": "visual"})


def test_a_net_on_features_begins_with_what_made_them(tmp_path):
    """Ten seconds of 8 kHz give 80 columns of 32 bands, forty frames ten windows; the extractor is counted apart."""
    front = {"sample_rate": 8000, "n_fft": 1024, "window": 1024, "hop": 500, "mels": 32}
    extractor = {
        "view": {"name": "clip", "options": {"seconds": 5, "frames": 40, "frame_size": 40}},
        "audio": {"name": "log_mel_steps", "options": {"steps": 80, "front": front}},
        "visual": {"name": "r2plus1d18", "options": {"frames_per_window": 4, "width": 0.125}, "weights": "kinetics"},
    }
    of_video = {"name": "video_transformer", "options": {"size": 64, "features": 64, "heads": 4}}
    net = {
        "fusion": {"name": "mid_fusion"}, "head": {"name": "attention"}, "visual": of_video, "task": "multiple",
        "audio": {"name": "csn", "options": {"mels": 32, "width": 0.125, "heads": 4}},
    }  # fmt: skip
    spec = {**SPEC, "net": net, "extractor": extractor, "rates": {"audio_rate": 8000, "frame_rate": 8}}
    sound, video, csn, transformer, fusion, head = diagram._parts(DIAGRAM.parse(spec), net)
    assert (sound.role, sound.inputs, sound.output, sound.parameters) == ("audio extractor", [(1, 40_000)], (80, 32), 0)
    assert (video.inputs, video.output) == ([(40, 3, 40, 40)], (10, 64))
    assert csn.inputs == [(80, 32)] and csn.output == (20, 64)
    assert csn.maps == [(4, 80, 32), (8, 40, 16), (16, 20, 8), (32, 20, 4), (64, 20, 2), (64, 20)]
    assert (transformer.maps, transformer.output, fusion.output, head.activation) == (
        [(64, 10)], (10, 64), (10, 64), "sigmoid",
    )  # fmt: skip
    words = diagram._words(DIAGRAM.parse(spec), [sound, video, csn, transformer, fusion, head], [], "demo")
    trained = sum(one.parameters for one in (csn, transformer, fusion, head))
    assert words[1] == f"{trained:,} parameters that are trained, {video.parameters:,} that are fixed. Scale: demo."
    drawn("diagram of features", spec, tmp_path)
