"""Features in shards: what is written is read again as float16, from anywhere, and changed bytes are named."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_store import clip, flipped
from test_store import write as write_clips

from avrobust.data.batches import EvaluationViews, TrainingViews, collate, inputs_of
from avrobust.data.feature_store import ClipFeatures, FeatureStore, writing
from avrobust.data.store import Store
from avrobust.program import UserError
from avrobust.views.features import Features

CLASSES = ("siren", "pig", "rain")
SHAPES = {"audio": (6, 4), "visual": (2, 5)}


def made(number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    return {name: random.normal(scale=20, size=shape) for name, shape in SHAPES.items()}


def write(path: Path, numbers: range, extractor: str = "log_mel", shapes: dict = SHAPES) -> Path:
    with writing(path, extractor=extractor, weights={}, shapes=shapes, classes=CLASSES) as shard:
        for number in numbers:
            features = {name: made(number)[name] for name in shapes}
            shard.add(ClipFeatures(f"clip{number}", ("train", "test")[number % 2], (number % 3,), features))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "0.arrow", range(40)), write(tmp_path / "1.arrow", range(40, 43))]


def test_what_is_written_is_read_in_any_order_as_float16(shards: list[Path]) -> None:
    store = FeatureStore(shards)
    assert len(store) == 43 and store.classes == CLASSES
    assert (store.extractor, store.shapes) == ("log_mel", SHAPES)
    assert store.labels[7] == (1,) and store.indices("test").tolist() == list(range(1, 43, 2))
    for i in np.random.default_rng(0).permutation(43).tolist():
        for name in SHAPES:
            assert np.array_equal(store.features(i, name), made(i)[name].astype(np.float16))
    read = store.features(3, "audio")
    assert read.dtype == np.float16 and not read.flags.owndata and not read.flags.writeable
    with pytest.raises(IndexError):
        store.features(43, "audio")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(0, 40))
def test_any_shape(tmp_path_factory: pytest.TempPathFactory, shape: list[int], count: int) -> None:
    values = [np.full(shape, number / 4) for number in range(count)]
    path = tmp_path_factory.mktemp("features") / "0.arrow"
    with writing(path, extractor="x", weights={}, shapes={"visual": shape}, classes=CLASSES) as shard:
        for number, value in enumerate(values):
            shard.add(ClipFeatures(str(number), "train", (0,), {"visual": value}))
    store = FeatureStore([path])
    assert [store.features(i, "visual").tolist() for i in range(count)] == [value.tolist() for value in values]


def test_a_view_of_features_is_what_they_are(shards: list[Path]) -> None:
    """No bounds, nothing random, float32 for the net."""
    view = Features("log_mel")
    store = view.opened(shards)
    indices = store.indices("train")
    judged = EvaluationViews(store, indices, view, ("audio", "visual"))
    learnt = TrainingViews(store, indices, view, ("audio", "visual"), seed=1)
    inputs = inputs_of(collate([judged[0], learnt[5, 3]]), torch.device("cpu"))
    for name, form in view.inputs(store).items():
        wanted = np.stack([made(number)[name] for number in (0, 6)]).astype(np.float16)
        assert inputs[name].dtype == torch.float32 and torch.equal(inputs[name], torch.from_numpy(wanted).float())
        assert (form.shape, form.dtype, form.low, form.high) == (SHAPES[name], "float16", -np.inf, np.inf)
    assert "visual" not in EvaluationViews(store, indices, view, ("audio",))[0]
    # 24 and 10 values of two bytes.
    assert (judged.bytes_per_item, EvaluationViews(store, indices, view, ["audio"]).bytes_per_item) == (68, 48)


def test_another_process_reads_the_same(shards: list[Path]) -> None:
    store = FeatureStore(shards)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).features(41, 'audio').astype('f8').sum())"
    path = {"PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(store), capture_output=True, env=path)
    assert float(run.stdout) == made(41)["audio"].astype(np.float16).astype(np.float64).sum()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (made(7)["audio"].astype(np.float16).tobytes(), "audio features of clip7 has changed"),
        (made(7)["visual"].astype(np.float16).tobytes(), "visual features of clip7 has changed"),
        (b"clip7", "what it says of a clip has changed"),
    ],
)
def test_a_flipped_bit_is_named_with_what_to_do(tmp_path: Path, part: bytes, said: str) -> None:
    path = write(tmp_path / "whole.arrow", range(10))
    damaged = flipped(path, path.read_bytes().index(part) + 3)
    with pytest.raises(UserError, match=re.escape(f"{damaged}: the shard is damaged, {said}")):
        read_all(damaged)
    if "features" in said:
        assert FeatureStore([damaged]).features(6, "audio").shape == SHAPES["audio"]


def read_all(path: Path) -> list:
    store = FeatureStore([path])
    return [
        (store.clip_ids[i], store.splits[i], store.labels[i], *(store.features(i, name).tobytes() for name in SHAPES))
        for i in range(len(store))
    ]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_bit_flips_either_nothing_has_changed_or_the_shard_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "features.arrow", range(3))
    end = path.read_bytes().rindex(b"\xff\xff\xff\xff\0\0\0\0")
    damaged = flipped(path, data.draw(st.integers(0, end - 1)), data.draw(st.integers(0, 7)))
    try:
        assert read_all(damaged) == read_all(path)
    except UserError as error:
        assert str(damaged) in str(error) and "\n" not in str(error)


def test_shards_that_do_not_fit_are_named(shards: list[Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other.arrow", range(50, 52), extractor="r2plus1d")
    with pytest.raises(UserError, match=r"0\.arrow and .*other\.arrow are shards of different extractors"):
        FeatureStore([*shards, other])
    one = write(tmp_path / "one.arrow", range(50, 52), shapes={"audio": (6, 4)})
    with pytest.raises(UserError, match=r"0\.arrow and .*one\.arrow are shards of different shapes"):
        FeatureStore([*shards, one])
    with pytest.raises(UserError, match=r"0\.arrow: features of log_mel, not of r2plus1d"):
        Features("r2plus1d").opened(shards)
    packed = write_clips(tmp_path / "packed.arrow", [clip(0)])
    with pytest.raises(UserError, match=r"packed\.arrow: an Arrow file, but not of features: it has no 'shapes'"):
        FeatureStore([packed])
    with pytest.raises(UserError, match=r"0\.arrow: an Arrow file, but not of packed clips"):
        Store(shards)


@pytest.mark.parametrize(
    "features",
    [{"audio": np.zeros((6, 4))}, made(0) | {"audio": np.zeros((4, 6))}, made(0) | {"visual": np.full((2, 5), 7e4)}],
    ids=["missing", "shape", "beyond float16"],
)
def test_features_that_cannot_be_stored_are_refused_and_leave_nothing(tmp_path: Path, features: dict) -> None:
    with (
        pytest.raises(ValueError, match="clip1: "),
        writing(tmp_path / "0.arrow", extractor="x", weights={}, shapes=SHAPES, classes=CLASSES) as shard,
    ):
        shard.add(ClipFeatures("clip0", "train", (0,), made(0)))
        shard.add(ClipFeatures("clip1", "train", (0,), features))
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    """3,000 clips of 41 kB are 122 MB; to write them takes at most 40 MB more than to write 300."""
    program = """
import resource, sys
import numpy as np
from avrobust.data.feature_store import ClipFeatures, FeatureStore, writing
count, path = int(sys.argv[1]), sys.argv[2]
values = np.zeros((400, 51))
with writing(path, extractor="x", weights={}, shapes={"audio": values.shape}, classes=["a"]) as shard:
    for number in range(count):
        shard.add(ClipFeatures(str(number), "train", (0,), {"audio": values}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    peaks = [
        float(subprocess.run([sys.executable, "-c", program, str(count), str(tmp_path / f"{count}.arrow")],
                             capture_output=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}).stdout)
        for count in (300, 3000)
    ]  # fmt: skip
    assert peaks[1] - peaks[0] < 40
