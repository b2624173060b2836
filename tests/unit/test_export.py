"""scripts/export.py: clips as files without loss, which score the same when `source: local` has read them."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import preloaded
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from nets import narrow_net, narrow_spec
from tiny_store import CLASSES, CLIPS, VIEW, VIEWS, write_shard

import attack
import export
from avrobust.data.store import Store
from avrobust.models.build import Part
from avrobust.models.files import save_model
from avrobust.program import REFUSED, UserError
from avrobust.spec.budgets import named

SCRIPTS = Path(export.__file__).parent
ASKED = [["both", "large"], ["audio", "small"]]
CELLS = [
    {"surrogate": "one", "attack": "mim", "spec": {"update": "mim"}, "victims": {"one": ASKED, "two": ASKED[:1]}},
    {
        "surrogate": "two", "attack": "start", "spec": {"update": "pgd_random"},
        "victims": {"two": ASKED, "one": ASKED[:1]},
    },
    {"surrogate": "two", "attack": "mim", "spec": {"update": "pgd"}, "victims": {"one": ASKED[:1]}},
]  # fmt: skip


# What sees several pictures, and several nets attacked as one.
CLIP_VIEW = {"name": "clip", "options": {"seconds": 0.375, "frames": 2, "frame_size": 32}}
TOGETHER = {
    "surrogate": "all", "attack": "mim", "spec": {"update": "mim"}, "victims": {"one": [ASKED[0]]},
    "nets": ["two", "one"],
}  # fmt: skip
OF_FLOATS = TOGETHER | {"surrogate": "alike", "floats": ["one"]}


def run_attack(monkeypatch, folder: Path, shard: Path, cells: list[dict], view=VIEW):
    told = ["--cells", json.dumps(cells), "--nets", *(f"{name}={folder / name}.pt" for name in ("one", "two"))]
    told += ["--shards", shard, "--budgets", json.dumps(named({"small": 0.006, "large": 0.012}))]
    told += ["--key", json.dumps({"dataset": "music", "seed": "3"}), "--view", json.dumps(view)]
    told += ["--batch-size", 4, "--device", "cpu", "--rows", folder / "cells.parquet"]
    monkeypatch.setattr(sys, "argv", ["attack.py", *map(str, told), "--provenance", str(folder / "cells.json")])
    attack.main()
    return pq.read_table(folder / "cells.parquet").to_pandas()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A finished file of three cells beside its nets and its shard, and its rows; never changed."""
    folder = tmp_path_factory.mktemp("attacked")
    shard = write_shard(folder / "0.arrow")
    for seed, name in enumerate(("one", "two")):
        state = {"model": narrow_net(classes=len(CLASSES), seed=seed).state_dict(), "objective": {}}
        save_model(folder / f"{name}.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})
    with pytest.MonkeyPatch.context() as monkeypatch:
        return folder, run_attack(monkeypatch, folder, shard, CELLS)


@pytest.fixture
def made(tmp_path, attacked):
    """A copy of that file and of all beside it, and its rows."""
    folder, rows = attacked
    return shutil.copytree(folder, tmp_path / "made"), rows


def exported(
    monkeypatch, folder: Path, output: Path, *more: str, modality="both", budget="large", **other: str
) -> Path:
    told = {"surrogate": "one", "attack": "mim"} | other
    told |= {"cells": folder / "cells.parquet", "modality": modality, "budget": budget, "output": output}
    words = [str(word) for name, value in told.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["export.py", *words, "--device", "cpu", *more])
    export.main()
    return output


def packed_from(folder: Path) -> Store:
    """What `source: local` makes of an export, by the programs that do it."""
    manifest, classes = folder / "manifest.csv", folder / "classes.txt"
    local = ["local", "--folder", folder, "--table", folder / "clips.csv", "--manifest", manifest]
    pack = [
        "--manifest",
        manifest,
        "--class-list",
        classes,
        "--media-folder",
        folder,
        "--shard-index",
        0,
        "--shards",
        1,
    ]
    pack += ["--audio-rate", 11025, "--frame-rate", 8, "--short-side", 36, "--minimum-frames", 1]
    pack += ["--failed-clips", "drop", "--shard", folder / "0.arrow", "--availability", folder / "availability.csv"]
    for name, told in (("manifest", [*local, "--class-list", classes, "--classes", *CLASSES]), ("pack", pack)):
        made = preloaded.program([SCRIPTS / f"{name}.py", *told])
        assert made.returncode == 0, made.stderr
    return Store([folder / "0.arrow"])


def of_form(rows, form: str, victim: str, surrogate: str = "one", **condition: str):
    kept = rows[(rows.form == form) & (rows.victim == victim) & (rows.surrogate == surrogate) & (rows.attack == "mim")]
    for name, value in condition.items():
        kept = kept[kept[name] == value]
    return kept.sort_values("clip_id")[["clip_id", "label", "prediction", "loss"]].reset_index(drop=True)


@pytest.mark.parametrize(
    ("form", "as_rows"), [("rounded", "rounded"), ("truncated", "truncated"), ("float", "rounded")]
)
def test_what_source_local_reads_scores_as_the_cell_says(tmp_path, monkeypatch, made, form, as_rows):
    """To the last bit, losses too. A store keeps 8 bits and 16, so that floats come back rounded."""
    folder, rows = made
    output = exported(monkeypatch, folder, tmp_path / "out", form=form)
    assert len(packed_from(output).clip_ids) == sum(CLIPS.values())
    clean = [{**CELLS[0], "victims": {"one": [], "two": []}}]
    again = run_attack(monkeypatch, folder, output / "0.arrow", clean)
    for victim in ("one", "two"):
        wanted = of_form(rows, as_rows, victim, modality="both", budget="large")
        assert of_form(again, "float", victim).equals(wanted)
        assert not of_form(rows, "float", victim, modality="clean").equals(wanted)


def test_clips_of_several_pictures_that_several_nets_were_attacked_with_come_back_too(tmp_path, monkeypatch, made):
    """Crafted anew with the gradients of both nets, written by the view that sees all of a clip."""
    folder, _ = made
    shard = folder / "0.arrow"
    rows = run_attack(monkeypatch, folder, shard, [TOGETHER, OF_FLOATS, *CELLS], CLIP_VIEW)
    output = exported(monkeypatch, folder, tmp_path / "out", surrogate="all")
    # Where the cell asked about floats alone, too.
    alike = exported(monkeypatch, folder, tmp_path / "alike", "--attacked-only", surrogate="alike")
    assert set(rows[rows.surrogate == "alike"].form) == {"float"}
    for path in (line["path"] for line in csv.DictReader((alike / "clips.csv").open())):
        assert (alike / path).read_bytes() == (output / path).read_bytes()
    assert len(packed_from(output).clip_ids) == sum(CLIPS.values())
    again = run_attack(monkeypatch, folder, output / "0.arrow", [{**CELLS[0], "victims": {"one": []}}], CLIP_VIEW)
    wanted = of_form(rows, "rounded", "one", "all", modality="both", budget="large")
    assert len(wanted) == CLIPS["test"] and of_form(again, "float", "one").equals(wanted)
    assert not of_form(rows, "rounded", "one", "one", modality="both", budget="large").equals(wanted)
    assert json.loads((output / "export.json").read_text())["cell"]["nets"] == ["two", "one"]


def test_clips_are_those_of_the_cell_that_is_asked_for(tmp_path, monkeypatch, made):
    """The last one of the file: another surrogate, another update of the same name, one victim, the other net."""
    folder, rows = made
    output = exported(monkeypatch, folder, tmp_path / "out", surrogate="two")
    said = json.loads((output / "export.json").read_text())["cell"]
    assert (said["surrogate"], said["spec"], list(said["victims"])) == ("two", {"update": "pgd"}, ["one"])
    packed_from(output)
    again = run_attack(monkeypatch, folder, output / "0.arrow", [{**CELLS[2], "victims": {"one": []}}])
    of_cell, of_first = (
        of_form(rows, "rounded", "one", net, modality="both", budget="large") for net in ("two", "one")
    )
    assert of_form(again, "float", "one", "two").equals(of_cell) and not of_cell.equals(of_first)


def test_floats_are_in_their_files_as_they_were_made(tmp_path, monkeypatch, made):
    """Put into the net from the file, without a store between, they are answered as the cell's floats."""
    folder, rows = made
    output = exported(monkeypatch, folder, tmp_path / "out", "--attacked-only", form="float")
    wanted = of_form(rows, "float", "one", modality="both", budget="large").set_index("clip_id")
    net = narrow_net(classes=len(CLASSES), seed=0)
    for line in csv.DictReader((output / "clips.csv").open()):
        with av.open(str(output / line["path"])) as file:
            frames, sound = [], []
            for frame in file.decode():
                is_picture = isinstance(frame, av.VideoFrame)
                (frames if is_picture else sound).append(
                    frame.to_ndarray(format="gbrpf32le") if is_picture else frame.to_ndarray()[0]
                )
        held = np.concatenate(sound)
        middle = len(frames) // 2
        centre = int((middle - 0.5) / 8 * 11025)
        inputs = {
            "audio": torch.from_numpy(held[centre - 2048 : centre + 2048])[None, None],
            "visual": torch.from_numpy(frames[middle - 1].transpose(2, 0, 1).copy())[None],
        }
        with torch.no_grad():
            logits = net(inputs)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([int(wanted.label[line["clip_id"]])]))
        assert logits.argmax().item() == wanted.prediction[line["clip_id"]]
        assert loss.item() == pytest.approx(wanted.loss[line["clip_id"]], rel=1e-4)
        assert not np.array_equal(held * 2**15, np.round(held * 2**15))


