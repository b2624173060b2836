"""Files from elsewhere: what they are is said by name, and no library's advice is passed on."""

import gzip
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from nets import narrow_net, narrow_spec
from torch import Tensor

from avrobust.data.store import Store
from avrobust.foreign import UNKNOWN, kind
from avrobust.metrics.examples import read_examples
from avrobust.metrics.rows import read_cells
from avrobust.metrics.scores import Scores
from avrobust.models.build import Part
from avrobust.models.encoders.resnet18 import ResNet18
from avrobust.models.files import load_model, read_tensors, save_model, write_tensors
from avrobust.models.weights import load_weights
from avrobust.program import UserError
from avrobust.report.tsne import Embeddings

CPU = torch.device("cpu")
PAGE = b"\n<!-- 2024 -->\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n"


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "weights")


def cut(path: Path) -> None:
    torch.save({"weight": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:300])


def scripted(path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)).save(str(path))


class Trap:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("trap"),)


# What a file is made of, and the words for it.
FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "page": (lambda path: path.write_bytes(PAGE), "a web page (HTML)"),
    "marked page": (lambda path: path.write_bytes(b"\xef\xbb\xbf<HTML lang=en>"), "a web page (HTML)"),
    "pointer": (lambda path: path.write_bytes(POINTER), "`git lfs pull`"),
    "annex": (lambda path: path.write_text("/annex/objects/MD5E-s1--1.pt\n"), "`git annex get`"),
    "nothing": (lambda path: path.touch(), "empty"),
    "text": (lambda path: path.write_text("Quota exceeded\nfor this file"), "begins 'Quota exceeded for this file'"),
    "zip": (zipped, "a zip archive"),
    "cut zip": (cut, "cut short or damaged"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x")), "a gzip file"),
    "array": (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), "numpy"),
    "safetensors": (lambda path: path.write_bytes((20).to_bytes(8, "little") + b'{"a":{}}'), "safetensors"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "none of the kinds"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"model": Trap()}, protocol=2)), "more than tensors"),
    "script": (scripted, "a TorchScript program"),
    "torch with code": (lambda path: torch.save({"model": Trap()}, path), "more than tensors"),
}

