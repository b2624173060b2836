"""Localisation: measures worked by hand, the choice of examples, and the programs from a net to a table."""

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import preloaded
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from artefacts import make
from hypothesis import given
from hypothesis import strategies as st
from nets import clips, narrow_spec
from PIL import Image
from tiny_store import VIEW, VIEWS

import localise
from avrobust.data import store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.store import PackedClip, Store
from avrobust.evaluation.attention import view_boxes
from avrobust.metrics import localisation
from avrobust.metrics.examples import MEASURES, Chosen, Example, read_examples
from avrobust.metrics.scores import Scores, write_scores
from avrobust.models.build import Part, build
from avrobust.models.files import load_model, save_model
from avrobust.program import UserError
from avrobust.report import localisation as localisation_table
from avrobust.report.localisation import ALL, COLUMNS, NO_BOX, markdown, measure
from avrobust.report.text import csv_of
from avrobust.spec import notation
from avrobust.spec.artefacts.localisation import layout
from avrobust.views.moment import Moment

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAN = (math.nan,) * 4


def boxes(*given_boxes: Sequence[float]) -> torch.Tensor:
    return torch.tensor(given_boxes, dtype=torch.float64)


# --- Boxes in the view


def test_box_of_a_wide_picture_by_hand():
    # 96 x 72 becomes 85 x 64, of which columns 10 to 73 are seen.
    found = localisation.box_in_view((0.5, 0.25, 0.6, 0.75), 96, 72, 64)
    assert found == pytest.approx(((42.5 - 10) / 64, 0.25, (51 - 10) / 64, 0.75))


def test_box_of_a_tall_picture_by_hand():
    # 72 x 96 at 72 stays; rows 12 to 83 are seen.
    found = localisation.box_in_view((0, 0.25, 1, 0.5), 72, 96, 72)
    assert found == pytest.approx((0, (24 - 12) / 72, 1, (48 - 12) / 72))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1)),
        ((0, 0, 0.1, 1), None),  # ends at column 8.5
        ((0.9, 0, 1, 1), None),  # starts at column 76.5
        ((0, 0, 0.2, 1), (0, 0, 7 / 64, 1)),
    ],
)
def test_box_is_clipped_to_the_view(box, expected):
    found = localisation.box_in_view(box, 96, 72, 64)
    assert found == (None if expected is None else pytest.approx(expected))
    # Of a tall picture the same, with rows for columns.
    turned = localisation.box_in_view((box[1], box[0], box[3], box[2]), 72, 96, 64)
    assert turned == (None if expected is None else pytest.approx((expected[1], expected[0], expected[3], expected[2])))


def packed(number: int, box: tuple | None, split: str = "test", classes: int = 3, size=(96, 72)) -> PackedClip:
    """A clip whose frames are black but for a white box; without one they are grey."""
    pixels = np.full((size[1], size[0], 3), 0 if box else 128, np.uint8)
    if box:
        x0, y0, x1, y1 = (round(part * side) for part, side in zip(box, 2 * size, strict=True))
        pixels[y0:y1, x0:x1] = 255
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=95, subsampling=0)
    audio = np.random.default_rng(number).integers(-(2**14), 2**14, 4096, np.int16)
    return PackedClip(
        f"clip{number:02}", split, (number % classes,), None, None, audio, [data.getvalue()] * 3, box, *size
    )


def write_shard(path: Path, clips: Sequence[PackedClip]) -> Path:
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        for one in clips:
            shard.add(one)
    return path


@pytest.mark.parametrize("size", [(96, 72), (72, 98), (150, 75)])
@pytest.mark.parametrize("side", [64, 72])
def test_box_is_where_the_evaluation_view_shows_it(tmp_path, size, side):
    opened = Store(
        [write_shard(tmp_path / "0.arrow", [packed(0, (0.25, 0.375, 0.5, 0.75), size=size), packed(1, None)])]
    )
    view = Moment(4096, side)
    found = view_boxes(EvaluationViews(opened, range(2), view, ()))
    assert found["clip01"] is None
    frame = view.evaluation(opened, 0, ["visual"])["visual"][0]
    columns, rows = (np.flatnonzero((frame > 127).any(axis=axis)) for axis in (0, 1))
    seen = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert [side * end for end in found["clip00"]] == pytest.approx(seen, abs=1.2)


# --- Measures


def test_the_peak_is_the_centre_of_a_position():
    maps = torch.zeros(3, 2, 4)
    maps[0, 0, 0], maps[1, 1, 2], maps[2, :, 3] = 1, 1, 1
    assert localisation.peaks(maps).tolist() == [[0.125, 0.25], [0.625, 0.75], [0.875, 0.25]]