def test_the_other_splits_come_back_as_they_were_packed(tmp_path, monkeypatch, made):
    """In the order of the store: a net that is trained on them is the same net."""
    folder, _ = made
    output = exported(monkeypatch, folder, tmp_path / "out", modality="audio", budget="small")
    before, after = Store([folder / "0.arrow"]), packed_from(output)
    assert (after.clip_ids, after.splits, after.labels) == (before.clip_ids, before.splits, before.labels)
    for index in before.indices("train"):
        assert np.array_equal(after.audio(index), before.audio(index))
        for number in range(before.frame_count(index)):
            assert np.array_equal(after.pixels(index, number), before.pixels(index, number))
    seen = [VIEWS.evaluation(store, before.indices("test")[0], ("audio", "visual")) for store in (before, after)]
    assert np.array_equal(seen[0]["visual"], seen[1]["visual"])
    assert 0 < np.abs(seen[0]["audio"] - seen[1]["audio"]).max() <= 0.006 + 2**-16


def test_an_attack_that_draws_is_crafted_with_the_seed_of_the_cell(tmp_path, monkeypatch, made):
    folder, _ = made
    told = {"surrogate": "two", "attack": "start", "modality": "audio", "budget": "small"}
    exported(monkeypatch, folder, tmp_path / "out", "--attacked-only", **told)
    said = json.loads((tmp_path / "out/export.json").read_text())
    assert (said["seed"], said["form"], said["clips"]) == ("3", "rounded", CLIPS["test"])


