"""What docs/extending.md adds, typed into a copy of the project as it stands there: which files that touches."""

import ast
import json
import shutil
import subprocess
import sys
from difflib import ndiff
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extending_page import ADDITIONS, DATA, sections, type_in
from planning import ROOT, changed, codes, copy_project, plan, unedited

from avrobust import parquet
from avrobust.data import manifest
from avrobust.metrics.schema import SCHEMA


def contents(root: Path) -> dict[str, str]:
    """Return what every file of a project holds, by its path."""
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in files}


def added_lines(old: str, new: str) -> list[str]:
    """Return the lines that `new` has more; AssertionError if it is not `old` with lines more."""
    compared = list(ndiff(old.splitlines(), new.splitlines()))
    assert not [line for line in compared if line.startswith("- ")]
    return [line[2:] for line in compared if line.startswith("+ ")]


def defined(text: str) -> set[str]:
    """Return what a module defines."""
    parts = ast.parse(text).body
    names = {part.name for part in parts if isinstance(part, ast.ClassDef | ast.FunctionDef)}
    return names | {part.targets[0].id for part in parts if isinstance(part, ast.Assign)}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_is_a_file_a_line_and_what_uses_it(tmp_path: Path, name: str) -> None:
    root = copy_project(tmp_path / "project")
    before = contents(root)
    for block in sections()[name]:
        type_in(root, block)
    after = contents(root)
    modules, registries = ADDITIONS[name]
    new = {f"scripts/avrobust/{module}" for module in modules}
    tables = {f"scripts/avrobust/{part}/registry.py" for part in registries}
    assert before.keys() <= after.keys()
    assert {file for file in after if after[file] != before.get(file)} == new | tables | set(DATA.get(name, []))
    assert after.keys() - before.keys() == new | {file for file in DATA.get(name, []) if file not in before}
    for table, file in zip(sorted(tables), sorted(new), strict=True):
        (line,) = added_lines(before[table], after[table])
        ((_, entry),) = ast.literal_eval(f"{{{line}}}").items()
        module, _, attribute = entry.partition(":")
        assert f"scripts/{module.replace('.', '/')}.py" == file
        assert attribute in defined(after[file])


# Run in the copy, whose kinds of artefacts and notation are its own.
DATASETS = ("music", "kinetics_sounds", "ave")
TOLD = """
import json, sys
sys.path[:0] = ["tests/workflow", "tests/programs", "scripts", "workflow"]
from types import SimpleNamespace as Job
from planning import ROOT, codes, plan
tables, manifest = plan(ROOT).tables, plan(ROOT, scale="paper").data
counted, bells = Job(artefact="tian2021/table9"), Job(dataset="bells")
print(json.dumps({
    "codes": [[list(key), code] for key, code in codes(ROOT).items()],
    "counts": [tables.spec(counted), *tables.read("cells")(counted)],
    "manifest": manifest.listed(bells),
}))
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A copy of the project with all that the page says, and what is planned there."""
    root = copy_project(tmp_path_factory.mktemp("extended") / "project")
    for folder in ("tests/workflow", "tests/programs"):
        shutil.copytree(ROOT / folder, root / folder)
    for blocks in sections().values():
        for block in blocks:
            type_in(root, block)
    run = subprocess.run([sys.executable, "-c", TOLD], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return root, json.loads(run.stdout)


def test_what_is_new_is_planned_and_nothing_else_has_other_code(extended: tuple[Path, dict]) -> None:
    """The page names no more than these; cells of before have the code of before, and so have their nets.

    But for what the undefended net's gradients make, which the new nets answer, too: it counts among any attack.
    """
    before, after = codes(unedited()), {tuple(key): code for key, code in extended[1]["codes"]}
    updates = ("fgsm", "pgd", "mim")
    answered = {("attack", dataset, "concat", attack) for dataset in DATASETS for attack in updates}
    assert changed(before, {key: after.get(key) for key in before}) == answered
    nets = ("concat_noise", "concat_small", "concat_shortened", "mine")
    assert {key[1:] for key in after.keys() - before.keys() if key[0] == "attack"} == {
        *((dataset, "concat", "mine") for dataset in DATASETS),
        *((dataset, net, attack) for dataset in DATASETS for net in nets for attack in updates),
        # By cross-entropy alone where the training loss is another, and past what features pass.
        *((dataset, "concat_small", attack) for dataset in DATASETS for attack in ("fgsm_ce", "mim_ce")),
        *((dataset, "concat_shortened", "fgsm_bypass") for dataset in DATASETS),
        ("bells", "concat", "fgsm"),
    }
    assert len(set(after.values())) > len(set(before.values()))


def test_the_counts_are_of_the_clips_that_are_recognised(extended: tuple[Path, dict], tmp_path: Path) -> None:
    root, told = extended
    layout, *cells = told["counts"]
    assert cells == [plan(unedited()).attack.cell_file(("music", "concat", "fgsm"), 1234)]
    cell = tmp_path / "cell.parquet"
    given = {"label": [0, 0, 1], "prediction": [0, 1, 1], "clip_id": ["a", "b", "c"]}
    given |= {name: [said] * 3 for name, said in (("surrogate", "concat"), ("victim", "concat"), ("attack", "fgsm"))}
    given |= {"modality": ["clean"] * 3, "budget": [""] * 3, "form": ["float"] * 3}
    rest = {"steps": [None] * 3} | dict.fromkeys(set(SCHEMA.names) - {*given, "steps"}, [0.0] * 3)
    made = parquet.table(SCHEMA, given | rest).replace_schema_metadata({"dataset": "music", "seed": "0"})
    pq.write_table(made, cell, write_page_checksum=True)
    command = [sys.executable, "scripts/artefact.py", "--kind", "counts", "--spec", layout, "--scale", "demo"]
    subprocess.run([*command, "--cells", cell, "--files", tmp_path / "table9.csv"], cwd=root, check=True)
    assert (tmp_path / "table9.csv").read_text() == (
        "dataset,variant,attack,recognised,unit,scale\nmusic,concat,fgsm,2,clips,demo\n"
    )


def test_the_list_of_the_dataset_becomes_a_manifest(extended: tuple[Path, dict], tmp_path: Path) -> None:
    root, told = extended
    listed = told["manifest"]
    options = ["--protocol", listed["protocol"], "--list", *listed["lists"], f"--options={listed['options']}"]
    options += ["--classes", *listed["classes"], *listed["spans_needed"]]
    made, classes = tmp_path / "manifest.csv", tmp_path / "classes.txt"
    command = [sys.executable, "scripts/manifest.py", "protocol", *options]
    subprocess.run([*command, "--manifest", made, "--class-list", classes], cwd=root, check=True)
    clips = [(one.clip_id, one.start, one.end, one.labels, one.split) for one in manifest.read(made)]
    assert clips[2] == ("tUe6RBqaEQ3", 12.5, 22.5, ("church",), "val")
    assert [clip[4] for clip in clips] == ["train", "train", "val", "val", "test", "test"]
    assert classes.read_text().split() == ["church", "bicycle"]