@given(st.integers(0, 2**31), st.integers(2, 8), st.sampled_from([3, 5]))
def test_the_peak_is_that_of_the_drawn_map(seed, positions, factor):
    """By an odd factor a position's centre is a pixel's, so that the drawn map's greatest pixel tells the same."""
    maps = torch.rand(4, positions, positions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    size = positions * factor
    drawn = torch.nn.functional.interpolate(maps[:, None], size=(size, size), mode="bilinear")[:, 0]
    x, y = (localisation.peaks(maps) * size - 0.5).round().long().unbind(dim=1)
    torch.testing.assert_close(drawn[torch.arange(4), y, x], drawn.amax(dim=(1, 2)))


def test_pointing_by_hand():
    maps = torch.zeros(5, 2, 2)
    maps[:, 1, 0] = 1  # the peak is at (0.25, 0.75)
    tried = boxes((0, 0.5, 0.5, 1), (0.25, 0.75, 1, 1), (0, 0, 0.5, 0.75), (0.5, 0.5, 1, 1), NAN)
    assert localisation.pointing(maps, tried).tolist()[:4] == [1, 1, 0, 0]
    assert localisation.pointing(maps, tried)[4].isnan()


def test_a_position_is_in_a_box_by_its_centre():
    """Of a map of 2 x 4: the centres are at 1/8, 3/8, 5/8, 7/8 from the left and 1/4, 3/4 from above."""
    tried = boxes((0, 0, 1, 1), (0.3, 0, 0.7, 0.5), (0.375, 0.25, 0.625, 0.75), (0.13, 0, 0.37, 1), NAN)
    found = localisation.in_boxes(tried, 2, 4)
    assert found[0].tolist() == [[1] * 4] * 2
    assert found[1].tolist() == [[0, 1, 1, 0], [0] * 4]
    assert found[2].tolist() == [[0, 1, 0, 0], [0] * 4], "the lower end belongs to a box, the upper not"
    assert found[3].sum() == 0 and found[4].isnan().all()


def test_mass_by_hand():
    maps = torch.tensor([[[0.1, 0.2], [0.3, 0.4]]]).repeat(5, 1, 1)
    tried = boxes((0, 0, 0.5, 0.5), (0.5, 0, 1, 1), (0, 0, 1, 1), (0.3, 0.3, 0.7, 0.7), NAN)
    assert localisation.mass(maps, tried).tolist()[:4] == pytest.approx([0.1, 0.6, 1, 0])
    assert localisation.mass(7 * maps, tried).tolist()[:4] == pytest.approx([0.1, 0.6, 1, 0]), "a share, not a sum"
    assert localisation.mass(maps, tried)[4].isnan()


def test_a_right_pointer_has_all_and_an_even_map_what_chance_has():
    tried = boxes((0, 0, 0.5, 0.5), (0.25, 0.25, 1, 1), (0, 0, 1, 1))
    pointer = torch.zeros(3, 2, 2)
    pointer[:, 0, 0] = 1  # right in the first and the last clip
    assert localisation.mass(pointer, tried).tolist() == localisation.pointing(pointer, tried).tolist() == [1, 1, 1]
    pointer = pointer.flip(dims=(1, 2))
    assert localisation.mass(pointer, tried).tolist() == localisation.pointing(pointer, tried).tolist() == [0, 1, 1]
    even = torch.full((3, 2, 2), 0.25)
    assert localisation.mass(even, tried).tolist() == localisation.position_share(tried, 2, 2).tolist() == [0.25, 1, 1]


def test_the_floor_on_other_clips_boxes_by_hand():
    """The first clip looks where its own box and the third are, the second where none is, the third in both halves."""
    upper, lower = (0, 0, 1, 0.5), (0, 0.5, 1, 1)
    maps = torch.tensor([[[1.0, 0], [0, 0]], [[1, 0], [0, 0]], [[0.5, 0.25], [0.25, 0]], [[1, 0], [0, 0]]])
    everyone = boxes(upper, lower, upper, NAN)
    assert localisation.mass(maps, everyone).tolist()[:3] == [1, 0, 0.75]
    # Boxes of the first clip's others: lower, upper. Of the second's: upper twice. Of the third's: upper, lower.
    floor = localisation.on_other_boxes(maps, everyone, everyone)
    assert floor.tolist()[:3] == [0.5, 1, 0.5] and floor[3].isnan()
    assert localisation.on_other_boxes(localisation.peaked(maps), everyone, everyone).tolist()[:3] == [0.5, 1, 0.5]
    # Some of the clips at a time: the floor is that of them all.
    assert localisation.on_other_boxes(maps[1:2], everyone[1:2], everyone).tolist() == [1]
    assert localisation.on_other_boxes(maps[:1], everyone[:1], everyone[[0, 3]]).isnan(), "no other box"


def drawn_boxes(count: int, seed: int) -> torch.Tensor:
    """Boxes of a quarter to a half of the view a side, anywhere in it."""
    random = np.random.default_rng(seed)
    sides = random.uniform(0.25, 0.5, (count, 2))
    corners = random.uniform(size=(count, 2)) * (1 - sides)
    return torch.from_numpy(np.concatenate([corners, corners + sides], axis=1))


@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(2, 9))
def test_the_floor_is_the_mean_over_the_permutations_that_move_every_clip(seed, positions, count):
    everyone = drawn_boxes(count, seed)
    maps = torch.rand(count, positions, positions, generator=torch.Generator().manual_seed(seed))
    # The rotations of all clips by 1 to count - 1 places give each clip every other box once.
    turned = [localisation.mass(maps, everyone.roll(places, dims=0)) for places in range(1, count)]
    floor = localisation.on_other_boxes(maps, everyone, everyone)
    torch.testing.assert_close(floor, torch.stack(turned).mean(dim=0))
    # A net that does not look at its clip: on its own boxes it has what it has on the others'.
    same = maps[:1].expand_as(maps)
    own, floor = localisation.mass(same, everyone).mean(), localisation.on_other_boxes(same, everyone, everyone).mean()
    torch.testing.assert_close(own, floor)


