"""Files are whole or absent, whoever else writes them at the same time and whoever was killed while writing them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from avrobust.files import _part, part_folder, remove_leftovers, replacing

SCRIPTS = Path(__file__).parents[2] / "scripts"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_writers_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    """As a program that outlived its killed Snakemake and the one of the next run: the last to end has the name."""
    path = tmp_path / "0000.arrow"
    with replacing(path) as first, first.open("w") as file:
        file.write("first, ")
        file.flush()
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        file.write("to its end")
    assert path.read_text() == "first, to its end"
    assert names(tmp_path) == ["0000.arrow"]


def killed_writer(folder: Path) -> None:
    code = (
        "import time; from avrobust.files import replacing\nwith replacing('a.csv'): print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    writer = subprocess.Popen(command, cwd=folder, env={"PYTHONPATH": str(SCRIPTS)}, stdout=subprocess.PIPE)
    writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert len(names(folder)) == 1


def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    killed_writer(tmp_path)
    (tmp_path / ".part-a.csv").touch()  # as they were called before each writer had a name of its own
    (tmp_path / ".part-1-00000000-b.csv").touch()
    (tmp_path / ".part-1-00000000-b-a.csv").touch()
    with replacing(tmp_path / "a.csv") as part:
        assert sorted(set(names(tmp_path)) - {part.name}) == [".part-1-00000000-b-a.csv", ".part-1-00000000-b.csv"]
        part.write_text("whole")
    assert names(tmp_path) == [".part-1-00000000-b-a.csv", ".part-1-00000000-b.csv", "a.csv"]


def test_all_leftovers_of_a_folder_go_and_what_is_being_written_stays(tmp_path: Path) -> None:
    killed_writer(tmp_path)
    (tmp_path / ".part-1-00000000-b.mp4").mkdir()
    with replacing(tmp_path / "c.csv") as file, part_folder(tmp_path / "d.mp4") as folder:
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([file.name, folder.name])
        file.write_text("whole")
        (folder / "half a video").touch()
    assert names(tmp_path) == ["c.csv"]


def test_an_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(FileNotFoundError, match="of the block"), replacing(tmp_path / "a.csv") as part:
        part.write_text("new")
        raise FileNotFoundError("of the block")
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_a_part_that_was_taken_for_a_leftover_before_it_was_locked_is_made_again(tmp_path: Path) -> None:
    made = []

    def make(part: Path) -> None:
        made.append(part)
        if len(made) > 1:
            part.touch()

    with _part(tmp_path / "a.csv", make) as part:
        assert [part] == made[1:]


def test_no_file_stays_open(tmp_path: Path) -> None:
    """Thousands of clips are written by one program."""
    opened = Path("/proc/self/fd")
    if not opened.is_dir():
        pytest.skip("the system does not say which files are open")
    before = len(list(opened.iterdir()))
    for name in ("a.csv", "b.csv"):
        with replacing(tmp_path / name) as part:
            part.write_text("whole")
    with part_folder(tmp_path / "d.mp4"):
        remove_leftovers(tmp_path)
    assert len(list(opened.iterdir())) == before
