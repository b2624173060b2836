"""What a program says when it fails, and how it ends when it is told to: by real signals, on a really full disk."""

import argparse
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from small_disk import make_room, small_disk

from avrobust.data.encoding import encode_without_loss
from avrobust.files import replacing, write_json, write_text
from avrobust.models.files import write_tensors
from avrobust.program import natural, positive

SCRIPTS = Path(__file__).parents[2] / "scripts"
SECONDS = 60


def start(folder: Path, program: str) -> subprocess.Popen:
    """Start a program that has `main` in `folder`, as the leader of a process group of its own."""
    path = folder / "program.py"
    head = "from avrobust.program import run, UserError\n"
    path.write_text(f"{head}{textwrap.dedent(program)}\nif __name__ == '__main__':\n    run(main)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.Popen(
        [sys.executable, str(path)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, process_group=0
    )


def ended(process: subprocess.Popen) -> tuple[int, list[str]]:
    """Wait for a program; return its exit status and the lines that it wrote."""
    _, text = process.communicate(timeout=SECONDS)
    return process.returncode, text.splitlines()


def wait_for(look: Callable[[], bool], process: subprocess.Popen) -> None:
    end = time.monotonic() + SECONDS
    while not look():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


# In the middle of a file, with two processes at work that would go on for a minute.
POOL = """
    import time
    from pathlib import Path
    from avrobust.files import replacing
    from avrobust.processes import in_order

    def work(number):
        Path(f"worker{number}").touch()
        time.sleep(60)

    def main():
        with replacing("made.csv") as temporary:
            temporary.write_text("half a file")
            list(in_order(work, range(9), 2))
"""
LOADER = """
    import time
    from pathlib import Path
    from avrobust.files import replacing

    class Clips:
        def __len__(self):
            return 9

        def __getitem__(self, number):
            Path(f"worker{number % 2}").touch()
            time.sleep(60)

    def main():
        from torch.utils.data import DataLoader
        with replacing("made.csv") as temporary:
            temporary.write_text("half a file")
            list(DataLoader(Clips(), num_workers=2, multiprocessing_context="spawn", persistent_workers=True))
"""


def one_by_one(process: int, number: int) -> None:
    """Send a signal to each process of a program, to the program itself last and later."""
    for child in psutil.Process(process).children(recursive=True):
        # The end of one ends others.
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    time.sleep(0.3)
    os.kill(process, number)


@pytest.mark.parametrize("program", [POOL, LOADER], ids=["pool", "loader"])
@pytest.mark.parametrize("send", [os.kill, os.killpg, one_by_one], ids=["program", "all at once", "one by one"])
def test_sigterm_ends_a_program_with_its_processes_and_leaves_nothing_half_written(tmp_path, program, send) -> None:
    """`kill` sends it to the program; SLURM to each process of the job, so that workers may end first."""
    process = start(tmp_path, program)
    wait_for(lambda: all((tmp_path / f"worker{number}").exists() for number in (0, 1)), process)
    assert len(list(tmp_path.glob(".part-*-made.csv"))) == 1
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    send(process.pid, signal.SIGTERM)
    status, lines = ended(process)
    # Python's own process that looks after semaphores may complain of one whose last user was killed.
    lines = [line for line in lines if "resource_tracker" not in line]
    assert (status, len(lines)) == (143, 1), lines
    assert re.fullmatch(r"terminated by SIGTERM: nothing is half-written, .* same command .*", lines[0])
    assert sorted(path.name for path in tmp_path.iterdir() if "made" in path.name) == []
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


ENDLESS = """
    import time
    from avrobust.files import replacing

    def main():
        with replacing("made.csv"):
            time.sleep(60)
"""


def start_told(hangup: signal.Handlers, folder: Path) -> subprocess.Popen:
    """Start an endless program that was told so of SIGHUP, whatever these tests were (`nohup make test`)."""
    before = signal.signal(signal.SIGHUP, hangup)
    try:
        return start(folder, ENDLESS)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_program_in_order(tmp_path) -> None:
    process = start_told(signal.SIG_DFL, tmp_path)
    wait_for(lambda: any(tmp_path.glob(".part-*-made.csv")), process)
    process.send_signal(signal.SIGHUP)
    status, lines = ended(process)
    assert (status, len(lines)) == (129, 1), lines
    assert lines[0].startswith("terminated by SIGHUP: nothing is half-written, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program.py"]


def test_a_program_under_nohup_goes_on_when_the_terminal_is_closed(tmp_path) -> None:
    process = start_told(signal.SIG_IGN, tmp_path)
    wait_for(lambda: any(tmp_path.glob(".part-*-made.csv")), process)
    process.send_signal(signal.SIGHUP)
    process.terminate()
    status, lines = ended(process)
    assert status == 143, lines


def test_a_second_sigterm_does_not_interrupt_the_cleaning_up(tmp_path) -> None:
    program = """
        import time
        from pathlib import Path

        def main():
            try:
                Path("started").touch()
                time.sleep(60)
            finally:
                Path("cleaning").touch()
                time.sleep(1)
                Path("cleaned").touch()
    """
    process = start(tmp_path, program)
    wait_for((tmp_path / "started").exists, process)
    process.terminate()
    wait_for((tmp_path / "cleaning").exists, process)
    process.terminate()
    status, lines = ended(process)
    assert (status, len(lines)) == (143, 1)
    assert (tmp_path / "cleaned").exists()


def test_an_error_is_one_line_from_whatever_process_it_comes(tmp_path) -> None:
    program = """
        class Clips:
            def __len__(self):
                return 1

            def __getitem__(self, number):
                raise UserError("0.arrow: damaged; remove it")

        def main():
            from torch.utils.data import DataLoader
            list(DataLoader(Clips(), num_workers=1, multiprocessing_context="spawn"))
    """
    assert ended(start(tmp_path, program)) == (1, ["error: 0.arrow: damaged; remove it"])


def test_a_fault_of_ours_keeps_its_traceback(tmp_path) -> None:
    status, lines = ended(start(tmp_path, "def main():\n    open('absent')"))
    assert status == 1
    assert lines[0].startswith("Traceback") and lines[-1].startswith("FileNotFoundError")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    with small_disk(tmp_path / "disk", "64k") as folder:
        yield folder


NUMBERS = np.random.default_rng(0).integers(0, 2**60, 20_000)


def by_parquet(path: Path) -> None:
    with replacing(path) as temporary:
        pq.write_table(pa.table({"x": NUMBERS}), temporary)


def by_arrow(path: Path) -> None:
    schema = pa.schema({"x": pa.int64()})
    with replacing(path) as temporary, pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, schema) as sink:
        sink.write_batch(pa.record_batch({"x": NUMBERS}))