@pytest.mark.parametrize("fusion", ["attended_concat", "scaled_attended_concat"])
@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_attention_cannot_win(fusion, seed):
    """Neither against its floor nor against a pointer that is right in every clip, or in six of ten.

    Its attention is not even: the encoder's padding makes it favour the centre, where most boxes are.
    """
    count = 60
    torch.manual_seed(seed)
    spec = narrow_spec(fusion, pooling="none", stride=8)
    net, inputs = build(spec, 5).eval(), clips(count, seed)
    with torch.no_grad():
        maps = net.fusion.attention({name: net.encode(name, inputs[name]) for name in net.modalities})
    everyone = drawn_boxes(count, seed)
    untrained = localisation.mass(maps, everyone).mean().item()
    floor = localisation.on_other_boxes(maps, everyone, everyone).mean().item()
    assert untrained == pytest.approx(floor, abs=0.05)

    centres = (everyone[:, :2] + everyone[:, 2:]) / 2
    x, y = (centres * maps.shape[1]).long().unbind(dim=1)
    right = torch.zeros_like(maps)
    right[torch.arange(count), y, x] = 1
    wrong = right.flip(dims=(1, 2))
    sometimes = torch.where((torch.arange(count) % 10 < 6)[:, None, None], right, wrong)
    for pointer, least in ((right, 1), (sometimes, 0.6)):
        for measured in (localisation.mass(pointer, everyone), localisation.pointing(pointer, everyone)):
            assert measured.mean() >= least > untrained + 0.2
        assert localisation.on_other_boxes(pointer, everyone, everyone).mean() < least - 0.2


@given(st.integers(0, 2**31), st.floats(0.1, 10))
def test_the_scale_of_a_map_does_not_matter(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(3, 4, 4, generator=generator, dtype=torch.float64)
    tried = boxes((0, 0, 0.5, 0.5), (0.2, 0.3, 0.9, 0.8), (0.4, 0, 1, 0.4))
    scaled = scale * maps
    torch.testing.assert_close(localisation.pointing(scaled, tried), localisation.pointing(maps, tried))
    torch.testing.assert_close(localisation.mass(scaled, tried), localisation.mass(maps, tried))
    torch.testing.assert_close(localisation.correlation(scaled, maps), torch.ones(3, dtype=torch.float64))


def test_chance_by_hand():
    tried = boxes((0, 0, 0.5, 0.5), (0.2, 0.25, 0.8, 1), (0, 0, 1, 1), NAN)
    assert localisation.position_share(tried, 4, 2).tolist()[:3] == pytest.approx([0.25, 0.75, 1])
    assert localisation.centre_pointing(tried).tolist()[:3] == [0, 1, 1]
    beside = boxes((0, 0, 0.5, 1), (0, 0, 1, 0.5), (0.51, 0, 1, 1), (0, 0.51, 1, 1))
    assert localisation.centre_pointing(beside).tolist() == [0, 0, 0, 0]
    assert localisation.position_share(tried, 4, 2)[3].isnan() and localisation.centre_pointing(tried)[3].isnan()


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.6, 0.9), (0, 0, 0.5, 0.25)])
def test_position_share_is_what_a_random_peak_points_to(box):
    maps = torch.eye(20).view(-1, 4, 5)  # a peak at every position
    pointing = localisation.pointing(maps, boxes(box).expand(len(maps), 4))
    assert pointing.mean() == localisation.position_share(boxes(box), 4, 5)


