"""t-SNE figures, from the clips of a split to points, measures and drawings."""

import copy
import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from artefacts import PROGRAM, arguments
from drawings import check_drawing
from matplotlib.figure import Figure
from nets import budgets, build_objective, clips, narrow_net, narrow_spec
from PIL import Image
from sklearn.metrics import silhouette_samples
from tiny_store import VIEW, VIEWS

import artefact
import embed
from avrobust.attacks.threat import bind
from avrobust.data import store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.store import PackedClip
from avrobust.evaluation import embedding
from avrobust.metrics.clusters import distances
from avrobust.metrics.scores import Score, Scores, write_scores
from avrobust.models.build import Part, build
from avrobust.models.files import Trained, load_model, save_model
from avrobust.processor import has_common_instructions
from avrobust.program import UserError
from avrobust.report import tsne
from avrobust.report.style import page
from avrobust.report.text import csv_of
from avrobust.report.tsne import COLOURS, Embeddings, draw, measure, measures_of, points_of, project
from avrobust.spec.artefacts.tsne import Panel
from avrobust.spec.artefacts.tsne import layout as figure
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.conditions import CLEAN, Condition

SCRIPTS = Path(__file__).parents[2] / "scripts"
CPU = torch.device("cpu")
CLASSES = [f"instrument {letter}" for letter in "abcdefghijk"]
PANELS = [
    {"title": "w/o MinSim", "read": {"dataset": "music", "variant": "concat"}},
    {"title": "w/ MinSim", "read": {"dataset": "music", "variant": "min_similarity"}},
]
SPEC = {
    "title": "Figure A5",
    "caption": "By hand.",
    "citation": "Tian",
    "sources": {"music": "render"},
    "attack": "fgsm",
    "modality": "audio",
    "budgets": ["small", "strong"],
    "strengths": {"small": "0.006", "strong": "0.02"},
    "labels": {"dataset": {"music": "MUSIC"}},
    "seed": 1,
    "panels": PANELS,
}
CLEAN_SPEC = {**SPEC, "modality": "clean", "budgets": []}


