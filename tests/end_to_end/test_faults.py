"""Damaged files, a full disk, a training that diverges, a GPU that is not there: what the user reads, does and gets."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import Project, keep_rows, undefended
from small_disk import make_room, small_disk

from avrobust.data.store import Store

NET = "results/tiny/models/music/audio/s1234"


@pytest.fixture(scope="module")
def small(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Table 1 of one attack, with its three nets, made anew in a copy of the finished project."""
    project = finished.copy(tmp_path_factory.mktemp("small") / "project")
    project.edit_paper(_keep_one_table)
    shutil.rmtree(project.published)
    project.make("all")
    return project


def _keep_one_table(paper: dict) -> None:
    paper["artefacts"] = {"table1": paper["artefacts"]["table1"]}
    paper["claims"] = []
    keep_rows(paper, "table1", lambda row: row["attack"] == "fgsm")


@pytest.fixture
def project(small: Project, tmp_path: Path) -> Project:
    """A copy of the small project."""
    return small.copy(tmp_path / "project")


def flip(path: Path, where: int) -> None:
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)


def cured(project: Project, error: str) -> list[str]:
    """Let `all` fail, with one line like `error` of each damaged file; type what they say and return the files."""
    output = project.fail("--keep-going", "all")
    assert "Traceback" not in output
    found = sorted(set(re.findall(rf"^\s*error: ({error}.*)$", output, re.MULTILINE)))
    commands = [re.search(r"`(rm [^`]+)` and the same command again make it anew", line)[1] for line in found]
    for command in sorted(set(commands)):
        subprocess.run(command, shell=True, cwd=project.root, check=True)
    return [line.split(" ")[0].removesuffix(":") for line in found]


def test_a_truncated_net_and_a_cell_with_a_flipped_bit_are_named_and_remade(small: Project, project: Project) -> None:
    model = project.root / NET / "model.pt"
    os.truncate(model, model.stat().st_size // 2)
    cell = project.results / "cells/music/s1234/visual.fgsm.parquet"
    columns = pq.read_metadata(cell).row_group(0).to_dict()["columns"]
    column = next(column for column in columns if column["path_in_schema"] == "prediction")
    # The pages of a column lie one behind the other: its last byte is in one, whatever the predictions are.
    first = column["dictionary_page_offset"] or column["data_page_offset"]
    flip(cell, first + column["total_compressed_size"] - 1)

    assert cured(project, r"\S+ is no whole model file") == [f"{NET}/model.pt"]
    assert cured(project, r"\S+: cannot be read as parquet") == ["results/tiny/cells/music/s1234/visual.fgsm.parquet"]
    project.make("all")
    assert project.published_bytes() == small.published_bytes()


def test_a_shard_with_a_flipped_bit_is_named_and_packed_anew(small: Project, project: Project) -> None:
    """Noticed by what reads it: a net and its cell are still to be made."""
    shutil.rmtree(project.root / NET)
    (project.results / "cells/music/s1234/audio.fgsm.parquet").unlink()
    shutil.rmtree(project.published)
    path = project.results / "data/music/shards/0000.arrow"
    store, whole = Store([path]), path.read_bytes()
    clip = int(store.indices("train")[3])
    flip(path, whole.index(store.audio(clip).tobytes()) + 1001)

    said = rf"\S+: the shard is damaged, sound of {re.escape(store.clip_ids[clip])} has changed"
    assert cured(project, said) == ["results/tiny/data/music/shards/0000.arrow"]
    project.make("all")
    assert path.read_bytes() == whole
    assert project.published_bytes() == small.published_bytes()


def test_a_full_disk_is_named_and_after_room_is_made_training_finishes(small: Project, project: Project) -> None:
    net = project.root / NET
    for path in net.iterdir():
        path.unlink()
    with small_disk(net, "64k"):
        # Snakemake removes empty folders, which this one cannot be.
        (net / "other").touch()
        output = project.fail(f"{NET}/model.pt")
        said = rf"^\s*error: {NET}/resume.pt cannot be written: the disk is full, 0\.\d MB are free in \S+; make room"
        assert re.search(said, output, re.MULTILINE), output
        assert "Traceback" not in output
        assert [path.name for path in net.iterdir()] == ["other"]
        make_room(net, "10m")
        project.make(f"{NET}/model.pt")
        assert (net / "model.pt").read_bytes() == (small.root / NET / "model.pt").read_bytes()


def test_a_training_that_diverges_names_its_clips_and_saves_nothing(project: Project) -> None:
    rates = dict.fromkeys(("audio", "visual", "head"), 1e30)
    project.edit_yaml("workflow/scales/tiny.yaml", lambda scale: undefended(scale).update(learning_rates=rates))
    output = project.fail(f"{NET}/model.pt")
    said = re.search(r"^\s*error: the loss became \S+ in epoch 1, batch 2, clips (.*); lower the", output, re.MULTILINE)
    assert said, output
    store = Store(sorted((project.results / "data/music/shards").glob("*.arrow")))
    clips = said[1].split(", ")
    assert len(clips) == 4 and {*clips} <= {store.clip_ids[index] for index in store.indices("train")}
    assert not (project.root / NET / "resume.pt").exists()


def test_a_gpu_that_slurm_promised_and_torch_does_not_see_is_an_error(project: Project, monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (project.root / NET / "model.pt").unlink()  # another device alone makes nothing anew
    output = project.fail("--config", "device=auto", "--", f"{NET}/model.pt")
    assert re.search(r"^\s*error: SLURM gave this job a GPU \(SLURM_JOB_GPUS=0\), but torch sees", output, re.MULTILINE)
    assert "Traceback" not in output
    project.make("--config", "device=cuda_or_cpu", "--", f"{NET}/model.pt")