def test_peak_shift_by_hand():
    maps = torch.eye(4).view(4, 2, 2)  # upper left, upper right, lower left, lower right
    shifts = localisation.peak_shift(maps, maps[:1].expand(4, 2, 2))
    assert shifts.tolist() == pytest.approx([0, 0.5 / math.sqrt(2), 0.5 / math.sqrt(2), 0.5])


def test_correlation_agrees_with_numpy_and_knows_flat_maps():
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.rand(4, 3, 3, generator=generator) for _ in range(2))
    first[3] = 1 / 9
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first[:3], second, strict=False)]
    assert localisation.correlation(first, second).tolist() == pytest.approx([*expected, 0])
    assert localisation.correlation(second, first)[3] == 0
    peaked = torch.zeros(1, 3, 3)
    peaked[0, 1, 1] = 1
    assert localisation.correlation(peaked, peaked).tolist() == pytest.approx([1])
    # Rounding makes some of them longer than 1, which no correlation is.
    many = torch.rand(500, 4, 4, generator=generator)
    assert localisation.correlation(many, many).max() <= 1 and localisation.correlation(many, -many).min() >= -1


# --- The choice of examples


def example(clip_id: str, label: str = "cello") -> Example:
    nothing = np.zeros((1, 1, 1), np.float32)
    return Example(clip_id, label, (label,), nothing, nothing, nothing, {})


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        # clip id -> recognised clean, fooled by the attack on both
        ({"a": (True, False), "b": (True, True), "c": (True, True), "d": (False, True)}, "b"),
        ({"a": (False, True), "b": (True, False), "c": (True, False)}, "b"),
        ({"b": (False, True), "a": (False, True), "c": (False, False)}, "a"),
    ],
)
def test_the_example_is_the_first_that_shows_most_in_any_order(offered, expected):
    for order in permutations(offered):
        chosen = Chosen(("cello", "tuba"))
        for clip_id in order:
            if chosen.wants(clip_id, "cello", *offered[clip_id]):
                chosen.keep(example(clip_id), *offered[clip_id])
        assert [one.clip_id for one in chosen.examples()] == [expected]


def test_classes_that_are_not_asked_for_are_not_kept():
    chosen = Chosen(("cello",))
    assert not chosen.wants("a", "tuba", True, True)
    assert chosen.wants("a", "cello", False, False)
    assert chosen.examples() == ()


# --- The program

CLASSES = ["cello", "tuba", "flute"]
CONDITIONS = [["audio", "small"], ["visual", "small"], ["both", "small"]]
BUDGETS = {"small": {name: {"norm": "linf", "epsilon": 0.05} for name in ("audio", "visual")}}
KEY = {"dataset": "music", "variant": "attended_concat", "seed": 3, "attack": "fgsm"}


def program(name: str, *arguments: object) -> subprocess.CompletedProcess:
    return preloaded.program([SCRIPTS / name, *arguments])


def write_model(path: Path, fusion: str = "attended_concat") -> Path:
    """A model whose best and latest weights are two nets."""
    pooling = "none" if fusion == "attended_concat" else "average"
    spec = narrow_spec(fusion, 0.0625, pooling=pooling, stride=8)
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = build(spec, len(CLASSES))
        torch.nn.init.normal_(net.classifier.weight)
        states.append({"model": net.state_dict(), "objective": {}})
    save_model(path, spec, Part("cross_entropy"), CLASSES, *states, {})
    return path


def write_data(path: Path) -> Path:
    """Eight test clips, of which six have a box, in an order that is not that of their names."""
    some = [packed(n, None if n < 2 else (0.2 + n / 20, 0.3, 0.5 + n / 20, 0.8)) for n in (5, 1, 7, 0, 3, 2, 6, 4)]
    return write_shard(path, [*some, packed(8, (0, 0, 1, 1), split="train")])


