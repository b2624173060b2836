"""Density and convexity of classes: closed forms, what the program writes, and the mix-up that reads it."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from killed import TwoBatches, assert_goes_on
from nets import CROSS_ENTROPY, FORMS, batch, linear_net, narrow_net, narrow_spec
from scipy import integrate
from tiny_store import CLASSES, VIEW, VIEWS, write_shard

import geometry
from avrobust.data import feature_store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.feature_store import ClipFeatures
from avrobust.data.store import Store
from avrobust.evaluation.geometry import FusedClips, class_rows, clip_rows, members, some_of
from avrobust.metrics.convexity import POINTS, Segments, between, convexity, random_segments, released_segments
from avrobust.metrics.density import density, distances, log_volume
from avrobust.metrics.geometry import CLASS_ROWS, CLIP_ROWS
from avrobust.models.build import Part
from avrobust.models.files import save_model
from avrobust.models.fusions.audio_only import AudioOnly
from avrobust.models.heads.attention import Attention
from avrobust.models.late_fusion import LateFusion
from avrobust.models.pooling import pooled
from avrobust.models.task import TASKS
from avrobust.objectives.binary_cross_entropy import BinaryCrossEntropy
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.clips import TrainingClips
from avrobust.training.prepare.mixup import Mixup
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.prepare.selected_mixup import SelectedMixup
from avrobust.training.prepare.unselected_mixup import UnselectedMixup
from avrobust.training.recipe import TrainingRecipe
from avrobust.views.features import Features

CPU = torch.device("cpu")
KEY = {"dataset": "music", "variant": "concat", "seed": 1}

# --- Density


@pytest.mark.parametrize("radius", [0.7, 3.0])
def test_the_volume_of_a_ball_in_two_and_three_dimensions(radius):
    for norm, dimensions, expected in (
        (2, 2, math.pi * radius**2), (2, 3, 4 / 3 * math.pi * radius**3),
        (1, 2, 2 * radius**2), (1, 3, 8 / 6 * radius**3),
    ):  # fmt: skip
        assert math.exp(log_volume(radius, dimensions, norm)) == pytest.approx(expected)
        # The printed exponent is right in a plane alone.
        printed = math.exp(log_volume(radius, dimensions, norm, exponent=2))
        assert (printed == pytest.approx(expected)) == (dimensions == 2)
    # Of p = 4 by integration: 4 times the area below (R^4 - x^4)^(1/4).
    area, _ = integrate.quad(lambda x: 4 * max(radius**4 - x**4, 0) ** 0.25, 0, radius)
    assert math.exp(log_volume(radius, 2, 4)) == pytest.approx(area, rel=1e-6)


def test_distances_are_to_the_mean():
    points = np.array([[0, 0], [6, 8], [3, 4], [3, 4]], np.float32)
    assert distances(points).tolist() == [5, 5, 0, 0]


def test_density_by_hand():
    """Distances 1 to 10: R = 10, the quantile of 60 % is 6.4; (1 - 0.6) 10 clips over d log(10 / 6.4)."""
    far = np.arange(1.0, 11.0)
    assert density(far, 512, 0.6) == pytest.approx(0.4 * 10 / (512 * math.log(10 / 6.4)))
    assert density(far, 512, 0.8) == pytest.approx(0.2 * 10 / (512 * math.log(10 / 8.2)))
    assert density(far, 512, 0.6, outermost=0.99) == pytest.approx(0.39 * 10 / (512 * math.log(9.91 / 6.4)))
    for dimensions in (2, 3, 512):
        ratio = density(far, dimensions, 0.6, exponent=2) / density(far, dimensions, 0.6)
        assert ratio == pytest.approx(dimensions / 2)
    assert density(2 * far, 512, 0.6) == pytest.approx(density(far, 512, 0.6)), "of no unit"


def test_a_class_without_a_shell_has_no_density():
    """Two clips are as far from their mean, others as far but for rounding; of one, or equal ones, all are at 0."""
    rounded = [1.0] * 5 + [np.nextafter(1.0, 2.0)]
    for far in ([3.0, 3.0], [0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0], rounded):
        assert math.isnan(density(np.array(far), 4, 0.6))


# --- Convexity


def segments(clips: int, count: int = POINTS) -> Segments:
    return random_segments(clips, np.random.default_rng(0), count)


def test_points_lie_between_two_different_clips():
    """Of three corners: every pair occurs in both orders, and no point is a corner mixed with itself."""
    corners = np.eye(3)
    made = between(corners, segments(3, 3000))
    assert ((made > 0).sum(axis=1) == 2).all() and np.allclose(made.sum(axis=1), 1)
    pairs = {tuple(np.flatnonzero(point)) for point in made}
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    share = made[(made[:, 0] > 0), 0]
    assert share.mean() == pytest.approx(0.5, abs=0.03) and share.min() < 0.01 and share.max() > 0.99
    lengths = between(np.random.default_rng(1).normal(size=(5, 7, 2)), segments(5, 10))
    assert lengths.shape == (10, 7, 2), "clips of several steps are mixed step by step"


def test_no_clip_is_in_every_pair():
    """As in the released code, whose first 2,000 ordered pairs of a large class are all of its first clip."""
    marked = np.zeros((3000, 1))
    marked[0] = 1
    of_it = partial(convexity, marked, is_of_class=lambda given: given[:, 0] > 0)
    assert of_it(segments(3000)) < 0.01
    assert of_it(released_segments(3000, np.random.default_rng(0))) == 1


def test_the_released_pairs_are_the_first_in_order():
    few, many = (released_segments(clips, np.random.default_rng(0), 7) for clips in (3, 5))
    assert list(zip(few.first, few.second, strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert list(zip(many.first, many.second, strict=True)) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 2), (1, 3)]
    assert len(few.share) == 6 and len({*few.share}) == 6, "every point has a share of its own"


def test_a_class_of_many_bytes_is_looked_at_in_parts(monkeypatch):
    """What is told of a part at a time is what is told of all at once; the last part is smaller."""
    points, sizes = np.random.default_rng(3).normal(size=(9, 4)), []

    def positive(given: np.ndarray) -> np.ndarray:
        sizes.append(len(given))
        return given[:, :2] > 0

    whole = convexity(points, segments(9, 100), positive)
    monkeypatch.setattr("avrobust.metrics.convexity.CHUNK_BYTES", 30 * points[0].nbytes)
    assert convexity(points, segments(9, 100), positive).tolist() == whole.tolist()
    assert sizes == [100, 30, 30, 30, 10] and len(whole) == 2


def test_a_convex_class_has_1_and_a_ring_less():
    """Of a disc all segments stay inside; of a ring those that cross the hole do not, by hand for opposite points."""
    draw = np.random.default_rng(2)
    angles = draw.uniform(0, 2 * math.pi, 400)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)

    def inside(given: np.ndarray) -> np.ndarray:
        return np.linalg.norm(given, axis=1) <= 1 + 1e-9

    def outside(given: np.ndarray) -> np.ndarray:
        return np.linalg.norm(given, axis=1) >= 0.5

    assert convexity(ring, segments(400), inside) == 1
    # The probability that |theta x1 + (1 - theta) x2| >= 1/2, summed over theta and the angle between both.
    share, angle = np.meshgrid(np.linspace(0, 1, 400), np.linspace(0, math.pi, 400))
    grid = np.hypot(share + (1 - share) * np.cos(angle), (1 - share) * np.sin(angle)) >= 0.5
    assert convexity(ring, segments(400, 20_000), outside) == pytest.approx(np.mean(grid), abs=0.02)


# --- The rows of a net


class Kept:
    """What a classifier gets of clips that are all held."""

    def __init__(self, features: torch.Tensor):
        self.features = features.numpy().__getitem__
        self.points = pooled(features).numpy()


def rows_of(net, features: torch.Tensor, labels: Sequence) -> list[dict]:
    """The rows of clips with these labels, one each or several."""
    several = [(int(of),) if np.ndim(of) == 0 else of for of in labels]
    ids = [f"clip{number}" for number in range(len(several))]
    return class_rows(net, Kept(features), ids, members(several), list("abcde"), CPU, 500).to_pylist()


def test_kappa_is_1_where_a_linear_net_knows_all_clips_and_below_where_classes_are_split():
    """The region of a class of a linear classifier is convex. By |x| a class has two parts."""
    net = linear_net(3, 3)
    features = torch.randn(300, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = net.classifier(features).argmax(dim=1).numpy()
    rows = rows_of(net, features, labels)
    assert [row["kappa_argmax"] for row in rows] == [1, 1, 1]

    class ByLength(torch.nn.Module):
        def forward(self, x):
            return torch.stack([1 - x[:, 0].abs(), x[:, 0].abs() - 1], 1)

    net.classifier = ByLength()
    points = torch.tensor([[-2.0], [2.0]]).repeat(20, 1)
    (row,) = rows_of(net, points, np.ones(40, int))
    # Half of the pairs are on both sides, and half of the way between those is of the other class.
    assert row["kappa_argmax"] == pytest.approx(0.74, abs=0.05) and row["rho60"] is None


def test_a_row_says_all_that_its_class_is():
    features = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (row, other) = rows_of(linear_net(3, 5), features, np.array([0] * 30 + [4] * 20))
    far = distances(features[:30].numpy())
    assert (row["label"], row["class_name"], row["n"], row["dimensions"]) == (0, "a", 30, 6)
    assert (other["label"], other["class_name"], other["n"]) == (4, "e", 20)
    for name, quantile in ((60, 0.6), (80, 0.8), (99, 0.99), ("max", 1)):
        assert row[f"radius_{name}"] == pytest.approx(np.quantile(far, quantile))
    for tau in (60, 80):
        assert row[f"rho{tau}"] == pytest.approx(density(far, 6, tau / 100))
        assert row[f"rho{tau}_99"] == pytest.approx(density(far, 6, tau / 100, outermost=0.99))
        assert row[f"rho{tau}_printed"] == pytest.approx(3 * row[f"rho{tau}"])
    steps = features.unflatten(1, (2, 3))
    net = linear_net(3, 5)
    net.classifier = torch.nn.Sequential(torch.nn.Flatten(), net.classifier)
    (of_steps, _) = rows_of(net, steps, np.array([0] * 30 + [4] * 20))
    assert of_steps["dimensions"] == 3, "distances are those of the means over the steps"
    assert of_steps["radius_max"] == pytest.approx(distances(steps[:30].mean(1).numpy()).max())


class Steps(torch.nn.Module):
    """One feature: the mean over the steps is the logit of class a, its negative that of b."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = x.mean(dim=1)
        return torch.cat([logit, -logit], dim=1)