def synthetic(seed: int, spread: float) -> tuple[list[str], np.ndarray, dict]:
    """Two clips of each class, and an attack on audio that pulls them to the class before."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(11), 2)
    centres = 3 * random.normal(size=(2, 11, 8))
    audio, visual = (centre[labels] + spread * random.normal(size=(22, 8)) for centre in centres)
    towards = centres[0][labels - 1] - centres[0][labels]
    points = {CLEAN: {"audio": audio, "visual": visual}}
    for budget, epsilon in (("small", 0.006), ("strong", 0.02)):
        points[Condition("audio", budget)] = {"audio": audio + 40 * epsilon * towards, "visual": visual}
    points = {key: {name: array.astype(np.float32) for name, array in of.items()} for key, of in points.items()}
    return [f"clip{number:02d}" for number in range(22)], labels, points


def write(folder: Path, variant: str, seed: int, clip_ids: list[str], labels: np.ndarray, points: dict) -> None:
    key = {"dataset": "music", "variant": variant, "seed": seed, "attack": "fgsm"}
    metadata = {**{name: str(value) for name, value in key.items()}, "classes": json.dumps(CLASSES)}
    folder.mkdir(parents=True, exist_ok=True)
    table = embedding.rows(clip_ids, labels, points).replace_schema_metadata(metadata)
    pq.write_table(table, folder / f"{variant}_{seed}.embeddings.parquet")
    write_scores(folder / f"{variant}_{seed}.scores.parquet", key, embedding.scores(clip_ids, labels, points))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for seed in (1, 2):
        write(folder, "concat", seed, *synthetic(seed, 1.0))
        write(folder, "min_similarity", seed, *synthetic(seed, 0.3))
    return folder


def embeddings(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.embeddings.parquet"))


def score_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.scores.parquet"))


def drawing(folder: Path, out: Path, spec: dict) -> list[str]:
    """The arguments that draw the figure."""
    return arguments("tsne", spec, out / "figure", embeddings=embeddings(folder), scores=score_files(folder))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None], list[str]], None]:
    """Call a program's main function with arguments: its libraries are loaded already."""

    def given(main: Callable[[], None], arguments: list[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        main()

    return given


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# Embeddings and scores


def batches(size: int) -> list[dict]:
    inputs = clips(6)
    whole = {
        "audio": inputs["audio"],
        "visual": (255 * inputs["visual"]).to(torch.uint8),
        "label": torch.tensor([0, 1, 2, 0, 1, 2]),
        "clip_id": [f"clip{number}" for number in range(6)],
    }
    return [{name: value[i : i + size] for name, value in whole.items()} for i in range(0, 6, size)]


def trained(net) -> Trained:
    objective = build_objective("cross_entropy", net.dimensions, len(CLASSES))
    return Trained(net, objective, CLASSES, {})


def test_embeddings_are_the_encoders_and_only_what_is_attacked_moves() -> None:
    net = narrow_net()
    conditions = [Condition(modality, "small") for modality in ("audio", "visual", "both")]
    threat = bind(AttackSpec("fgsm"), trained(net))
    clip_ids, labels, points = embedding.embed(net, threat, batches(4), budgets(small=0.05), conditions, CPU)
    (whole,) = batches(6)
    assert clip_ids == whole["clip_id"] and labels.tolist() == whole["label"].tolist()
    with torch.no_grad():
        audio, visual = net.encode("audio", whole["audio"]), net.encode("visual", whole["visual"].float() / 255)
    assert points[CLEAN]["audio"] == pytest.approx(audio.numpy(), rel=1e-4, abs=1e-5)
    assert points[CLEAN]["visual"] == pytest.approx(visual.numpy(), rel=1e-4, abs=1e-5)
    for condition, moved in zip(conditions, [{"audio"}, {"visual"}, {"audio", "visual"}], strict=True):
        for name in ("audio", "visual"):
            same = (points[condition][name] == points[CLEAN][name]).all(axis=1)
            assert not same.any() if name in moved else same.all()


def test_scores_of_unmoved_features_are_the_clean_ones() -> None:
    clip_ids, labels, points = synthetic(0, 1.0)
    columns = embedding.scores(clip_ids, labels, points)
    keys = zip(columns["measure"], columns["modality"], columns["budget"], columns["clip_id"], strict=True)
    values = dict(zip(keys, columns["value"], strict=True))
    assert len(values) == len(columns["value"]) == 22 * (3 * 4 + 2 * 2), "no shift of clean clips"
    for name, features in points[CLEAN].items():
        expected = silhouette_samples(features.astype(np.float64), labels)
        clean = [values[f"silhouette_{name}", "clean", "", clip] for clip in clip_ids]
        assert clean == pytest.approx(expected, abs=1e-12)
    for clip in clip_ids:
        for measure_name in ("silhouette_visual", "ratio_visual"):
            assert values[measure_name, "audio", "strong", clip] == values[measure_name, "clean", "", clip]
        assert values["shift_visual", "audio", "strong", clip] == 0
        assert values["shift_audio", "audio", "strong", clip] > values["shift_audio", "audio", "small", clip] > 0


def test_scores_of_attacked_clips_are_of_where_they_are_now() -> None:
    """Each attacked clip among the clean ones: its mean distance to its class, over that to all others."""
    clip_ids, labels, points = synthetic(0, 1.0)
    columns = embedding.scores(clip_ids, labels, points)
    keys = zip(columns["measure"], columns["modality"], columns["budget"], columns["clip_id"], strict=True)
    values = dict(zip(keys, columns["value"], strict=True))
    clean = points[CLEAN]["audio"].astype(np.float64)
    for condition, of in points.items():
        moved = of["audio"].astype(np.float64)
        for number, clip in enumerate(clip_ids):
            away = np.linalg.norm(clean - moved[number], axis=1)
            own = (labels == labels[number]) & (np.arange(22) != number)
            within, between = away[own].mean(), away[labels != labels[number]].mean()
            nearest = min(away[labels == other].mean() for other in set(labels.tolist()) - {int(labels[number])})
            place = condition.modality, condition.budget, clip
            assert values["ratio_audio", *place] == pytest.approx(within / between)
            assert values["silhouette_audio", *place] == pytest.approx((nearest - within) / max(nearest, within))
        if condition != CLEAN:
            ratios = [
                [values["ratio_audio", *place, clip] for clip in clip_ids]
                for place in (("clean", ""), (condition.modality, condition.budget))
            ]
            assert np.mean(ratios[1]) > np.mean(ratios[0]), "pulled out of their class"


def test_a_net_that_diverged_is_an_error() -> None:
    net = narrow_net()
    threat = bind(AttackSpec("fgsm"), trained(narrow_net()))
    torch.nn.init.constant_(next(net.encoders["audio"].parameters()), torch.nan)
    with pytest.raises(UserError, match="audio feature is not finite"):
        embedding.embed(net, threat, batches(6), budgets(), [], CPU)


def shard(path: Path, labels: list[int]) -> Path:
    random = np.random.default_rng(0)
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=CLASSES) as writer:
        for number, label in enumerate(labels):
            frames = []
            for _ in range(3):
                data = io.BytesIO()
                Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(data, "JPEG")
                frames.append(data.getvalue())
            writer.add(
                PackedClip(
                    clip_id=f"clip{number}",
                    split="test",
                    labels=(label,),
                    start=None,
                    end=None,
                    audio=random.integers(-(2**14), 2**14, 5000, np.int16),
                    frames=frames,
                    box=None,
                    width=32,
                    height=32,
                )
            )
    return path


def model_file(path: Path, fusion: str = "concat", task: str = "single") -> Path:
    """A model whose best and latest weights are two nets."""
    spec = dataclasses.replace(narrow_spec(fusion), task=task)
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append({"model": build(spec, len(CLASSES)).state_dict(), "objective": {}})
    save_model(path, spec, Part("cross_entropy"), CLASSES, *states, {})
    return path


def embedding_of(folder: Path, model: Path, labels: list[int], **change: object) -> list[str]:
    """The arguments of embed.py."""
    given = {
        "attack-spec": {"update": "fgsm"},
        "conditions": [["audio", "small"], ["audio", "strong"]],
        "budgets": {
            "small": {"audio": {"norm": "linf", "epsilon": 0.006}},
            "strong": {"audio": {"norm": "linf", "epsilon": 0.02}},
        },
        "key": {"dataset": "music", "variant": "concat", "seed": 1, "attack": "fgsm"},
        **change,
    }
    return [
        *(f"--{name}={json.dumps(value)}" for name, value in given.items()),
        f"--model={model}",
        f"--shards={shard(folder / 'shard.arrow', labels)}",
        *(f"--view={json.dumps(VIEW)}", "--batch-size=4", "--device=cpu"),
        f"--kept={folder / 'out' / 'a.embeddings.parquet'}",
        f"--scores={folder / 'out' / 'a.scores.parquet'}",
        f"--provenance={folder / 'out' / 'a.json'}",
    ]


def test_from_clips_to_a_picture(tmp_path: Path, call: Callable) -> None:
    model = model_file(tmp_path / "model.pt")
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        call(embed.main, embedding_of(folder, model, [0, 1, 2, 0, 1, 2, 3]))
    one, two = tmp_path / "one" / "out", tmp_path / "two" / "out"
    for name in ("a.embeddings.parquet", "a.scores.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    made = json.loads((one / "a.json").read_text())
    assert made["clips"] == 7 and made["attack_spec"] == {"update": "fgsm"}
    assert [made["dataset"], made["variant"], made["seed"], made["attack"]] == ["music", "concat", 1, "fgsm"]

    embedding = Embeddings(embeddings(one)).read(Panel("", PANELS[0]["read"]), "fgsm", 1)
    assert embedding.clips == [f"clip{number}" for number in range(7)]
    assert embedding.classes == [CLASSES[label] for label in (0, 1, 2, 0, 1, 2, 3)]
    clean, attacked = (embedding.points[key] for key in ((CLEAN, "audio"), (Condition("audio", "strong"), "audio")))
    moved = np.diagonal(distances(attacked, clean))
    shift = Scores(score_files(one)).values(
        [Score("music", "concat", "fgsm", Condition("audio", "strong"), "shift_audio")]
    )
    spread = np.diagonal(distances(clean[[3, 4, 5]], clean[[0, 1, 2]]))
    assert shift.values[0, 0, :3] == pytest.approx(moved[:3] / spread)
    assert np.isnan(shift.values[0, 0, 6]), "alone in its class"

    call(artefact.main, drawing(one, tmp_path / "figure", {**SPEC, "panels": PANELS[:1]}))
    lines = table((tmp_path / "figure" / "figure_measures.csv").read_text())
    assert {line["measure"]: line["n"] for line in lines} == {"silhouette": "7", "ratio": "6", "shift": "6"}


@pytest.mark.parametrize("state", ["best", "latest"])
def test_embeddings_are_those_of_the_weights_that_are_asked_for(tmp_path: Path, call: Callable, state: str) -> None:
    model = model_file(tmp_path / "model.pt")
    asked = [] if state == "best" else ["--model-state=latest"]
    call(embed.main, [*embedding_of(tmp_path, model, [0, 1, 2, 0]), *asked])
    assert json.loads((tmp_path / "out/a.json").read_text())["model_state"] == state
    opened = store.Store([tmp_path / "shard.arrow"])
    net = load_model(model, state, CPU).model
    views = EvaluationViews(opened, opened.indices("test"), VIEWS, net.modalities)
    inputs = inputs_of(collate([views[position] for position in range(4)]), CPU)
    found = Embeddings(embeddings(tmp_path / "out")).read(Panel("", PANELS[0]["read"]), "fgsm", 1)
    for name in net.modalities:
        with torch.no_grad():
            expected = net.encode(name, inputs[name]).numpy()
        assert found.points[CLEAN, name] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("fusion", "labels", "change", "message"),
    [
        ("audio", [0, 1, 0, 1], {}, "takes only audio"),
        ("concat", [1, 1, 1], {}, "3 clips of fewer than two classes in split test"),
        ("concat", [0, 1], {"conditions": [["smell", 0.1]]}, "unknown modality 'smell'"),
        ("concat", [0, 1], {"key": {"dataset": "music"}}, "variant, seed, attack must be given"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    tmp_path: Path, call: Callable, fusion: str, labels: list[int], change: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        call(embed.main, embedding_of(tmp_path, model_file(tmp_path / "model.pt", fusion), labels, **change))
    assert not (tmp_path / "out").exists()


def test_a_net_of_several_labels_a_clip_is_refused(tmp_path: Path, call: Callable) -> None:
    model = model_file(tmp_path / "model.pt", task="multiple")
    with pytest.raises(UserError, match="takes a clip for any number of classes; give one of one label a clip"):
        call(embed.main, embedding_of(tmp_path, model, [0, 1, 2]))


# Layout, projection, measures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budgets": []}, r"modality audio with budgets \[\]; only clean has none"),
        ({"modality": "clean"}, r"modality clean with budgets \['small', 'strong'\]"),
        ({"panels": [PANELS[0], PANELS[0]]}, "panel 2: the title 'w/o MinSim' occurs twice"),
        ({"perplexity": 5}, "figure: unknown perplexity"),
    ],
)
def test_mistakes_in_the_layout_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        figure({**SPEC, **change})


def test_a_projection_keeps_neighbours_and_lies_flat(files: Path) -> None:
    layout = figure(SPEC)
    embedding = Embeddings(embeddings(files)).read(layout.panels[1], "fgsm", 1)
    made = project(layout, layout.panels[1], "small", embedding)
    assert [*made.kinds] == ["audio", "visual", "attacked audio"]
    assert [places.shape for places in made.kinds.values()] == [(22, 2)] * 3
    audio, visual, _ = made.kinds.values()
    for places in (audio, visual):
        apart = distances(places, places) + np.diag([np.inf] * 22)
        nearest = [made.classes[number] for number in apart.argmin(axis=1)]
        assert np.mean([one == other for one, other in zip(nearest, made.classes, strict=True)]) > 0.9
    places = np.concatenate([*made.kinds.values()])
    covariance = np.cov(places.T)
    assert covariance[0, 0] >= covariance[1, 1] and abs(covariance[0, 1]) < 1e-2 * covariance[0, 0]
    assert audio[:, 0].mean() < places[:, 0].mean(), "audio to the left"
    assert (places == places.round(3)).all()


def test_equal_embeddings_cannot_be_projected(files: Path) -> None:
    layout = figure(CLEAN_SPEC)
    embedding = Embeddings(embeddings(files)).read(layout.panels[0], "fgsm", 1)
    equal = copy.deepcopy(embedding)
    for points in equal.points.values():
        points[:] = 1
    with pytest.raises(UserError, match="w/o MinSim': all 44 embeddings are equal"):
        project(layout, layout.panels[0], "", equal)


def test_measures_are_means_over_clips_and_seeds(files: Path) -> None:
    layout = figure(SPEC)
    measured = measure(layout, layout.panels[0], Scores(score_files(files)), "demo")
    assert [(one["embedding"], one["condition"], one["budget"], one["measure"]) for one in measured] == [
        ("audio", "clean", "", "silhouette"),
        ("audio", "audio", "small", "silhouette"),
        ("audio", "audio", "strong", "silhouette"),
        ("visual", "clean", "", "silhouette"),
        ("audio", "clean", "", "ratio"),
        ("audio", "audio", "small", "ratio"),
        ("audio", "audio", "strong", "ratio"),
        ("visual", "clean", "", "ratio"),
        ("audio", "audio", "small", "shift"),
        ("audio", "audio", "strong", "shift"),
    ]
    by_seed = [synthetic(seed, 1.0) for seed in (1, 2)]
    silhouettes = [silhouette_samples(points[CLEAN]["visual"], labels).mean() for _, labels, points in by_seed]
    assert measured[3]["mean"] == pytest.approx(np.mean(silhouettes), abs=1e-6)
    assert all(one["low"] < one["mean"] < one["high"] and (one["n"], one["seeds"]) == (22, 2) for one in measured)

    lines = table(csv_of(measures_of(measured), decimals=4))
    assert lines[3] == {
        "panel": "w/o MinSim",
        "variant": "concat",
        "embedding": "visual",
        "condition": "clean",
        "epsilon": "0",
        "measure": "silhouette",
        "unit": "score",
        "mean": f"{np.mean(silhouettes):.4f}",
        "low": f"{measured[3]['low']:.4f}",
        "high": f"{measured[3]['high']:.4f}",
        "n": "22",
        "seeds": "2",
        "scale": "demo",
        "source": "render",
    }


def test_a_measure_without_any_value_is_left_empty(tmp_path: Path) -> None:
    clip_ids, labels, points = synthetic(1, 1.0)
    alone = slice(None, None, 2)
    points = {key: {name: values[alone] for name, values in of.items()} for key, of in points.items()}
    write(tmp_path, "concat", 1, clip_ids[alone], labels[alone], points)
    layout = figure(SPEC)
    measured = measure(layout, layout.panels[0], Scores(score_files(tmp_path)), "demo")
    assert {(one["measure"], one["mean"], one["n"]) for one in measured} == {
        ("silhouette", 0.0, 11),
        ("ratio", None, 0),
        ("shift", None, 0),
    }
    shift = table(csv_of(measures_of(measured), decimals=4))[-1]
    assert (shift["measure"], shift["mean"], shift["low"], shift["n"]) == ("shift", "", "", "0")


# Drawings


def words(path: Path) -> str:
    return "".join(ElementTree.parse(path).getroot().itertext())


def test_equal_bytes_in_another_process_whatever_the_environment_says_of_openblas(files: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    for folder, said in ((one, {}), (two, {"OPENBLAS_CORETYPE": "Nehalem"})):
        command = [sys.executable, str(PROGRAM), *drawing(files, folder, SPEC)]
        made = subprocess.run(command, env={**own, **said}, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
    assert not has_common_instructions() or "OPENBLAS_CORETYPE=Nehalem of the environment is not taken" in made.stderr
    for name in ("figure.csv", "figure.svg", "figure.png", "figure_measures.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()

    check_drawing("tsne", one / "figure.svg", places=False)
    text = words(one / "figure.svg")
    for word in (*CLASSES, "visual", "attacked audio", "w/o MinSim", "w/ MinSim"):
        assert word in text
    for word in (
        "audio attacked, ε = 0.006",
        "audio attacked, ε = 0.02",
        "MUSIC, scale demo, n = 22",
        "clips: rendered",
    ):
        assert word in text
    scores_of_panels = Scores(score_files(files))
    for panel in figure(SPEC).panels:
        silhouettes = [
            f"{one['mean']:.2f}".replace("-", "−") for one in measure(figure(SPEC), panel, scores_of_panels, "demo")[:4]
        ]
        clean, weak, strong, visual = silhouettes
        for attacked in (weak, strong):
            assert f"silhouettes: audio {clean} (attacked {attacked})," in text
            assert f"visual {visual}" in text

    lines = table((one / "figure.csv").read_text())
    assert len(lines) == 2 * 2 * 3 * 22
    assert {line["kind"] for line in lines} == {"audio", "visual", "attacked audio"}
    assert {(line["panel"], line["epsilon"]) for line in lines} == {
        (panel["title"], epsilon) for panel in PANELS for epsilon in ("0.006", "0.02")
    }
    assert {line["class"] for line in lines} == {*CLASSES} and {line["scale"] for line in lines} == {"demo"}
    with Image.open(one / "figure.png") as image:
        shown = {colour for _, colour in image.convert("RGB").getcolors(10**6)}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in COLOURS} <= shown


def test_a_clean_figure_has_one_row_and_no_stars(files: Path, tmp_path: Path, call: Callable) -> None:
    call(artefact.main, drawing(files, tmp_path, CLEAN_SPEC))
    lines = table((tmp_path / "figure.csv").read_text())
    assert {(line["epsilon"], line["kind"]) for line in lines} == {("0", "audio"), ("0", "visual")}
    assert len(lines) == 2 * 2 * 22
    assert "attacked" not in words(tmp_path / "figure.svg")
    assert {line["condition"] for line in table((tmp_path / "figure_measures.csv").read_text())} == {"clean"}


def test_a_step_to_the_right_is_as_long_on_the_page_as_a_step_up(
    files: Path, tmp_path: Path, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other scales neighbours would be other neighbours."""
    pages = []

    @contextmanager
    def kept(*sizes: float, **options: object) -> Iterator[Figure]:
        with page(*sizes, **options) as canvas:
            pages.append(canvas)
            yield canvas

    monkeypatch.setattr(tsne, "page", kept)
    call(artefact.main, drawing(files, tmp_path, SPEC))
    (canvas,) = pages
    assert len(canvas.axes) == 4
    for axis in canvas.axes:
        box = axis.get_window_extent()
        assert box.width / np.ptp(axis.get_xlim()) == pytest.approx(box.height / np.ptp(axis.get_ylim()), rel=1e-3)


def test_points_of_a_figure_are_written_as_drawn(files: Path) -> None:
    layout = figure(CLEAN_SPEC)
    made = project(
        layout, layout.panels[0], 0.0, Embeddings(embeddings(files)).read(layout.panels[0], "fgsm", layout.seed)
    )
    x, y = made.kinds["visual"][4]
    line = table(csv_of(points_of(layout, [made], "demo"), decimals=3))[22 + 4]
    assert line == {
        "panel": "w/o MinSim",
        "epsilon": "0",
        "clip_id": "clip04",
        "class": CLASSES[2],
        "kind": "visual",
        "unit": "none",
        "x": f"{x:.3f}",
        "y": f"{y:.3f}",
        "scale": "demo",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "no embeddings of music/concat/fgsm/7 among those given"),
        ({"attack": "pgd"}, "no scores of music/concat/pgd among those given"),
        ({"modality": "visual"}, "silhouette_visual of music/concat/fgsm, visual at small was not measured"),
    ],
)
def test_what_is_missing_is_named(files: Path, tmp_path: Path, call: Callable, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(artefact.main, drawing(files, tmp_path / "out", {**SPEC, **change}))
    assert not (tmp_path / "out").exists()


def test_a_strength_that_was_not_embedded_is_an_error(files: Path) -> None:
    layout = figure({**SPEC, "budgets": ["much"]})
    embedding = Embeddings(embeddings(files)).read(layout.panels[0], "fgsm", 1)
    with pytest.raises(UserError, match=r"music/concat hold no audio at much"):
        project(layout, layout.panels[0], "much", embedding)


def test_files_that_hold_no_embeddings_are_named(files: Path, tmp_path: Path) -> None:
    first = embeddings(files)[0]
    with pytest.raises(UserError, match="given twice"):
        Embeddings([first, first])
    with pytest.raises(UserError, match=r"scores.parquet: no audio, classes, visual in it"):
        Embeddings(score_files(files))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        Embeddings([tmp_path / "broken.parquet"])


def test_conditions_on_other_clips_are_an_error(files: Path, tmp_path: Path) -> None:
    whole = pq.read_table(embeddings(files)[0])
    pq.write_table(whole.slice(1), tmp_path / "a.embeddings.parquet")
    with pytest.raises(UserError, match="do not hold the same clips"):
        Embeddings(embeddings(tmp_path)).read(Panel("", PANELS[0]["read"]), "fgsm", 1)


def test_more_classes_than_colours_are_an_error(tmp_path: Path, files: Path) -> None:
    layout = figure(CLEAN_SPEC)
    scores_of_panels = Scores(score_files(files))
    measured = [one for panel in layout.panels for one in measure(layout, panel, scores_of_panels, "demo")]
    embedding = Embeddings(embeddings(files)).read(layout.panels[0], "fgsm", 1)
    names = [f"class {number % 12}" for number in range(22)]
    many = dataclasses.replace(embedding, classes=names, all_classes=names[:12])
    projections = [project(layout, panel, 0.0, many) for panel in layout.panels]
    with pytest.raises(UserError, match="12 classes; more than 11 cannot be told apart"):
        draw(layout, projections, measured, "demo", svg=str(tmp_path / "f.svg"), png=str(tmp_path / "f.png"))
    assert not (tmp_path / "f.svg").exists()