def by_clip(path: Path) -> None:
    frames = NUMBERS[: 16 * 48 * 64 * 3 // 8].view(np.uint8).reshape(16, 48, 64, 3)
    encode_without_loss(frames, 8, np.zeros(16_000, np.int16), 8000, path)


def by_picture(path: Path) -> None:
    with replacing(path) as temporary:
        Image.fromarray(NUMBERS[:10_000].view(np.uint8).reshape(200, 400)).save(temporary, "PNG")


WRITERS = {
    "text": lambda path: write_text(path, "x" * 100_000),
    "json": lambda path: write_json(path, NUMBERS.tolist()),
    "tensors": lambda path: write_tensors(path, {"x": torch.from_numpy(NUMBERS)}),
    "parquet": by_parquet,
    "arrow": by_arrow,
    "picture": by_picture,
    "clip": by_clip,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_whatever_writes_to_a_full_disk_the_file_is_named_and_nothing_stays(disk, write) -> None:
    path = disk / "folder/made"
    with pytest.raises(OSError, match="No space left") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert list(path.parent.iterdir()) == []
    make_room(disk, "1m")
    write(path)
    assert [file.name for file in path.parent.iterdir()] == ["made"]


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(disk, tmp_path) -> None:
    program = f"""
        from avrobust.files import write_text
        from avrobust.processes import in_order

        def write(number):
            write_text(f"{disk}/made{{number}}.csv", "x" * 40_000)

        def main():
            list(in_order(write, range(2), 2))
    """
    status, lines = ended(start(tmp_path, program))
    assert (status, len(lines)) == (1, 1), lines
    said = rf"error: {disk}/made\d\.csv cannot be written: the disk is full, 0\.0 MB are free in {disk}; make room .*"
    assert re.fullmatch(said, lines[0])
    assert len(list(disk.iterdir())) == 1
    make_room(disk, "1m")
    assert ended(start(tmp_path, program)) == (0, [])
    assert len(list(disk.iterdir())) == 2


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("write_text('a_file/made.csv', '')", "'a_file' cannot be read or written: File exists"),
        ("open('a_file/made.csv')", "'a_file/made.csv' cannot be read or written: Not a directory"),
        ("open('.')", "'.' cannot be read or written: Is a directory"),
        ("open('x' * 300)", f"'{'x' * 300}' cannot be read or written: File name too long"),
        ("raise PermissionError(13, 'Permission denied', 'far/made')", "'far/made' cannot be read or written: Perm"),
        ("raise OSError(30, 'Read-only file system', 'made')", "'made' cannot be read or written: Read-only file sys"),
    ],
)
def test_a_place_that_is_refused_is_one_line(tmp_path, statement: str, why: str) -> None:
    (tmp_path / "a_file").touch()
    program = f"""
        import os
        from avrobust.files import write_text

        def main():
            os.chdir({str(tmp_path)!r})
            {statement}
    """
    status, lines = ended(start(tmp_path, program))
    assert (status, len(lines)) == (1, 1), lines
    assert lines[0].startswith(f"error: {why}")


def test_a_full_disk_of_which_no_file_is_known(disk, tmp_path) -> None:
    program = f"""
        def main():
            with open("{disk}/journal", "w") as file:
                file.write("x" * 100_000)
    """
    status, lines = ended(start(tmp_path, program))
    assert (status, len(lines)) == (1, 1), lines
    assert lines[0].startswith("error: [Errno 28] No space left on device; make room where it writes")


@pytest.mark.parametrize(
    ("kind", "taken", "refused"), [(positive, ("1", "12"), ("0", "-1")), (natural, ("0", "12"), ("-1", "-12"))]
)
def test_counts_are_checked(kind, taken, refused):
    assert [kind(text) for text in taken] == [int(text) for text in taken]
    for text in refused:
        with pytest.raises(argparse.ArgumentTypeError, match=f"{text} is below"):
            kind(text)
    with pytest.raises(ValueError, match=r"1\.5"):
        kind("1.5")