def test_a_clip_of_several_classes_counts_for_each_and_probabilities_decide():
    """By hand: clips at logits -4 and 4 of class a; the points between are uniform in between.

    P(a) >= 0.1 where the logit is at least -log 9, in (4 + log 9) / 8 of the way; >= 0.5, and larger than b's, in half.
    """
    net = linear_net(3, 2)
    net.classifier, net.task = Steps(), "multiple"
    features = torch.tensor([-4.0, 4.0], dtype=torch.float64).reshape(2, 1, 1).expand(-1, 3, -1)
    rows = class_rows(net, Kept(features), ["x", "y"], members([(0, 1), (0,)]), list("ab"), CPU, 20_000).to_pylist()
    assert [(row["class_name"], row["n"]) for row in rows] == [("a", 2), ("b", 1)]
    assert rows[0]["kappa_01"] == pytest.approx((4 + math.log(9)) / 8, abs=0.01)
    assert rows[0]["kappa_05"] == pytest.approx(0.5, abs=0.01) and rows[0]["kappa_argmax"] == rows[0]["kappa_05"]
    assert {rows[1][name] for name in rows[1] if name.startswith(("kappa", "rho"))} == {None}, "b has one clip"


def test_the_released_pairing_is_a_column_of_its_own():
    """A large class whose first clip alone is on the other side: half of the way from it is of another class."""
    net = linear_net(3, 2)
    net.classifier, net.task = Steps(), "multiple"
    features = torch.full((2001, 1, 1), 4.0, dtype=torch.float64)
    features[0] = -4
    ids = [f"clip{number}" for number in range(2001)]
    (row,) = class_rows(net, Kept(features), ids, members([(0,)] * 2001), list("ab"), CPU).to_pylist()
    assert row["kappa_01_released"] == pytest.approx((4 + math.log(9)) / 8, abs=0.03) and row["kappa_01"] > 0.99


