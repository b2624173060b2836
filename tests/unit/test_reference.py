"""A reference says field by field, pixel by pixel and net by net what another run makes otherwise."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import preloaded
import pytest
import torch
from PIL import Image

from avrobust.models.files import write_tensors
from avrobust.program import UserError
from avrobust.report.reference import Difference, compare, digests, read_record, report, write

PROGRAM = Path(__file__).parents[2] / "scripts/reference.py"
TABLE = "dataset,attack,ours,verdict\nMUSIC,FGSM,97.73,holds\nMUSIC,PGD,26.14,undecided\n"
RECORD = {"commit": "abc", "processor": "P", "devices": ["x86_64 CPU"], "versions": {"torch": "2.11.0"}, "weights": {}}


def picture(value: int) -> Image.Image:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[1, 2, 0] = value
    return Image.fromarray(pixels)


def make_tables(folder: Path, table: str = TABLE, text: str = "# One\n", value: int = 0) -> Path:
    """Write a table in both forms, a drawing and what is not compared."""
    (folder / "paper").mkdir(parents=True)
    (folder / "table.csv").write_text(table, encoding="utf-8")
    (folder / "paper/table.md").write_text(text, encoding="utf-8")
    (folder / "paper/figure.svg").write_text("<svg/>", encoding="utf-8")
    picture(value).save(folder / "paper/figure.png")
    return folder


def make_model(path: Path, weight: float, note: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"model": {"b": torch.tensor([weight, 2.0]), "a": torch.zeros(2, 3)}, "objective": {}}
    write_tensors(path, {"best": state, "latest": {"model": {"a": torch.ones(1)}, "objective": {}}, "spec": note})
    path.with_name("train.json").write_text(json.dumps({"device": "x86_64 CPU"}), encoding="utf-8")


def test_csv_markdown_and_png_are_copied_and_what_is_no_longer_made_goes(tmp_path) -> None:
    tables, reference = make_tables(tmp_path / "tables"), make_tables(tmp_path / "reference")
    (reference / "old.csv").write_text("a\n", encoding="utf-8")
    (reference / "README.txt").write_text("mine", encoding="utf-8")
    (reference / "paper/figure.svg").unlink()
    assert write(tables, reference, RECORD) == 3
    made = {path.relative_to(reference).as_posix() for path in reference.rglob("*") if path.is_file()}
    assert made == {"table.csv", "paper/table.md", "paper/figure.png", "reference.json", "README.txt"}
    assert read_record(reference) == RECORD
    assert compare(tables, reference, {}, {}).count == 0


def test_each_field_that_differs_is_named_with_its_difference(tmp_path) -> None:
    reference = make_tables(tmp_path / "reference")
    here = TABLE.replace("97.73", "90.91").replace("26.14,undecided", "27.27,fails")
    found = compare(make_tables(tmp_path / "tables", here), reference, {}, {})
    assert [field[:6] for field in found.fields] == [
        ("table.csv", 2, "MUSIC, FGSM, holds", "ours", "97.73", "90.91"),
        ("table.csv", 3, "MUSIC, PGD", "ours", "26.14", "27.27"),
        ("table.csv", 3, "MUSIC, PGD", "verdict", "undecided", "fails"),
    ]
    assert [field.difference for field in found.fields] == [pytest.approx(-6.82), pytest.approx(1.13), None]
    assert (found.files, found.weights, found.count) == ([], [], 3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text": "# Two\nmore\n"}, "paper/table.md: 2 lines differ"),
        ({"value": 9}, "paper/figure.png: 1 of 6 pixels differ, by up to 9 of 255"),
        ({"table": TABLE + "AVE,FGSM,1,holds\n"}, "table.csv: 3 lines here, 2 in the reference"),
        ({"table": "a\n1\n"}, "table.csv: columns a here, dataset, attack, ours, verdict in the reference"),
    ],
)
def test_a_file_that_differs_otherwise_is_said_in_a_line(tmp_path, changed, said) -> None:
    found = compare(make_tables(tmp_path / "tables", **changed), make_tables(tmp_path / "reference"), {}, {})
    assert (found.fields, found.files) == ([], [said])


def test_files_and_models_of_one_side_only_are_told(tmp_path) -> None:
    tables, reference = make_tables(tmp_path / "tables"), make_tables(tmp_path / "reference")
    (tables / "new.csv").write_text("a\n", encoding="utf-8")
    (reference / "paper/table.md").unlink()
    one = {"best": "1", "latest": "2"}
    found = compare(tables, reference, {"x": one, "y": one, "n": one}, {"x": one, "y": {**one, "best": "3"}, "o": one})
    assert found.files == ["new.csv: not in the reference", "paper/table.md: not in the reference"]
    assert found.weights == ["n: not in the reference", "o: only in the reference", "y: other weights (best)"]


def test_a_digest_is_of_the_tensors_and_not_of_the_file(tmp_path) -> None:
    for name, weight, note in (("one", 1.0, ""), ("two", 1.0, "note"), ("other", 1.0000001, "")):
        make_model(tmp_path / f"music/{name}/s1/model.pt", weight, note)
    found = digests(tmp_path)
    assert list(found) == ["music/one/s1", "music/other/s1", "music/two/s1"]
    assert found["music/one/s1"] == found["music/two/s1"]
    assert found["music/one/s1"]["best"] != found["music/other/s1"]["best"]
    assert found["music/one/s1"]["latest"] == found["music/other/s1"]["latest"]


def test_a_damaged_model_and_a_folder_without_any_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        digests(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"<html>no</html>")
    with pytest.raises(UserError, match=r"model\.pt is no whole model file \(it is a web page") as error:
        digests(tmp_path)
    assert "weights_only" not in str(error.value)


def test_the_report_sums_up_a_file_and_names_other_versions(tmp_path) -> None:
    fields = [
        Difference("t.csv", 2, "MUSIC", "ours", "1", "3", 2.0),
        Difference("t.csv", 3, "AVE", "ours", "9", "4", -5.0),
        Difference("t.csv", 3, "AVE", "verdict", "holds", "fails", None),
    ]
    found = compare(make_tables(tmp_path / "a"), make_tables(tmp_path / "b"), {}, {})._replace(fields=fields)
    lines = list(report(found, RECORD, {**RECORD, "processor": "Q", "versions": {"torch": "2.12.0"}}))
    assert lines == [
        "reference: commit abc; P; trained on x86_64 CPU",
        "here:      commit abc; Q; trained on x86_64 CPU",
        "torch 2.12.0 here, 2.11.0 in the reference",
        "t.csv: 3 fields differ, numbers by up to 5 (AVE, ours); 1 verdicts: holds -> fails 1",
        "otherwise than in the reference: 3 fields of CSV files, 0 other files, the weights of 0 models",
    ]


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with a finished run in it."""
    make_tables(tmp_path / "results/demo/tables")
    make_model(tmp_path / "results/demo/models/music/concat/s1/model.pt", 1.0)
    (tmp_path / ".gitignore").write_text("/results/\n", encoding="utf-8")
    (tmp_path / "code.py").write_text("1\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".gitignore", "code.py")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "one")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def program(folder: Path, what: str, *more: str) -> tuple[int, list[str]]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = preloaded.program([PROGRAM, what, *more], folder, own)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_a_reference_is_made_of_a_commit_and_checked(repository) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    said = f"paper_tables/reference/demo: 3 files and the digests of 1 models, of commit {commit}"
    assert program(repository, "make") == (0, [said])
    status, lines = program(repository, "check")
    assert (status, lines[-1]) == (0, "all is as in the reference: every file to the byte, every weight to the bit")
    assert lines[1].startswith(f"here:      commit {commit}; ")
    (repository / "code.py").write_text("2\n", encoding="utf-8")
    assert program(repository, "check")[1][1].startswith(f"here:      commit {commit} and changes; ")
    (repository / "results/demo/tables/table.csv").write_text(TABLE.replace("97.73", "97.74"), encoding="utf-8")
    make_model(repository / "results/demo/models/music/concat/s1/model.pt", 2.0)
    status, lines = program(repository, "check")
    assert status == 1
    assert lines[2:] == [
        "table.csv: 1 fields differ, numbers by up to 0.01 (MUSIC, FGSM, holds, ours)",
        "weights of music/concat/s1: other weights (best)",
        "otherwise than in the reference: 1 fields of CSV files, 0 other files, the weights of 1 models",
        "each field: results/demo/otherwise.csv",
    ]
    listed = (repository / "results/demo/otherwise.csv").read_text(encoding="utf-8").splitlines()
    assert listed[1].startswith('table.csv,2,"MUSIC, FGSM, holds",ours,97.73,97.74,')


def test_what_else_lies_beside_a_demo_is_none_of_its_reference(repository) -> None:
    results = repository / "results/demo"
    listed = ["models/music/concat/s1/model.pt", "tables/table.csv", "tables/paper/table.md", "tables/paper/figure.png"]
    lines = ["output_file\tdate", *(f"results/demo/{name}\t-" for name in listed)]
    (results / "made.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (results / "tables/sensitivity.csv").write_text("a\n", encoding="utf-8")
    make_model(results / "models/music/aside/s1/model.pt", 1.0)
    (results / "models/music/aside/s1/train.json").write_text('{"device": "NVIDIA H100"}', encoding="utf-8")
    told = ("--made", "results/demo/made.tsv")
    status, (said,) = program(repository, "make", *told)
    assert status == 0 and "3 files and the digests of 1 models" in said
    assert program(repository, "check", *told)[0] == 0
    status, lines = program(repository, "check")
    assert status == 1
    assert lines[-3:-1] == [
        "sensitivity.csv: not in the reference",
        "weights of music/aside/s1: not in the reference",
    ]
    status, lines = program(repository, "check", "--made", "nowhere.tsv")
    assert status == 1 and len(lines) == 1 and "nowhere.tsv" in lines[0]


@pytest.mark.parametrize("what", ["clean", "make"])
@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_no_reference_is_made_of_changes(repository, what, name) -> None:
    (repository / name).write_text("2\n", encoding="utf-8")
    said = f"error: a reference is of a commit, but {name} is changed or new; commit or remove it, "
    assert program(repository, what) == (1, [said + "then give the same command again"])
    assert not (repository / "paper_tables").exists()


def test_no_reference_is_made_of_what_a_gpu_trained(repository) -> None:
    told = repository / "results/demo/models/music/concat/s1/train.json"
    told.write_text(json.dumps({"device": "NVIDIA H100"}), encoding="utf-8")
    said = "error: results/demo/models has nets that were trained on NVIDIA H100, and a reference is made on a CPU; "
    assert program(repository, "make") == (1, [f"{said}`rm -r results/demo` and the same command again make it there"])
    assert not (repository / "paper_tables").exists()


def test_published_tables_are_no_change(repository) -> None:
    (repository / "paper_tables").mkdir()
    (repository / "paper_tables/table.csv").write_text("a\n", encoding="utf-8")
    assert program(repository, "clean") == (0, [f"commit {git(repository, 'rev-parse', 'HEAD')}"])


def test_without_a_reference_the_line_says_what_makes_one(repository) -> None:
    status, lines = program(repository, "check")
    assert status == 1
    assert len(lines) == 1 and "`make reference` makes one" in lines[0]