def arguments(folder: Path, model: Path, shard: Path, batch: int = 3) -> list[str]:
    given_json = {
        "attack-spec": {"update": "fgsm"},
        "conditions": CONDITIONS,
        "key": KEY,
        "view": VIEW,
        "budgets": BUDGETS,
    }
    sizes = {"batch-size": batch, "device": "cpu"}
    files = {"model": model, "shards": shard} | {name: folder / file for name, file in OUTPUTS.items()}
    plain = [f"--{name}={value}" for name, value in (sizes | files).items()]
    return [*plain, *(f"--{name}={json.dumps(value)}" for name, value in given_json.items()), *EXAMPLE_CLASSES]


EXAMPLE_CLASSES = ["--example-classes", "tuba", "cello", "harp"]
OUTPUTS = {"scores": "scores.parquet", "kept": "examples.npz", "provenance": "provenance.json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("localise")
    done = program("localise.py", *arguments(folder, write_model(folder / "model.pt"), write_data(folder / "0.arrow")))
    assert done.returncode == 0, done.stderr
    assert "no clip to show of harp" in done.stderr
    return folder


def test_scores_of_every_clip_and_condition(made):
    rows = pq.read_table(made / "scores.parquet").to_pandas()
    counts = rows.groupby(["measure", "modality"]).size()
    assert {*rows.measure} == {one.name for one in (*localisation_table.MEASURES, *localisation_table.CHANCE)}
    conditions = ["audio", "both", "clean", "visual"]
    assert counts["recognised"].to_dict() == dict.fromkeys(conditions, 8)
    of_boxes = [f"{name}{part}" for name in ("pointing", "mass") for part in ("", "_other_boxes", "_above_floor")]
    for name in of_boxes:
        assert counts[name].to_dict() == dict.fromkeys(conditions, 6), "two clips have no box"
    for name in ("peak_shift", "correlation"):
        assert counts[name].to_dict() == dict.fromkeys(["audio", "both", "visual"], 8)
    for name in ("position_share", "centre_pointing"):
        assert counts[name].to_dict() == {"clean": 6}
    assert not rows.value.isna().any()
    signed = rows.measure.isin(["correlation", "pointing_above_floor", "mass_above_floor"])
    assert rows[~signed].value.between(0, 1).all() and rows[signed].value.between(-1, 1).all()


@pytest.mark.parametrize("state", ["best", "latest"])
def test_scores_are_the_nets_own(made, tmp_path, monkeypatch, state):
    """Of the weights that are asked for; the best ones if none are."""
    scores = made / OUTPUTS["scores"]
    if state == "latest":
        given_arguments = arguments(tmp_path, made / "model.pt", made / "0.arrow")
        monkeypatch.setattr(sys, "argv", ["localise.py", "--model-state", "latest", *given_arguments])
        localise.main()
        scores = tmp_path / OUTPUTS["scores"]
        assert scores.read_bytes() != (made / OUTPUTS["scores"]).read_bytes()
        assert json.loads((tmp_path / OUTPUTS["provenance"]).read_text())["model_state"] == "latest"
    trained = load_model(made / "model.pt", state, torch.device("cpu"))
    opened = Store([made / "0.arrow"])
    views = EvaluationViews(opened, opened.indices("test"), VIEWS, trained.model.modalities)
    batch = collate([views[position] for position in range(len(views))])
    inputs = inputs_of(batch, torch.device("cpu"))
    with torch.no_grad():
        features = {name: trained.model.encode(name, inputs[name]) for name in inputs}
        maps, answers = trained.model.fusion.attention(features), trained.model.head(features).argmax(1)
    rows = pq.read_table(scores).to_pandas().set_index(["measure", "modality", "clip_id"]).value
    found = view_boxes(views)
    known = boxes(*filter(None, found.values()))
    for clip_id, map_, answer, label in zip(batch["clip_id"], maps, answers, batch["label"], strict=True):
        assert rows["recognised", "clean", clip_id] == (answer == label)
        if found[clip_id]:
            box = boxes(found[clip_id])
            one, peak = map_[None], localisation.peaked(map_[None])
            for name, expected in (
                ("mass", localisation.mass(one, box)),
                ("mass_other_boxes", localisation.on_other_boxes(one, box, known)),
                ("pointing", localisation.mass(peak, box)),
                ("pointing_other_boxes", localisation.on_other_boxes(peak, box, known)),
                ("pointing_above_floor", localisation.mass(peak, box) - localisation.on_other_boxes(peak, box, known)),
                ("mass_above_floor", localisation.mass(one, box) - localisation.on_other_boxes(one, box, known)),
                ("position_share", localisation.position_share(box, 4, 4)),
            ):
                assert rows[name, "clean", clip_id] == pytest.approx(expected.item(), abs=1e-6), name


def test_scores_of_attacked_clips_are_of_what_the_net_then_looks_at(made):
    """FGSM on the sound by hand, and the attention of what it makes."""
    trained = load_model(made / "model.pt", "best", torch.device("cpu"))
    opened = Store([made / "0.arrow"])
    views = EvaluationViews(opened, opened.indices("test"), VIEWS, trained.model.modalities)
    batch = collate([views[position] for position in range(len(views))])
    inputs = inputs_of(batch, torch.device("cpu"))
    sound = inputs["audio"].clone().requires_grad_()
    torch.nn.functional.cross_entropy(trained.model({**inputs, "audio": sound}), batch["label"]).backward()
    attacked = {**inputs, "audio": (inputs["audio"] + 0.05 * sound.grad.sign()).clamp(-1, 1)}
    with torch.no_grad():
        clean, maps = (
            trained.model.fusion.attention({name: trained.model.encode(name, given[name]) for name in given})
            for given in (inputs, attacked)
        )
        answers = trained.model(attacked).argmax(dim=1)
    rows = pq.read_table(made / "scores.parquet").to_pandas().set_index(["measure", "modality", "clip_id"]).value
    found = view_boxes(views)
    known = torch.tensor([found[clip_id] or NAN for clip_id in batch["clip_id"]], dtype=torch.float64)
    mass = localisation.mass(maps, known)
    assert (mass - localisation.mass(clean, known)).abs().nan_to_num().max() > 5e-5, "this attack shows nothing"
    for name, expected in (
        ("recognised", (answers == batch["label"]).double()),
        ("mass", mass),
        ("mass_other_boxes", localisation.on_other_boxes(maps, known, known)),
        ("pointing", localisation.pointing(maps, known)),
        ("correlation", localisation.correlation(maps, clean)),
    ):
        for clip_id, value in zip(batch["clip_id"], expected.tolist(), strict=True):
            if not math.isnan(value):
                assert rows[name, "audio", clip_id] == pytest.approx(value, abs=1e-5), name


def test_examples_hold_what_the_net_saw(made):
    found = read_examples(made / "examples.npz")
    assert (found.dataset, found.variant, found.seed, found.attack) == ("music", "attended_concat", 3, "fgsm")
    assert found.modalities == ("clean", "audio", "visual", "both")
    assert found.budgets == ("", "small", "small", "small")
    assert [one.label for one in found.examples] == ["tuba", "cello"]
    rows = pq.read_table(made / "scores.parquet").to_pandas().set_index(["measure", "modality", "clip_id"]).value
    opened = Store([made / "0.arrow"])
    for one in found.examples:
        assert one.maps.shape == (4, 4, 4) and one.maps.dtype == np.float32
        assert one.maps.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)
        assert one.frames.shape == (4, 32, 32, 3) and one.frames.dtype == np.uint8
        index = opened.clip_ids.index(one.clip_id)
        assert (one.frames[0] == VIEWS.evaluation(opened, index, ["visual"])["visual"].transpose(1, 2, 0)).all()
        same = [(one.frames[0] == frame).all() for frame in one.frames]
        assert same == [True, True, False, False], "only the last two conditions attack the frame"
        for name in MEASURES:
            for place, modality in enumerate(found.modalities):
                value = rows.get((name, modality, one.clip_id), math.nan)
                np.testing.assert_equal(one.measures[name][place], value)
        for place, modality in enumerate(found.modalities):
            assert rows["recognised", modality, one.clip_id] == (one.predictions[place] == one.label)