READERS: dict[str, Callable[[Path], object]] = {
    "model": lambda path: load_model(path, "best", CPU),
    "weights": lambda path: load_weights(ResNet18(0.125), path),
    "cell": read_cells,
    "scores": lambda path: Scores([path]),
    "embeddings": lambda path: Embeddings([path]),
    "examples": read_examples,
    "shard": lambda path: Store([path]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", [name for name in FOREIGN if "pickle" not in name and "code" not in name])
def test_every_reader_says_what_another_file_is(reader: str, case: str, tmp_path: Path) -> None:
    path = tmp_path / "given.pt"
    make, words = FOREIGN[case]
    make(path)
    if case.endswith("zip") and reader == "examples":
        words = ""  # A zip archive is what it should be; that its members are missing is said in numpy's words.
    with pytest.raises(UserError) as error:
        READERS[reader](path)
    assert words in str(error.value) and str(path) in str(error.value)
    assert "weights_only" not in str(error.value) and "allow_pickle" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    # What is no file of ours is not told to be removed; weights that someone brought never are.
    assert ("`rm " in str(error.value)) <= (reader != "weights" and (reader != "model" or case == "cut zip"))


@pytest.mark.parametrize("reader", ["model", "weights"])
@pytest.mark.parametrize("case", ["pickle", "torch with code"])
def test_code_in_a_file_is_not_run_and_no_one_is_told_to_run_it(
    reader: str, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.pt"
    FOREIGN[case][0](path)
    with pytest.raises(UserError) as error:
        READERS[reader](path)
    assert not (tmp_path / "trap").exists()
    assert "weights_only" not in str(error.value) and "pickle_module" not in str(error.value)
    assert reader == "model" or "more than tensors and plain values" in str(error.value)


@pytest.mark.parametrize("reader", [name for name in READERS if name in ("model", "weights", "shard")])
def test_a_missing_file_is_named(reader: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.pt"):
        READERS[reader](tmp_path / "nowhere.pt")


def test_our_own_kinds_are_known(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "a.pt")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    assert kind(tmp_path / "a.pt") == "a file of torch.save"
    assert kind(tmp_path / "a.parquet") == "a Parquet file"


@pytest.mark.parametrize("head", [bytes(16), (20).to_bytes(8, "little") + b"[1, 2]", b"\xff" * 8 + b'{"a":{}}'])
def test_what_only_half_begins_as_safetensors_is_none_of_the_kinds(head: bytes, tmp_path: Path) -> None:
    """A length of at most 4 GiB, and behind it a brace."""
    (tmp_path / "given").write_bytes(head)
    assert kind(tmp_path / "given") == UNKNOWN


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    states = {"model": narrow_net(classes=3).state_dict(), "objective": {}}
    spec = narrow_spec()
    save_model(tmp_path / "model.pt", spec, Part("cross_entropy"), list("abc"), states, states, {})
    return tmp_path / "model.pt"


def with_weights(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    content = read_tensors(path, CPU)
    weights = OrderedDict(content["latest"]["model"])
    change(weights)
    write_tensors(path, {**content, "latest": {**content["latest"], "model": weights}})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weights: weights.pop("classifier.bias"), "lacks classifier.bias;"),
        (lambda weights: weights.update(more=torch.zeros(1)), "the net has not, more;"),
        (
            lambda weights: weights.update({"classifier.weight": torch.zeros(3, 7)}),
            "classifier.weight is 3x7 in place of 3x128;",
        ),
        (lambda weights: weights.update({"classifier.bias": "none"}), "classifier.bias is str in place of 3;"),
        (
            lambda weights: weights.update({"classifier.bias": torch.full((3,), torch.nan)}),
            "not finite are classifier.bias;",
        ),
        (
            lambda weights: weights.update({"classifier.bias": torch.zeros(3, dtype=torch.int32)}),
            "classifier.bias is 3 of int32 in place of 3;",
        ),
        (
            lambda weights: weights.update({"classifier.bias": torch.zeros(3).to_sparse()}),
            "classifier.bias is 3 without plain numbers in place of 3;",
        ),
        (lambda weights: weights.clear(), " and "),
    ],
)
def test_a_weight_that_does_not_fit_is_named(model_file: Path, change, told: str) -> None:
    with_weights(model_file, change)
    load_model(model_file, "best", CPU)
    with pytest.raises(UserError) as error:
        load_model(model_file, "latest", CPU)
    assert told in str(error.value) and "the latest model" in str(error.value)
    # It may be all that the user has of it.
    assert "rm " not in str(error.value)


def test_weights_of_half_precision_are_weights(model_file: Path) -> None:
    with_weights(model_file, lambda weights: weights.update({"classifier.bias": torch.full((3,), 0.5).half()}))
    assert load_model(model_file, "latest", CPU).model.classifier.bias.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("held", [None, [1], {"objective": {}}, {"model": None, "objective": {}}])
def test_a_state_without_a_net_is_named(model_file: Path, held: object) -> None:
    write_tensors(model_file, {**read_tensors(model_file, CPU), "latest": held})
    with pytest.raises(UserError, match="no model of this workflow: it has no latest model"):
        load_model(model_file, "latest", CPU)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        load_model(tmp_path, "best", CPU)


def test_a_file_of_weights_alone_is_no_model_and_is_not_to_be_removed(tmp_path: Path) -> None:
    torch.save(narrow_net().state_dict(), tmp_path / "theirs.pt")
    with pytest.raises(UserError, match="it lacks spec, objective, classes, training_features, best") as error:
        load_model(tmp_path / "theirs.pt", "best", CPU)
    assert "rm " not in str(error.value)


def test_weights_that_do_not_fit_the_frame_net_are_named(tmp_path: Path) -> None:
    weights = dict(ResNet18(0.125).state_dict())
    del weights["layer4.1.bn2.weight"]
    torch.save(weights | {"fc.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"it lacks layer4\.1\.bn2\.weight; name another file"):
        load_weights(ResNet18(0.125), tmp_path / "weights.pth")
    torch.save({"state_dict": weights}, tmp_path / "nested.pth")
    with pytest.raises(UserError, match="the net has not, state_dict"):
        load_weights(ResNet18(0.125), tmp_path / "nested.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="by name but a list"):
        load_weights(ResNet18(0.125), tmp_path / "list.pth")