def answer_otherwise(path: Path, which: Callable[[dict], bool]) -> None:
    """Change the predictions of some rows of a file of cells."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("prediction")
    changed = [1 - min(1, row["prediction"]) if which(row) else row["prediction"] for row in table.to_pylist()]
    other = table.set_column(place, table.schema.field(place), pa.array(changed, pa.int16()))
    pq.write_table(other, path, write_page_checksum=True)


@pytest.mark.parametrize("surrogate", ["one", "two"])
def test_answers_are_compared_with_those_of_the_cell_and_condition_that_are_asked_for(
    tmp_path, monkeypatch, made, surrogate
):
    """Every other row of the file is another answer: of another surrogate, attack or condition."""
    asked = {"surrogate": surrogate, "attack": "mim", "modality": "both", "budget": "large"}
    answer_otherwise(made[0] / "cells.parquet", lambda row: any(row[name] != value for name, value in asked.items()))
    exported(monkeypatch, made[0], tmp_path / "out", "--attacked-only", surrogate=surrogate)
    answer_otherwise(made[0] / "cells.parquet", lambda row: row["clip_id"] == "test00" and row["victim"] == "one")
    with pytest.raises(UserError, match=r"3 of \d+ answers are others than there, the first one's to test00"):
        exported(monkeypatch, made[0], tmp_path / "again", surrogate=surrogate)


def test_clips_that_are_answered_otherwise_are_not_exported(tmp_path, monkeypatch, made):
    """As on a machine with other bits: the line says how many, and of which net; nothing is left."""
    folder, _ = made
    answer_otherwise(folder / "cells.parquet", lambda row: True)
    with pytest.raises(UserError, match=r"cells.parquet: \d+ of 24 answers are others than there, the first one's to "):
        exported(monkeypatch, folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"attack": "fgsm"}, r"cells.parquet: no cell one/fgsm; it holds one/mim, two/start, two/mim"),
        ({"modality": "visual"}, r"one/mim is not asked visual at large; it is both at large, audio at small"),
        ({"budget": "unbounded"}, "unbounded is a check of a few clips"),
    ],
)
def test_what_a_cell_does_not_hold_is_named(tmp_path, monkeypatch, made, told, message):
    with pytest.raises(UserError, match=message):
        exported(monkeypatch, made[0], tmp_path / "out", **told)


def test_a_folder_that_is_there_is_left_alone(tmp_path, monkeypatch, made):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UserError, match="link is there already; give a new folder, or remove it"):
        exported(monkeypatch, made[0], tmp_path / "link")
    with pytest.raises(UserError, match="made is there already; give a new folder, or remove it"):
        exported(monkeypatch, made[0], tmp_path / "made")


def test_cells_without_what_made_them_are_named(tmp_path, monkeypatch, made):
    (tmp_path / "made/cells.json").write_text('{"cells": [], "shards": [], "batch_size": 4}')
    with pytest.raises(UserError, match=r"cells.json: does not say nets; make these cells anew"):
        exported(monkeypatch, made[0], tmp_path / "out")
    (tmp_path / "made/cells.json").unlink()
    with pytest.raises(
        UserError, match=r"cells.json: cannot be read .*; give a file of results/\*/cells with its .json"
    ):
        exported(monkeypatch, made[0], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cells.json", None, r"cells\.json is no \.parquet; give a file of results/\*/cells, with its \.json"),
        ("absent.parquet", None, r"absent\.parquet: no such file; give one of results/\*/cells, which snakemake makes"),
        ("cells.parquet", b"PAR1", r"cells\.parquet: .*; `rm \S+cells\.parquet`; let snakemake make these cells anew"),
    ],
)
def test_what_is_no_file_of_cells_is_refused(tmp_path, monkeypatch, made, name, content, message):
    if content:
        (made[0] / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        exported(monkeypatch, made[0], tmp_path / "out", "--cells", str(made[0] / name))
    assert "the same command" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset": "ave"},
            r"cells\.parquet is of dataset music, but its \.json of ave; let snakemake make these cells",
        ),
        ({"seed": "4"}, r"cells\.parquet is of seed 3, but its \.json of 4"),
        (
            {"shards": ["results/0.arrow"], "nets": {}},
            r"results/0\.arrow is not there: run this in the folder of the Snakef",
        ),
        (None, r"cells\.json: cannot be read \(no object but list\); give a file"),
    ],
)
def test_a_json_that_is_of_other_cells_or_of_another_folder_is_refused_before_anything_is_crafted(
    tmp_path, monkeypatch, made, changes, message
):
    path = made[0] / "cells.json"
    path.write_text(json.dumps([] if changes is None else json.loads(path.read_text()) | changes))
    monkeypatch.setattr(export, "evaluate", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        exported(monkeypatch, made[0], tmp_path / "out")


def test_a_folder_that_another_made_meanwhile_is_named_and_leftovers_are_gone(tmp_path, monkeypatch, made):
    """A kill leaves a hidden folder of the same name; that of another is not looked at."""
    for name in ("out", "other"):
        (tmp_path / f".part-1-{'0' * 8}-{name}/clips").mkdir(parents=True)

    def beside(*told):
        (tmp_path / "out/theirs").mkdir(parents=True)
        return write_json(*told)

    write_json = export.write_json
    monkeypatch.setattr(export, "write_json", beside)
    with pytest.raises(OSError) as raised:
        exported(monkeypatch, made[0], tmp_path / "out", "--attacked-only")
    assert raised.value.filename == str(tmp_path / "out") and raised.value.errno in REFUSED
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".part-1-{'0' * 8}-other", "made", "out"]


def test_what_config_is_told_is_yaml_with_a_name_and_the_classes_of_the_table(tmp_path, monkeypatch, made, caplog):
    """Of the dataset where the order is another than that of a table: by name."""
    caplog.set_level("INFO")
    output = exported(monkeypatch, made[0], tmp_path / "a, b: #c")
    line = next(one for one in caplog.messages if one.startswith("in config.yaml: "))
    told = {"source": "local", "table": str(output / "clips.csv"), "folder": str(output), "name": "a, b: #c"}
    assert yaml.safe_load(line.removeprefix("in config.yaml: ")) == {"datasets": {"music": told}}
    rows = [("a", "a.mkv", "dog", "test"), ("b", "b.mkv", "cat|dog", "test")]
    for classes, of_table in ((["cat", "dog"], True), (["dog", "cat"], False), (["cat", "dog", "pig"], False)):
        own = yaml.safe_load(export._own("music", output, classes, rows))["music"]
        assert own == told | ({"classes": "table"} if of_table else {})
