"""From nothing to published tables, and the same bytes whenever, wherever and on however many cores."""

import csv
import io
import os
from xml.etree import ElementTree

import pytest
from PIL import Image
from project import CLASSES, CLIPS, FIGURE, PUBLISHED, TABLES, Project

STATISTICS = ["published", "ours", "low", "high", "n", "seeds", "scale"]


def rows_of(project: Project, name: str) -> list[dict[str, str]]:
    """Return the rows of a published CSV."""
    return list(csv.DictReader(io.StringIO((project.published / name).read_text(encoding="utf-8"))))


def test_all_publishes_every_file_and_changes_nothing_in_it(finished):
    """paper_tables holds the named files and no other, each with the bytes of the one in results."""
    project = finished.project
    published = project.published_bytes()
    assert sorted(published) == sorted(PUBLISHED)
    assert {name: (project.results / "tables" / name).read_bytes() for name in PUBLISHED} == published


@pytest.mark.parametrize("name", [name for name in TABLES if name.endswith(".csv")])
def test_a_table_sets_ours_beside_the_published_value(finished, name):
    """Each line has both values, the interval around ours, and says how many clips, seeds and which scale."""
    rows = rows_of(finished.project, name)
    assert list(rows[0])[:1] == (["paper"] if "/" not in name else [list(rows[0])[0]])
    assert [column for column in rows[0] if column in STATISTICS] == STATISTICS
    for row in rows:
        assert float(row["low"]) <= float(row["ours"]) <= float(row["high"]), row
        assert (row["n"], row["seeds"], row["scale"]) == (str(CLASSES * CLIPS["test"]), "1", "tiny"), row


def test_tables_have_the_rows_of_the_paper(finished):
    """Table 1 has a row per attack, Table 2 one per fusion; printed values stand where the paper prints one."""
    first, second = rows_of(finished.project, "table1.csv"), rows_of(finished.project, "table2.csv")
    assert list(dict.fromkeys(row["attack"] for row in first)) == ["FGSM", "MIM"]
    assert list(dict.fromkeys(row["fusion"] for row in second)) == ["Sum", "Concat", "FiLM"]
    assert {row["paper"] for row in first + second} == {"tian2021"}
    printed = {(row["fusion"], row["column"]): row["published"] for row in second}
    assert printed["Sum", "X_A"] == "35.58"
    assert printed["Sum", "majority_class"] == ""


def test_the_figure_has_a_point_per_strength(finished):
    """The figure's data: each series at the two strengths of the scale, in percent."""
    rows = rows_of(finished.project, "tian2021/figure3.csv")
    strengths = {}
    for row in rows:
        strengths.setdefault((row["panel"], row["series"]), []).append(float(row["epsilon"]))
        assert 0 <= float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) <= 100
    assert {panel for panel, _ in strengths} == {"a", "b", "c"}
    assert all(epsilons == [0.006, 0.012] for epsilons in strengths.values())


def test_published_pictures_and_markdown_open(finished):
    """Other programs read them: Pillow the PNG, an XML parser the SVG; Markdown has a table of equal rows."""
    published = finished.project.published
    with Image.open(published / "tian2021/figure3.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors()) > 2, "nothing is drawn"
    assert ElementTree.parse(published / "tian2021/figure3.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    for name, height in (("table1.md", 2), ("table2.md", 3)):
        lines = (published / "tian2021" / name).read_text(encoding="utf-8").splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert len(table) == 2 + height, table
        assert len({line.count("|") for line in table}) == 1, table


def test_a_second_time_there_is_nothing_to_do(finished_copy):
    """Once made, `all` does nothing: as it is, and with every file of the project newer than the results."""
    assert "Nothing to be done" in finished_copy.make("all")
    for path in finished_copy.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(finished_copy.results) and ".snakemake" not in path.parts:
            os.utime(path)
    assert finished_copy.plan() == {}


def test_touched_results_are_compared_by_content(finished_copy):
    """A newer time alone makes nothing anew where Snakemake compares contents, up to 1 MB a file.

    All results get new times in the order that suits Snakemake least, what is read after what is made of it. A
    file beyond 1 MB, such as a shard of the larger scales, has only its time, and what follows from it is made anew.
    """
    results = (path for path in finished_copy.results.rglob("*") if path.is_file())
    order = ["benchmarks", "logs", "tables", "cells", "models", "data"]
    for path in sorted(results, key=lambda path: order.index(path.relative_to(finished_copy.results).parts[0])):
        os.utime(path)
    models = finished_copy.results.rglob("model.pt")
    large = {path for path in models if path.stat().st_size > 1e6}
    print(len(large))
    assert finished_copy.plan() == {}
    assert set(finished_copy.plan("--max-checksum-file-size", "0").values()) > {"train", "attack"}


def test_a_cell_made_again_has_the_same_bytes(finished, finished_copy):
    """The same seeds give the same cell and the same tables."""
    cell = "cells/music/concat/s1234/mim.parquet"
    (finished_copy.results / cell).unlink()
    finished_copy.make("all")
    assert (finished_copy.results / cell).read_bytes() == (finished.project.results / cell).read_bytes()
    assert finished_copy.published_bytes() == finished.project.published_bytes()


def test_the_number_of_cores_changes_nothing(finished, tmp_path):
    """From nothing in another folder on one core: shards, net and cell have the bytes made on all cores."""
    project = Project.from_repository(tmp_path / "project")
    cell = "cells/music/audio/s1234/fgsm.parquet"
    project.make("--cores", "1", f"results/tiny/{cell}")
    shards = [f"data/music/shards/{number:04d}.arrow" for number in range(2)]
    net = "models/music/audio/s1234"
    for name in (*shards, "data/music/availability.csv", f"{net}/model.pt", f"{net}/history.csv", cell):
        assert (project.results / name).read_bytes() == (finished.project.results / name).read_bytes(), name


def test_a_failing_job_leaves_the_published_tables(finished, finished_copy):
    """A table that cannot be computed any more fails loudly; what was published stays as it was."""
    finished_copy.edit_code("report/tables.py", "measure", "raise RuntimeError('broken on purpose')")
    assert "RuntimeError: broken on purpose" in finished_copy.fail("all")
    assert finished_copy.published_bytes() == finished.project.published_bytes()


def test_figure_files_are_known():
    """The figure's three files are among the published ones, each in its own format."""
    assert [name.rsplit(".", 1)[1] for name in FIGURE] == ["csv", "svg", "png"]
