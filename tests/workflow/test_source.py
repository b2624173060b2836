"""What is known of our files is kept from run to run, by their content."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from planning import ROOT

# Say what is known of a file, with what an earlier run kept.
PROGRAM = """
import sys
from pathlib import Path
from lib import source
source.keep_in(Path(sys.argv[1]))
print(*source.code_of(Path(sys.argv[2])))
"""


def said(kept: Path, file: Path) -> str:
    command = [sys.executable, "-c", PROGRAM, str(kept), str(file)]
    made = subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    return made.stdout.strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.py"
    path.write_text("from avrobust.files import part\n")
    return path


def test_a_content_is_looked_at_once(tmp_path: Path, file: Path) -> None:
    kept = tmp_path / ".snakemake/code.json"
    first = said(kept, file)
    assert first.endswith(" ['avrobust.files', 'avrobust.files.part']")
    ((content, (digest, imports)),) = json.loads(kept.read_text())
    assert first.startswith(digest)
    kept.write_text(json.dumps([[content, ["as was kept", imports]]]))
    assert said(kept, file).startswith("as was kept ")
    file.write_text(file.read_text() + "# a comment\n")
    assert said(kept, file) == first
    assert len(json.loads(kept.read_text())) == 2
    file.write_text("import avrobust\n")
    assert said(kept, file).endswith(" ['avrobust']")


@pytest.mark.parametrize("text", ["", "[[", "[1]", '[["a", 1]]', '{"a": ["b", []]}', "null"])
def test_what_is_damaged_is_done_without(tmp_path: Path, file: Path, text: str) -> None:
    kept = tmp_path / "code.json"
    first = said(kept, file)
    kept.write_text(text)
    assert said(kept, file) == first


def test_where_nothing_can_be_kept_it_is_found_out_anew(tmp_path: Path, file: Path) -> None:
    (tmp_path / "taken").touch()
    assert said(tmp_path / "taken/code.json", file) == said(tmp_path / "code.json", file)
