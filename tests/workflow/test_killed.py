"""What a killed job was making is made anew, although what follows from it is there still."""

import base64
import os
from pathlib import Path

import pytest
from planning import copy_project, snakemake

from lib.killed import put_back

LONG = "results/" + "a" * 120 + "/" + "b" * 120


def mark(root: Path, name: str) -> None:
    """Mark a file as Snakemake does before a job makes it."""
    text = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [text[start : start + 254] for start in range(0, len(text), 254)]
    path = root.joinpath(".snakemake/incomplete", *(f"@{part}" for part in parts[:-1]), parts[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"external_jobid": null}')


@pytest.mark.parametrize("name", ["results/demo/models/a/b/s1/model.pt", LONG])
def test_a_missing_file_is_put_back_and_one_that_is_there_is_left(tmp_path: Path, name: str) -> None:
    mark(tmp_path, name)
    put_back(tmp_path)
    assert (tmp_path / name).read_bytes() == b""
    (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / name, (1, 1))
    put_back(tmp_path)
    assert (tmp_path / name).read_bytes() == b"half" and (tmp_path / name).stat().st_mtime == 1


def test_nothing_is_put_back_while_a_lock_is_there_or_for_what_is_no_mark(tmp_path: Path) -> None:
    mark(tmp_path, "made")
    (tmp_path / ".snakemake/incomplete/migration_underway").touch()
    (tmp_path / ".snakemake/locks").mkdir()
    (tmp_path / ".snakemake/locks/0.output.lock").touch()
    put_back(tmp_path)
    assert not (tmp_path / "made").exists()
    (tmp_path / ".snakemake/locks/0.output.lock").unlink()
    put_back(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".snakemake", "made"}


def test_snakemake_makes_it_anew(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    table = "".join(f"{label}{split},a.mp4,{label},{split}\n" for label in "ab" for split in ("train", "val", "test"))
    (root / "clips.csv").write_text("clip_id,path,label,split\n" + table)
    (root / "a.mp4").write_bytes(b"no video, which shows when it is packed")
    own = "datasets={ave: {source: local, table: clips.csv, folder: ., classes: table}}"
    data = "results/demo/local/data/ave"
    run = ("--config", own, "minimum_share=0", "--", f"{data}/shards/0000.csv")
    made = snakemake(root, "-c1", *run)
    assert made.status == 0, made.text
    (root / data / "manifest.csv").unlink()
    # By itself Snakemake takes a missing file for one that is not needed.
    assert snakemake(root, "-n", *run).counts == {}
    mark(root, f"{data}/manifest.csv")
    before = {path: path.stat().st_mtime_ns for path in (root / "results").rglob("*")}
    for flags in (("-n",), ("-pnc1",), ("-c1", "--dry-run")):
        planned = snakemake(root, *flags, *run)
        assert planned.text.count(f"{data}/manifest.csv: a job was killed that made it") == 1, planned.text
        assert planned.text.count("Using workflow specific profile") == 1
    assert {path: path.stat().st_mtime_ns for path in (root / "results").rglob("*")} == before
    assert snakemake(root, "-c1", *run).counts == {"manifest_of_table": 1, "pack": 1}
