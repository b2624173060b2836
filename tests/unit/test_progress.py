"""What programs say while they run."""

import ast
import os
import re
import subprocess
import sys
import termios
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
# What is counted, by what is done.
COUNTED = {
    "asking": {"clips"}, "attacking": {"batches"}, "calibrating": {"batches"}, "downloading": {"MiB"},
    "embedding": {"batches"}, "exporting": {"batches"}, "extracting": {"clips"}, "fetching": {"videos"},
    "fitting": {"batches"}, "geometry": {"batches"}, "localise": {"batches"}, "manifest": {"clips"},
    "measuring": {"places"}, "other splits": {"clips"}, "packing": {"clips"}, "ranking": {"conditions"},
    "reading": {"files", "parts", "rankings", "score files"}, "render": {"clips"}, "t-SNE": {"panels"},
    "training": {"epochs"}, "unattacked": {"clips"},
}  # fmt: skip
CODE = """
import sys, time
from avrobust import program
program.LOG_INTERVAL = 0
for number in program.progress(range(3), label="counting", unit="sheep", total=3, note=lambda: f"{number} asleep"):
    time.sleep(0.01)
"""


def test_every_program_says_what_it_counts_in_known_words() -> None:
    said: dict[str, set[str]] = {}
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "progress":
                words = {one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)}
                said.setdefault(words.get("label", ""), set()).add(words["unit"])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "opened_one_net":
                said.setdefault(node.args[1].value, set()).add("batches")
    assert said.pop("") == {"batches"}  # what those open
    assert {label: units for label, units in said.items() if not units <= COUNTED.get(label, set())} == {}


def counted(terminal: bool) -> str:
    """Return what counting to three says, to a terminal or to a file."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    if not terminal:
        return subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True).stderr
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    running = subprocess.Popen([sys.executable, "-c", CODE], env=environment, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 1024):
            text += part
    except OSError:  # the other side is closed
        pass
    running.wait()
    return text.decode()


def test_a_log_gets_lines_that_say_how_far_it_is() -> None:
    text = counted(terminal=False)
    assert "\r" not in text and "█" not in text
    lines = text.splitlines()
    assert re.fullmatch(r"counting: 0/3 \(\? ?sheep/s, \? left\)", lines[0])
    assert re.fullmatch(r"counting: 3/3 \(.*sheep.*, 00:00 left, 2 asleep\)", lines[-1])
    assert len(set(lines)) == len(lines)


def test_a_terminal_gets_a_bar_that_is_drawn_anew() -> None:
    text = counted(terminal=True)
    assert "\r" in text and "100%" in text and "3/3" in text and "sheep" in text