def test_examples_follow_the_rule(made):
    rows = pq.read_table(made / "scores.parquet").to_pandas()
    right = rows[rows.measure == "recognised"].pivot(index=["label", "clip_id"], columns="modality", values="value")
    for one in read_examples(made / "examples.npz").examples:
        clips = right.loc[CLASSES.index(one.label)].sort_index()
        best = clips[(clips.clean == 1) & (clips.both == 0)]
        best = best if len(best) else clips[clips.clean == 1]
        best = best if len(best) else clips
        assert one.clip_id == best.index[0]


def test_equal_inputs_give_equal_bytes_and_batches_do_not_matter(made, tmp_path, monkeypatch):
    for folder, batch in ((tmp_path / "again", 3), (tmp_path / "one", 1)):
        given_arguments = arguments(folder, made / "model.pt", made / "0.arrow", batch)
        monkeypatch.setattr(sys, "argv", ["localise.py", *given_arguments])
        localise.main()
    for name in ("scores", "kept"):
        assert (tmp_path / "again" / OUTPUTS[name]).read_bytes() == (made / OUTPUTS[name]).read_bytes()
    first, other = (read_examples(folder / OUTPUTS["kept"]) for folder in (made, tmp_path / "one"))
    assert [one.clip_id for one in first.examples] == [one.clip_id for one in other.examples]
    with np.load(made / OUTPUTS["kept"], allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in arrays.values()} <= set("Ufiu")


