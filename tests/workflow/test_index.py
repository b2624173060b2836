"""paper_tables/index.csv after a run: what is done, what failed and why, what was not asked for."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib import index

PUBLISHED = {"p/table1": (".csv", ".md"), "p/figure2": (".svg",), "table1": (".csv",), "checks": (".csv",)}
ARTEFACTS = {
    "p/table1": SimpleNamespace(paper="p", kind="table"),
    "p/figure2": SimpleNamespace(paper="p", kind="sweep"),
    "table1": SimpleNamespace(paper="", kind="stack"),
}
TABLES = SimpleNamespace(published=PUBLISHED, artefacts=ARTEFACTS, skipped={})


class Job(SimpleNamespace):
    """A job of Snakemake's, as far as an index asks."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def job(rule: str, *output: str, log: str = "") -> Job:
    return Job(rule=SimpleNamespace(name=rule), output=output, log=[log] if log else [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "paper_tables/p").mkdir(parents=True)
    return tmp_path / "paper_tables"


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("dataset,scale,n,seeds\nmusic,demo,88,1\nave,demo,9,1\nall,,,\n", encoding="utf-8")


def written(folder: Path, jobs: dict[Job, list[Job]], left: list[Job] = (), failed: list[Job] = ()) -> list[list[str]]:
    """Return the lines of the index after a run of these jobs, each with those that it waits for."""
    dag = SimpleNamespace(jobs=list(jobs), dependencies=jobs, needrun_jobs=lambda: iter(left))
    workflow = SimpleNamespace(dag=dag, scheduler=SimpleNamespace(failed=set(failed)), basedir=folder.parent)
    index.write(workflow, TABLES)
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["paper", "artefact", "kind", "files", "status", "why", "scale", "n", "seeds"]
    return lines


NOTHING = ["", "", ""]
NOT_ASKED = [
    ["p", "p/table1", "table", "", "skipped", "not asked for", *NOTHING],
    ["p", "p/figure2", "sweep", "", "skipped", "not asked for", *NOTHING],
    ["", "table1", "stack", "", "skipped", "not asked for", *NOTHING],
    ["", "checks", "checks", "", "skipped", "not asked for", *NOTHING],
]
DONE = ["p", "p/table1", "table", "p/table1.csv p/table1.md", "done", "", "demo", "9, 88", "1"]


def test_what_is_published_is_done_and_says_of_how_much_it_is(folder: Path) -> None:
    put(folder, "p/table1.csv", "p/table1.md")
    made = job("publish", "paper_tables/p/table1.csv", "paper_tables/p/table1.md")
    assert written(folder, {made: []}) == [DONE, *NOT_ASKED[1:]]


def test_of_what_failed_the_rule_and_the_last_line_of_its_log_are_told(folder: Path) -> None:
    (folder.parent / "attack.log").write_text("12:00:00 attacking\nerror: the disk is full\n\n", encoding="utf-8")
    attack = job("attack", "cells", log=str(folder.parent / "attack.log"))
    table = job("table", "results/table1.csv")
    figure = job("sweep", "results/figure2.svg", log=str(folder.parent / "none.log"))
    publish = [job("publish", "paper_tables/p/table1.csv"), job("publish", "paper_tables/p/figure2.svg")]
    jobs = {publish[0]: [table], publish[1]: [figure], table: [attack], figure: [], attack: []}
    lines = written(folder, jobs, left=list(jobs), failed=[attack, figure])
    assert [line[4:6] for line in lines[:2]] == [
        ["failed", "attack: the disk is full"],
        ["failed", "sweep: nothing in its log"],
    ]


def test_what_a_run_did_not_come_to_is_no_failure(folder: Path) -> None:
    """Another job failed, on which it does not wait; what it does wait for is done already, or waits itself."""
    attack, other, train = job("attack", "cells"), job("attack", "others"), job("train", "model")
    publish = job("publish", "paper_tables/p/table1.csv")
    jobs = {publish: [attack], attack: [train, publish], other: [], train: []}
    (line, *_) = written(folder, jobs, left=[publish, attack, other], failed=[other, train])
    assert line[4:6] == ["skipped", "the run ended before it"]


def test_what_a_run_was_not_asked_for_keeps_its_line(folder: Path) -> None:
    publish = job("publish", "paper_tables/p/figure2.svg")
    figure = job("sweep", "figure2.svg")
    assert written(folder, {publish: [figure], figure: []}, left=[publish, figure], failed=[figure])[1][4] == "failed"
    put(folder, "p/table1.csv", "p/table1.md")
    made = job("publish", "paper_tables/p/table1.csv")
    lines = written(folder, {made: []})
    assert lines[0] == DONE and lines[1][4:6] == ["failed", "sweep: nothing in its log"]
    # What a user has taken away is no longer done; what is there without a line is.
    (folder / "p/table1.md").unlink()
    assert written(folder, {})[0][3:6] == ["p/table1.csv", "skipped", "not asked for"]
    (folder / "index.csv").unlink()
    put(folder, "p/table1.md")
    assert written(folder, {})[0] == DONE


def test_the_line_of_another_papers_table_stays_as_long_as_its_files(folder: Path) -> None:
    put(folder, "other.csv")
    line = ["q", "other", "table", "other.csv", "done", "", "demo", "9, 88", "1"]
    (folder / "index.csv").write_text(",".join(index.COLUMNS) + "\n" + ",".join(line[:7]) + ',"9, 88",1\n', "utf-8")
    assert written(folder, {}) == [*NOT_ASKED, line]
    (folder / "other.csv").unlink()
    assert written(folder, {}) == NOT_ASKED