def test_of_a_larger_class_some_clips_are_interpolated_whatever_their_order(monkeypatch):
    ids = [f"clip{number}" for number in range(50)]
    assert some_of(np.arange(50), ids).tolist() == [*range(50)], "all, of no more than that"
    monkeypatch.setattr("avrobust.evaluation.geometry.MOST_CLIPS", 20)
    taken = some_of(np.arange(50), ids)
    assert len({*taken.tolist()}) == 20 and taken.tolist() == sorted(taken) != [*range(20)]
    backwards = some_of(np.arange(50), ids[::-1])
    assert {ids[place] for place in taken} == {ids[::-1][place] for place in backwards}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Call geometry.py on a shard; its rows."""

    def run(shard: Path) -> list[dict]:
        net = narrow_net(classes=len(CLASSES))
        state = {"model": net.state_dict(), "objective": {}}
        save_model(tmp_path / "model.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})
        told = {"model": tmp_path / "model.pt", "shards": shard, "view": json.dumps(VIEW), "device": "cpu"}
        told |= {"rows": tmp_path / "rows.parquet", "points": tmp_path / "points.parquet"}
        told |= {"key": json.dumps(KEY), "provenance": tmp_path / "rows.json", "pairs": 100}
        monkeypatch.setattr(sys, "argv", ["geometry.py", *(f"--{name}={value}" for name, value in told.items())])
        geometry.main()
        return pq.read_table(tmp_path / "rows.parquet").to_pylist()

    return run


def test_the_program_measures_training_clips_alone(tmp_path, measured):
    shard = write_shard(tmp_path / "0.arrow")
    rows = measured(shard)
    for name, schema in (("rows", CLASS_ROWS), ("points", CLIP_ROWS)):
        written = pq.read_schema(tmp_path / f"{name}.parquet")
        assert written.equals(schema)
        assert written.metadata == {name.encode(): str(value).encode() for name, value in KEY.items()}
    opened, net = Store([shard]), narrow_net(classes=len(CLASSES))
    views = EvaluationViews(opened, opened.indices("train"), VIEWS, ("audio", "visual"))
    batch = collate([views[place] for place in range(len(views))])
    inputs = inputs_of(batch, CPU)
    with torch.no_grad():
        fused = net.fusion({name: net.encode(name, x) for name, x in inputs.items()})
    for row in rows:
        own = fused[batch["label"] == row["label"]].numpy()
        assert (row["n"], row["dimensions"]) == (len(own), fused.shape[1])
        assert row["radius_max"] == pytest.approx(distances(own).max(), rel=1e-4)
    assert sum(row["n"] for row in rows) == len(views)
    assert measured(shard) == rows, "the same again"
    for split in ("val", "test"):
        assert measured(write_shard(tmp_path / split / "0.arrow", wrong=split)) == rows


def in_steps(folder: Path, labels: Sequence[tuple[int, ...]]) -> EvaluationViews:
    """Clips of a sound of six steps of four values each, as an extractor left them."""
    random = np.random.default_rng(5)
    form = {"extractor": "x", "weights": {}, "shapes": {"audio": (6, 4)}}
    with feature_store.writing(folder / "0.arrow", **form, classes="abc") as shard:
        for number, of_clip in enumerate(labels):
            values = {"audio": random.normal(size=(6, 4))}
            shard.add(ClipFeatures(f"clip{number}", ("train", "test")[number % 5 == 4], of_clip, values))
    view = Features("x")
    opened = view.opened([folder / "0.arrow"])
    return EvaluationViews(opened, opened.indices("train"), view, ("audio",), task="multiple")


class AsItIs(torch.nn.Identity):
    """Features as they come."""

    out_features = 4


def net_of_steps() -> LateFusion:
    """A net of one modality whose classifier gets steps."""
    return LateFusion({"audio": AsItIs()}, AudioOnly(4), Attention(4, 3, "multiple")).eval()


def test_means_are_held_and_steps_are_computed_for_whoever_asks(tmp_path):
    clips = in_steps(tmp_path, [(number % 3, 2) if number % 3 < 2 else () for number in range(25)])
    fused = FusedClips(net_of_steps(), clips, 8, 1, CPU)
    whole = np.stack([clips[place]["audio"] for place in range(20)]).astype(np.float32)
    assert fused.points.shape == (20, 4) and fused.points.dtype == np.float32
    np.testing.assert_allclose(fused.points, whole.mean(axis=1), atol=1e-6)
    assert np.array_equal(fused.features(np.array([3, 19, 0])), whole[[3, 19, 0]]), "in the order that is asked for"


def test_kappa_of_steps_is_of_whole_sequences(tmp_path):
    """Of two clips: the probability at every point of the way between both sequences, step by step."""
    clips, net = in_steps(tmp_path, [(0,), (1, 2), (0, 1)]), net_of_steps()
    net.task, several = "multiple", [(0,), (1, 2), (0, 1)]
    torch.nn.init.normal_(net.classifier.probability.weight, generator=torch.Generator().manual_seed(3))
    fused = FusedClips(net, clips, 8, 1, CPU)
    rows = class_rows(net, fused, list("xyz"), members(several), list("abc"), CPU, 4000).to_pylist()
    assert [row["n"] for row in rows] == [2, 2, 1], "a clip counts for every class that it has"
    for row, (one, other) in zip(rows, ((0, 2), (1, 2)), strict=False):
        first, second = (torch.from_numpy(fused.features(np.array([place]))) for place in (one, other))
        share = torch.linspace(0, 1, 2001).reshape(-1, 1, 1)
        with torch.no_grad():
            logits = net.classifier(share * first + (1 - share) * second)
        of_class = logits.sigmoid()[:, row["label"]]
        assert row["kappa_01"] == pytest.approx((of_class >= 0.1).float().mean().item(), abs=0.03)
        assert row["kappa_05"] == pytest.approx((of_class >= 0.5).float().mean().item(), abs=0.03)
        largest = (logits.argmax(dim=1) == row["label"]).float().mean().item()
        assert row["kappa_argmax"] == pytest.approx(largest, abs=0.03)


def test_shown_clips_have_their_points_and_distances_to_the_mean_of_all(tmp_path, monkeypatch):
    labels = [(0,), (1, 2), (0, 1), (2,), (0, 2)]
    points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    ids, of_classes = list("vwxyz"), members(labels)
    rows = clip_rows(points, ids, labels, of_classes, ["a", "b", "c"], ["c", "a"]).to_pylist()
    assert [row["class_name"] + row["clip_id"] for row in rows] == ["av", "ax", "az", "cw", "cy", "cz"]
    assert [row["labels"] for row in rows] == [[0], [0, 1], [0, 2], [1, 2], [2], [0, 2]]
    for row in rows:
        place = ids.index(row["clip_id"])
        mean = points[of_classes[row["label"]]].mean(axis=0)
        assert row["point"] == points[place].tolist()
        assert row["distance"] == pytest.approx(np.linalg.norm(points[place] - mean), rel=1e-6)
    monkeypatch.setattr("avrobust.evaluation.geometry.MOST_CLIPS", 2)
    some = clip_rows(points, ids, labels, of_classes, ["a", "b", "c"], ["a"]).to_pylist()
    assert len(some) == 2 and all(row in rows for row in some), "distances are to the mean of all, not of some"


# --- The mix-up that reads it

# The loss of clips of several classes.
SEVERAL = BinaryCrossEntropy({}, 5)
SETTING = Setting(CROSS_ENTROPY, CPU, seed=7, classes=5, inputs=FORMS, class_names=list("abcde"))
ROWS = [("a", 9.0, 0.1), ("b", 8.0, 0.4), ("c", 7.0, 0.9), ("d", 1.0, 0.2), ("e", 0.5, 0.3)]


def setting(folder: Path, rows: list = ROWS, kappa: str = "kappa_argmax", **changed: object) -> Setting:
    path = folder / "s1.parquet"
    columns = dict(zip(("class_name", "rho60", kappa), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table({**columns, "rho80": columns["rho60"][::-1]}), path)
    return replace(SETTING, geometry=path, **changed)


@pytest.mark.parametrize(
    ("options", "eligible"),
    [
        ({"density": 7.5}, {0, 1}), ({"density": 0.7}, {0, 1, 3}), ({"density": 0.1, "convexity": 0.35}, {0, 3, 4}),
        ({"densest": 0.4}, {0, 1}), ({"densest": 0.7}, {0, 1}), ({"densest": 0.8}, {0, 1, 3}),
        ({"densest": 0.2}, {0, 1}),  # a alone, so the median 7 is taken
        ({"density": 8.5}, {0, 1}),
        ({"density": 7.5, "convexity": 0.2}, set()),  # a alone, below and above the median
        ({"tau": 80, "density": 7.5}, {3, 4}),  # the same densities in the opposite order
    ],
)  # fmt: skip
def test_dense_classes_that_are_not_convex_are_eligible(tmp_path, options, eligible):
    assert SelectedMixup(setting(tmp_path), "AcV", **options).eligible == eligible


def test_a_class_without_a_density_is_not_eligible(tmp_path):
    rows = [("a", None, 0.1), ("b", 8.0, 0.4), ("c", 7.0, None), ("d", 6.0, 0.2), ("e", 0.5, 0.3)]
    assert SelectedMixup(setting(tmp_path, rows), "AcV", density=1.0).eligible == {1, 3}
    nothing = [(name, None, None) for name in "abcde"]
    assert SelectedMixup(setting(tmp_path, nothing), "AcV").eligible == set()


def test_pairs_are_of_two_eligible_classes_and_all_other_clips_stay(tmp_path):
    prepare, net = SelectedMixup(setting(tmp_path), "AcV", density=7.5, probability=1.0), narrow_net()
    whole = batch(torch.arange(8))  # classes 0 1 2 3 4 0 1 2
    plain, labels = Plain(SETTING)(net, whole, 1)
    inputs, targets = prepare(net, whole, 1)
    mixed = [place for place in range(8) if not torch.equal(inputs["audio"][place], plain["audio"][place])]
    assert mixed == [0, 1, 5, 6]
    assert prepare.facts() == {"eligible_classes": 2, "density": 7.5, "mixed_share": 0.5}
    for place in range(8):
        assert targets[place].sum().item() == pytest.approx(1)
        kept = targets[place].nonzero()[:, 0].tolist()
        assert kept == [0, 1] if place in mixed else kept == [labels[place]]
        if place in mixed:
            share = targets[place, labels[place]]
            way = (inputs["audio"][place] - share * plain["audio"][place]) / (1 - share)
            others = [other for other in mixed if labels[other] != labels[place]]
            assert any(torch.allclose(way, plain["audio"][other], atol=1e-4) for other in others)
            (other,) = (one for one in others if torch.allclose(way, plain["audio"][one], atol=1e-4))
            pixels = share * plain["visual"][place] + (1 - share) * plain["visual"][other]
            torch.testing.assert_close(inputs["visual"][place], pixels, rtol=1e-4, atol=1e-5)


def several(*labels: tuple[int, ...]) -> dict:
    """A batch of clips of these classes of five."""
    targets = torch.zeros(len(labels), 5)
    for place, of_clip in enumerate(labels):
        targets[place, list(of_clip)] = 1
    return {**batch(torch.arange(len(labels))), "label": targets}


def test_a_clip_of_several_classes_is_mixed_with_one_of_an_eligible_class_that_it_lacks(tmp_path):
    """Eligible are a, b and c: which clips of the batch can be mixed, and with which, by hand."""
    given = setting(tmp_path, [("a", 9.0, 0.1), ("b", 8.0, 0.4), ("c", 7.0, 0.2), ("d", 1.0, 0.2)], "kappa_01")
    whole = several((0, 3), (0,), (0, 1), (3, 4), (), (1,))
    partners = {0: {2, 5}, 1: {2, 5}, 2: set(), 3: set(), 4: set(), 5: {0, 1, 2}}
    prepare = SelectedMixup(replace(given, objective=SEVERAL), "csn", density=2.0, probability=1.0)
    assert prepare.eligible == {0, 1, 2}
    seen = {place: set() for place in partners}
    for epoch in range(40):
        inputs, targets = prepare(narrow_net(), whole, epoch)
        for place, allowed in partners.items():
            own, changed = whole["label"][place], targets[place] - whole["label"][place]
            if not allowed:
                assert torch.equal(targets[place], own) and torch.equal(inputs["audio"][place], whole["audio"][place])
                continue
            share = 1 - changed.abs().max()
            with_it = [
                other
                for other in allowed
                if torch.allclose(targets[place], share * own + (1 - share) * whole["label"][other], atol=1e-6)
            ]
            sound = {other: share * whole["audio"][place] + (1 - share) * whole["audio"][other] for other in with_it}
            (other,) = (one for one in with_it if torch.allclose(inputs["audio"][place], sound[one], atol=1e-5))
            seen[place].add(other)
    assert seen == partners
    assert prepare.facts()["mixed_share"] == pytest.approx(0.5)
    assert torch.isfinite(SEVERAL({}, torch.zeros(6, 5), targets)).all()


def test_the_kappa_that_selects_goes_by_the_task_or_by_its_name(tmp_path):
    for kappa, changed, options in (
        ("kappa_argmax", {}, {}),
        ("kappa_01", {"objective": SEVERAL}, {}),
        ("kappa_05", {"objective": SEVERAL}, {"kappa": "kappa_05"}),
        ("kappa_01_released", {}, {"kappa": "kappa_01_released"}),
    ):
        assert SelectedMixup(setting(tmp_path, ROWS, kappa, **changed), "csn", density=7.5, **options).eligible == {
            0,
            1,
        }


def test_a_density_that_too_few_classes_exceed_gives_way_to_their_median(tmp_path, caplog):
    caplog.set_level("INFO")
    prepare = SelectedMixup(setting(tmp_path), "csn", density=8.0)
    said = "fewer than two classes of csn are eligible; the median density, 7, is taken"
    assert said in caplog.text and prepare.density == 7 and prepare.eligible == {0, 1}


def test_half_of_all_clips_are_mixed_where_plain_mixup_is_told_so():
    """With the same partner and share as where all are mixed; the others stay as they are to the bit."""
    whole, (half, every) = batch(torch.arange(8)), (Mixup(SETTING, probability=one) for one in (0.5, 1.0))
    plain, mixed = Plain(SETTING)(narrow_net(), whole, 1)[0], []
    for epoch in range(100):
        (of_half, shares), (of_every, all_shares) = (one(narrow_net(), whole, epoch) for one in (half, every))
        for place in range(8):
            stays = torch.equal(of_half["audio"][place], plain["audio"][place])
            mixed.append(not stays)
            other = plain if stays else of_every
            assert torch.equal(of_half["visual"][place], other["visual"][place])
            assert torch.equal(
                shares[place], F.one_hot(whole["label"], 5)[place].float() if stays else all_shares[place]
            )
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.06)


def test_half_of_the_eligible_clips_are_mixed_and_shares_are_uniform(tmp_path):
    prepare, net, whole = SelectedMixup(setting(tmp_path), "AcV", density=7.5), narrow_net(), batch(torch.arange(8))
    targets = torch.cat([prepare(net, whole, epoch)[1][[0, 1, 5, 6]] for epoch in range(300)])
    assert prepare.facts()["mixed_share"] == pytest.approx(0.25, abs=0.02)
    own = targets[torch.arange(1200), torch.tensor([0, 1, 0, 1]).repeat(300)]
    own = own[own < 1]
    assert own.mean().item() == pytest.approx(0.5, abs=0.05) and own.var().item() == pytest.approx(1 / 12, rel=0.15)


def test_mixtures_do_not_depend_on_the_order_of_a_batch(tmp_path):
    prepare, net, order = SelectedMixup(setting(tmp_path), "AcV", density=7.5), narrow_net(), [5, 2, 7, 0, 1, 6, 4, 3]
    inputs, targets = prepare(net, batch(torch.arange(8)), 1)
    others, other_targets = prepare(net, batch(torch.tensor(order)), 1)
    assert torch.equal(targets[order], other_targets) and torch.equal(inputs["visual"][order], others["visual"])
    assert not torch.equal(prepare(net, batch(torch.tensor(order)), 2)[1], other_targets)


def test_where_no_two_classes_are_eligible_it_is_plain_mixup(tmp_path, caplog):
    caplog.set_level("INFO")
    prepare = SelectedMixup(setting(tmp_path), "AcV", convexity=0.0, probability=0.4, alpha=3.0)
    assert "fewer than two classes of AcV are eligible" in caplog.text
    plain, shares = Mixup(SETTING, 3.0, 0.4), []
    for epoch in range(50):
        made, wanted = (one(narrow_net(), batch(torch.arange(8)), epoch) for one in (prepare, plain))
        assert torch.equal(made[0]["audio"], wanted[0]["audio"]) and torch.equal(made[1], wanted[1])
        shares.append((made[1].amax(dim=1) < 1).double().mean().item())
    facts = prepare.facts()
    assert (facts["eligible_classes"], facts["density"]) == (0, 7)
    # The clips that are mixed with one of another class, and those of its own.
    assert np.mean(shares) <= facts["mixed_share"] == pytest.approx(0.4, abs=0.06)


def test_the_control_of_a_selection_mixes_as_many_clips_of_any_class(tmp_path):
    """Of eight clips four are of the eligible classes; in every batch the same number of them is mixed, of all."""
    given, net, whole = setting(tmp_path), narrow_net(), batch(torch.arange(8))
    selected, control = (of(given, "AcV", density=7.5) for of in (SelectedMixup, UnselectedMixup))
    plain, who, pairs = Plain(SETTING)(net, whole, 1)[0]["audio"], set(), set()
    for epoch in range(60):
        mixed = [
            {place for place in range(8) if not torch.equal(one(net, whole, epoch)[0]["audio"][place], plain[place])}
            for one in (selected, control)
        ]
        assert len(mixed[0]) == len(mixed[1]) and mixed[0] <= {0, 1, 5, 6}
        who |= mixed[1]
        chosen = control.chosen(whole["clip_id"], whole["label"], epoch)
        assert chosen.keys() == mixed[1]
        pairs |= {(place, partner) for place, (_, partner) in chosen.items()}
    assert who == set(range(8)) and all(place != partner for place, partner in pairs) and len(pairs) > 30
    assert selected.facts() == control.facts()
    order = [5, 2, 7, 0, 1, 6, 4, 3]
    (inputs, targets), (others, other_targets) = (control(net, batch(torch.tensor(o)), 3) for o in (range(8), order))
    assert torch.equal(targets[order], other_targets) and torch.equal(inputs["visual"][order], others["visual"])


def test_what_it_cannot_select_by_is_named(tmp_path):
    given = setting(tmp_path)
    for said, one, options in (
        ("no classes of AcV are given; add --geometry", SETTING, {}),
        ("tau is 60 or 80, not 70", given, {"tau": 70}),
        ("density is a number or quantile, not 'median'", given, {"density": "median"}),
        ("kappa is one of kappa_argmax, kappa_01, kappa_05, kappa_01_released, not 'n'", given, {"kappa": "n"}),
        (r"'a' is no class of these clips", replace(given, class_names=list("vwxyz")), {}),
    ):
        with pytest.raises(UserError, match=said):
            SelectedMixup(one, "AcV", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"probability": -0.1}, "probability must be from 0 to 1, not -0.1"),
        ({"probability": 2}, "probability must be from 0 to 1, not 2"),
        ({"probability": math.nan}, "probability must be from 0 to 1, not nan"),
        ({"alpha": 0}, "alpha must be a number above 0, not 0"),
        ({"alpha": math.inf}, "alpha must be a number above 0, not inf"),
        ({"densest": 1.5}, "densest must be a share of the classes, from 0 to 1, not 1.5"),
        ({"densest": 0.0}, "densest must be a share of the classes, from 0 to 1, not 0.0"),
    ],
)
def test_a_share_that_is_none_is_refused(tmp_path, options, said):
    with pytest.raises(UserError, match=said):
        SelectedMixup(setting(tmp_path), "AcV", **options)
    if "densest" not in options:
        with pytest.raises(UserError, match=said):
            Mixup(SETTING, **options)


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path):
    def trained(seed: int) -> dict:
        batches = TwoBatches(batch, seed=5)
        recipe = TrainingRecipe(3, 4, dict.fromkeys(("audio", "visual", "head"), 0.01))
        made = TrainingClips(batches, batches, [batch(torch.arange(8))], 8, 8)
        prepare = SelectedMixup(setting(tmp_path), "AcV", density=0.7, probability=0.8)
        place = (TASKS["single"], tmp_path / "resume.pt", "key", CPU)
        return loop.train(narrow_net(seed=seed), made, recipe, CROSS_ENTROPY, prepare, *place)

    whole = assert_goes_on(trained, tmp_path / "resume.pt")
    assert 0 < whole["history"][0]["mixed_share"] < 1