def test_a_net_without_attention_is_refused(tmp_path, monkeypatch):
    plain, shard = write_model(tmp_path / "plain.pt", "concat"), write_data(tmp_path / "0.arrow")
    monkeypatch.setattr(sys, "argv", ["localise.py", *arguments(tmp_path, plain, shard)])
    with pytest.raises(UserError, match=r"plain\.pt: the net has no attention to look at"):
        localise.main()
    assert not (tmp_path / OUTPUTS["scores"]).exists()


@pytest.mark.parametrize("content", [b"", b"PK no zip", None])
def test_damaged_examples_are_named(tmp_path, content, made):
    path = tmp_path / "examples.npz"
    path.write_bytes((made / "examples.npz").read_bytes()[:-40] if content is None else content)
    with pytest.raises(UserError, match=r"examples\.npz: holds no whole set of examples"):
        read_examples(path)


# --- The table

ROW = {"dataset": "music", "variant": "attended_concat", "attack": "fgsm"}
SPEC = {
    "title": "Localisation",
    "caption": "By hand.",
    "rows": [ROW],
    "budgets": ["small"],
    "strengths": {"small": "0.006"},
    "sources": {"music": "render"},
}
# measure -> condition -> seed -> values of the clips
BY_HAND = {
    "recognised": {"clean": ([1, 1, 1, 1], [1, 1, 1, 0]), "both": ([0, 0, 0, 0], [0, 0, 0, 0])},
    "pointing": {"clean": ([1, 0], [1, 1]), "both": ([0, 0], [1, 0])},
    "pointing_other_boxes": {"clean": ([0.5, 0.5], [0.0, 0.5]), "both": ([0.5, 0.5], [0.5, 0.5])},
    "mass": {"clean": ([0.6, 0.4], [0.5, 0.3]), "both": ([0.2, 0.0], [0.1, 0.1])},
    "mass_other_boxes": {"clean": ([0.2, 0.1], [0.3, 0.2]), "both": ([0.2, 0.2], [0.2, 0.2])},
    "pointing_above_floor": {"clean": ([0.5, -0.5], [1.0, 0.5]), "both": ([-0.5, -0.5], [0.5, -0.5])},
    "mass_above_floor": {"clean": ([0.4, 0.3], [0.2, 0.1]), "both": ([0.0, -0.2], [-0.1, -0.1])},
    "position_share": {"clean": ([0.25, 0.35], [0.25, 0.35])},
    "centre_pointing": {"clean": ([1, 0], [1, 0])},
    "peak_shift": {"both": ([0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0])},
    "correlation": {"both": ([1, 0.5, 0, -0.5], [1, 1, 1, 1])},
}


def write_by_hand(folder: Path, measures: dict, dataset: str = "music") -> list[Path]:
    paths = []
    for seed in (0, 1):
        columns = {name: [] for name in ("clip_id", "label", "modality", "budget", "measure", "value")}
        for name, conditions in measures.items():
            for condition, values in conditions.items():
                # What is by hand for `both` is so for each modality.
                for modality in ("audio", "visual", "both") if condition == "both" else ("clean",):
                    for number, value in enumerate(values[seed]):
                        budget = "" if modality == "clean" else "small"
                        for key, entry in zip(columns, (f"c{number}", 0, modality, budget, name, value), strict=True):
                            columns[key].append(entry)
        paths.append(folder / f"{dataset}{seed}.parquet")
        write_scores(paths[-1], {**ROW, "dataset": dataset, "seed": seed}, columns)
    return paths


