"""Programs that tests fork from a process that has imported much: they end, write and are killed as those of a user."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import preloaded
import psutil
import pytest

SECONDS = 60


def written(folder: Path, code: str) -> Path:
    path = folder / "program.py"
    path.write_text(code, encoding="utf-8")
    return path


def python(*arguments: object, **more: object) -> subprocess.Popen:
    """Start what is `python` to the rules."""
    return subprocess.Popen([preloaded._folder() / "python", *map(str, arguments)], **more)


def within_time(look: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)


ENDS = {
    "pass": (0, ""),
    "raise SystemExit": (0, ""),
    "raise SystemExit(3)": (3, ""),
    "raise SystemExit('said')": (1, "said\n"),
    "import atexit; atexit.register(print, 'last'); 1 / 0": (1, "ZeroDivisionError: division by zero\n"),
    "import os; os.kill(os.getpid(), 15)": (-signal.SIGTERM, ""),
    "import os; os.kill(os.getpid(), 9)": (-signal.SIGKILL, ""),
}


@pytest.mark.parametrize("code", ENDS)
def test_a_program_ends_as_one_of_its_own(code: str, tmp_path: Path) -> None:
    path, (status, errors) = written(tmp_path, code), ENDS[code]
    made = preloaded.program([path])
    assert made.returncode == status and made.stderr.endswith(errors) and bool(made.stderr) == bool(errors)
    assert made.stdout == ("last\n" if "atexit" in code else "")
    with python(path, stderr=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=SECONDS)[1].endswith(errors)
    assert process.returncode == status


def test_it_has_arguments_folder_environment_and_streams_of_its_own(tmp_path: Path) -> None:
    code = "import os, sys\nprint(sys.argv, os.getcwd(), os.environ['TOLD'], len(os.environ))\nprint(sys.stdin.read())"
    made = preloaded.program([written(tmp_path, code), "a b"], tmp_path, {"TOLD": "x\ny"})
    assert made.stdout == f"{[str(tmp_path / 'program.py'), 'a b']} {tmp_path} x\ny 1\n\n" and made.stderr == ""
    with python("program.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                env=os.environ | {"TOLD": "y"}) as process:  # fmt: skip
        said = process.communicate("read", timeout=SECONDS)[0]
    assert said.startswith(f"['program.py'] {tmp_path} y ") and said.endswith("\nread\n")


def test_what_is_no_program_is_left_to_python() -> None:
    with python("-c", "print(1)", stdout=subprocess.PIPE) as process:
        assert process.communicate(timeout=SECONDS)[0] == b"1\n"


def test_its_own_processes_run_its_file(tmp_path: Path) -> None:
    code = """
from multiprocessing import get_context

def told(_):
    return __file__

if __name__ == "__main__":
    with get_context("spawn").Pool(1) as pool:
        print(pool.apply(told, [0]))
"""
    written(tmp_path, code)
    made = preloaded.program(["program.py"], tmp_path)
    assert made.stdout == f"{tmp_path / 'program.py'}\n", made.stderr


LONG = "import os, time\nprint('begun', flush=True)\nopen('pid', 'w').write(f'{os.getpid()} ')\ntime.sleep(600)"


def pid(folder: Path) -> int:
    """The process of `LONG`, once it has said so."""
    said = folder / "pid"
    within_time(lambda: said.exists() and said.read_text(encoding="ascii").endswith(" "))
    return int(said.read_text(encoding="ascii"))


@pytest.mark.parametrize("stopped", [False, True])
def test_who_asks_takes_it_along(stopped: bool, tmp_path: Path) -> None:
    """Killed with what it runs, even if that is stopped."""
    with python(written(tmp_path, LONG), cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        program = pid(tmp_path)
        if stopped:
            os.kill(program, signal.SIGSTOP)
        process.kill()
    within_time(lambda: not psutil.pid_exists(program))


def test_what_takes_too_long_is_killed_and_what_it_said_is_told(tmp_path: Path, monkeypatch) -> None:
    preloaded.program([written(tmp_path, "pass")])
    monkeypatch.setattr(preloaded, "TIME_LIMIT", 1)
    made = preloaded.program([written(tmp_path, LONG)], tmp_path)
    assert (made.returncode, made.stdout) == (-signal.SIGKILL, "begun\n")
    assert not psutil.pid_exists(pid(tmp_path))
