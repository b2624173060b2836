"""What is known of our files is kept from run to run, by their content."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from planning import ROOT, copy_project, snakemake

from lib import source

# Say what is known of a file, with what an earlier run kept.
PROGRAM = """
import sys
from pathlib import Path
from lib import source
kept, file = map(Path, sys.argv[1:])
source.take_from(kept)
print(*source.code_of(file))
source.keep_in(kept, file.parent)
"""
OTHER = "0" * 64


def said(kept: Path, file: Path) -> str:
    command = [sys.executable, "-c", PROGRAM, str(kept), str(file)]
    paths = f"{ROOT / 'workflow'}:{ROOT / 'scripts'}"
    made = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": paths})
    assert (made.returncode, made.stderr) == (0, "")
    return made.stdout.strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.py"
    path.write_text("from avrobust.files import part\n")
    return path


def test_a_content_is_looked_at_once(tmp_path: Path, file: Path) -> None:
    kept = tmp_path / ".snakemake/digests.json"
    first = said(kept, file)
    assert first.endswith(" ('avrobust.files', 'avrobust.files.part')")
    content, digest, imports = json.loads(kept.read_text())["one.py"]
    assert first.startswith(digest)
    kept.write_text(json.dumps({"one.py": [content, OTHER, imports]}))
    assert said(kept, file).startswith(OTHER)
    file.write_text(file.read_text() + "# a comment\n")
    assert said(kept, file) == first
    # One entry a file, that of its last content.
    assert [*json.loads(kept.read_text())] == ["one.py"]
    file.write_text("import avrobust\n")
    assert said(kept, file).endswith(" ('avrobust',)")


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: "",
        lambda entry: "[[",
        lambda entry: "[" * 100_000,
        lambda entry: "[1]",
        lambda entry: json.dumps({"one.py": entry[:2]}),
        lambda entry: json.dumps({"one.py": [entry[0], "no digest", entry[2]]}),
        lambda entry: json.dumps({"one.py": [entry[0], None, []]}),
        lambda entry: json.dumps({"one.py": [entry[0], OTHER, [1]]}),
        lambda entry: json.dumps({"one.py": [entry[0], OTHER, "avrobust"]}),
    ],
    ids=["empty", "half", "deep", "a list", "short", "a word", "nothing", "a number", "a text"],
)
def test_what_is_damaged_is_found_anew(tmp_path: Path, file: Path, damage) -> None:
    kept = tmp_path / "digests.json"
    first = said(kept, file)
    kept.write_text(damage(json.loads(kept.read_text())["one.py"]))
    assert said(kept, file) == first


def test_where_nothing_can_be_kept_it_is_found_anew(tmp_path: Path, file: Path) -> None:
    (tmp_path / "taken").touch()
    assert said(tmp_path / "taken/digests.json", file) == said(tmp_path / "digests.json", file)


def test_a_file_that_is_written_to_in_between_is_what_was_parsed(tmp_path: Path, file: Path) -> None:
    """Else its new content would have the old digest for ever."""
    source.tree(file)
    file.write_text("import avrobust\n")
    before = source.code_of(file)
    kept = tmp_path / "digests.json"
    source.keep_in(kept, tmp_path)
    assert said(kept, file).endswith(" ('avrobust',)") and before[1] != ("avrobust",)


def test_snakemake_keeps_it_takes_it_and_sees_what_has_changed(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    kept, results = root / ".snakemake/digests.json", root / "results/demo"
    train = "results/demo/models/music/audio/s1234/train.json"
    (root / train).parent.mkdir(parents=True)
    (root / train).write_text(json.dumps({"code": "of then"}))
    then = {"train.py": source.code_of(root / "scripts/train.py")[0]}
    (results / "code.json").write_text(json.dumps({"of then": then}))
    plan = ("-n", "--quiet", "all", "--", "results/demo/data/ave/manifest.csv")
    changed = "code that results in results/demo were made with has changed: scripts/train.py (1 of train)"

    assert changed not in snakemake(root, *plan).text
    entries = json.loads(kept.read_text())
    assert entries["scripts/train.py"][1] == then["train.py"]
    entries["scripts/train.py"][1] = OTHER
    kept.write_text(json.dumps(entries))
    assert changed in snakemake(root, *plan).text  # it was taken

    kept.unlink()
    assert changed not in snakemake(root, *plan).text
    with (root / "scripts/train.py").open("a") as program:
        program.write("print('more')\n")
    assert changed in snakemake(root, *plan).text