def test_table_by_hand(tmp_path):
    entries = measure(layout(SPEC), Scores(write_by_hand(tmp_path, BY_HAND)))
    numbers = ["value", "low", "high"]
    entries = [*entries.assign(**entries[numbers].astype(float)).itertuples()]
    values = {(entry.condition, entry.measure): entry.value for entry in entries}
    assert {name: values["clean", name] for name in BY_HAND if ("clean", name) in values} == {
        "recognised": 87.5,
        "pointing": 75,
        "pointing_other_boxes": 37.5,
        "mass": 45,
        "mass_other_boxes": 20,
        "pointing_above_floor": 37.5,
        "mass_above_floor": 25,
        "position_share": 30,
        "centre_pointing": 50,
    }
    attacked = {"recognised": 0, "pointing": 25, "pointing_other_boxes": 50, "mass": 10, "mass_other_boxes": 20}
    attacked |= {"pointing_above_floor": -25, "mass_above_floor": -10}
    attacked |= {"peak_shift": 12.5, "correlation": 0.625}
    for modality in ("audio", "visual", "both"):
        assert {name: values[modality, name] for name in attacked} == attacked
    assert len(entries) == 7 + 2 + 3 * 9
    nothing = next(entry for entry in entries if (entry.condition, entry.measure) == ("both", "recognised"))
    assert (nothing.low, nothing.high) == (0, 60.24), "0 of 4 clips: (1 - p) ** 4 is 2.5 % there"
    assert {entry.n for entry in entries if ALL[entry.measure].needs_box} == {2}
    assert {(entry.n, entry.seeds) for entry in entries if not ALL[entry.measure].needs_box} == {(4, 2)}
    assert all(entry.low <= entry.value <= entry.high for entry in entries)


def test_without_boxes_the_rows_say_so(tmp_path):
    names = ("recognised", "peak_shift", "correlation")
    table = layout(SPEC)
    entries = measure(table, Scores(write_by_hand(tmp_path, {name: BY_HAND[name] for name in names})))
    entries = entries.assign(scale="paper")
    lines = list(csv.DictReader(io.StringIO(csv_of(entries[[*COLUMNS]]))))
    assert {line["measure"] for line in lines if line["value"]} == set(names)
    assert {(line["value"], line["low"], line["n"]) for line in lines if line["note"]} == {("", "", "0")}
    assert {line["note"] for line in lines if not line["value"]} == {NO_BOX}
    text = markdown(table, entries)
    assert "| clean |  | 87.50 [" in text and "| — | — | — | — |" in text
    assert "chance" not in text and text.endswith("—: no box of what sounds is known in music.\n")


def test_program_writes_table_and_text(tmp_path):
    scores = write_by_hand(tmp_path, BY_HAND)
    done = make("localisation", SPEC, tmp_path / "t", scores=scores)
    assert done.returncode == 0, done.stderr
    lines = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert list(lines[0].values())[:8] == [
        "music",
        "attended_concat",
        "fgsm",
        "clean",
        "0",
        "recognised",
        "percent",
        "87.50",
    ]
    assert {line["scale"] + line["source"] for line in lines} == {"demorender"}
    assert [line["value"] for line in lines if line["measure"] == "correlation"] == ["0.625"] * 3
    text = (tmp_path / "t.md").read_text()
    assert "Not the paper's data" in text and "music: n = 4 clips, 2 with a box, 2 seeds." in text
    chance = [line for line in text.splitlines() if "chance" in line]
    assert len(chance) == 2
    assert "chance: an even map" in chance[0] and chance[0].count("| 30.00 [") == 2, "of pointing and of attention"
    assert "chance: the centre" in chance[1] and chance[1].count("| 50.00 [") == 1
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {5 + 7 + 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [ROW, ROW]}, "two rows are the same"),
        ({"rows": [{"dataset": "music"}]}, "row 1: attack, variant must be given"),
        ({"colour": 1}, "unknown colour"),
    ],
)
def test_mistakes_in_the_layout_are_named(change, message):
    with pytest.raises(UserError, match=message):
        layout({**SPEC, **change})


def test_claims_read_what_is_measured():
    """A claim on a score that nobody measures would be undecided for ever."""
    told = yaml.safe_load((SCRIPTS.parent / "workflow/papers/tian2021/claims.yaml").read_text())["claims"]
    tests = [test for claim in told for test in notation.comparisons(claim["tests"])]
    sides = [side for test in tests for side in test.values() if isinstance(side, dict) and "score" in side]
    read = {side["score"] for side in sides if side["variant"] == "localisation"}
    assert read == {
        "pointing", "centre_pointing", "pointing_other_boxes", "pointing_above_floor",
        "mass", "mass_other_boxes", "mass_above_floor", "correlation",
    }  # fmt: skip
    assert read <= {one.name for one in (*localisation_table.MEASURES, *localisation_table.CHANCE)}


def test_missing_scores_are_an_error(tmp_path):
    found = Scores(write_by_hand(tmp_path, BY_HAND))
    with pytest.raises(UserError, match=r"no scores of ave/attended_concat/fgsm"):
        measure(layout({**SPEC, "rows": [{**ROW, "dataset": "ave"}]}), found)
    with pytest.raises(UserError, match=r"audio at half was not measured"):
        measure(layout({**SPEC, "budgets": ["half"]}), found)
