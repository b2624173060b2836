"""paper_tables/index.csv: every artefact with its files, and whether it is done, failed or skipped, and why.

A rule does not run where an input of it failed, so no rule can write this: Snakemake's hooks do, at the end of every
run, from what its scheduler knows. What a run was not asked for keeps its line.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from avrobust.csv_text import read_csv, write_csv_text
from avrobust.files import write_text
from lib.jobs.tables import Tables

COLUMNS = ("paper", "artefact", "kind", "files", "status", "why", "scale", "n", "seeds")
DONE, FAILED, SKIPPED = "done", "failed", "skipped"
FOLDER = "paper_tables"


def write(workflow: Any, tables: Tables) -> None:
    """Bring the index up to date after a run of Snakemake's `workflow`."""
    dag, failed = workflow.dag, workflow.scheduler.failed
    asked = {str(path): job for job in dag.jobs for path in job.output}
    left = set(dag.needrun_jobs())
    states = {}
    for name, suffixes in tables.published.items():
        job = asked.get(f"{FOLDER}/{name}{suffixes[0]}")
        if job is not None:
            states[name] = _state(job, left, failed, dag.dependencies)
    root = Path(workflow.basedir)
    write_text(root / FOLDER / "index.csv", write_csv_text(COLUMNS, rows(root / FOLDER, tables, states)))


def rows(folder: Path, tables: Tables, states: Mapping[str, tuple[str, str]]) -> Iterator[list[str]]:
    """Yield the lines of the index: of what has a state (status, why) anew, of all else as they are.

    What is published by no paper of this configuration, or cannot be made here but was made before, keeps its line as
    long as its files are there.
    """
    old = {row["artefact"]: row for row in read_csv(folder / "index.csv")[1]} if (folder / "index.csv").exists() else {}
    for name, suffixes in tables.published.items():
        there = [f"{name}{suffix}" for suffix in suffixes if (folder / f"{name}{suffix}").exists()]
        if name not in states and name in old and (old[name]["status"] != DONE or len(there) == len(suffixes)):
            yield list(old[name].values())
            continue
        status, why = states.get(name) or ((DONE, "") if len(there) == len(suffixes) else (SKIPPED, "not asked for"))
        artefact = tables.artefacts.get(name)
        paper, kind = (artefact.paper, artefact.kind) if artefact else ("", name)
        yield [paper, name, kind, " ".join(there), status, why, *_sizes(folder / path for path in there)]
    for name, (paper, kind, why, suffixes) in tables.skipped.items():
        files = [f"{name}{suffix}" for suffix in suffixes]
        if name in old and old[name]["status"] == DONE and all((folder / path).exists() for path in files):
            yield list(old[name].values())
        else:
            yield [paper, name, kind, "", SKIPPED, why, "", "", ""]
    known = {*tables.published, *tables.skipped}
    for name, row in old.items():
        if name not in known and all((folder / path).exists() for path in row["files"].split()):
            yield list(row.values())


def _state(job: Any, left: set, failed: set, dependencies: Mapping) -> tuple[str, str]:
    """The status of what a job publishes, and what stood in its way."""
    waiting, seen = [job], set()
    while waiting:
        one = waiting.pop()
        if one not in left or one in seen:
            continue
        if one in failed:
            return FAILED, f"{one.rule.name}: {_last_line(one.log)}"
        seen.add(one)
        waiting += dependencies[one]
    return (SKIPPED, "the run ended before it") if job in left else (DONE, "")


def _last_line(logs: Iterable[str]) -> str:
    texts = (Path(log).read_text(encoding="utf-8", errors="replace") for log in logs if Path(log).exists())
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "nothing in its log"


def _sizes(paths: Iterable[Path]) -> list[str]:
    """What the CSV files say of scale, number of clips and seeds; several values are joined."""
    found: dict[str, dict[str, None]] = {"scale": {}, "n": {}, "seeds": {}}
    for path in paths:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    for column, values in found.items():
                        values |= dict.fromkeys(filter(None, [row.get(column)]))
    return [", ".join(sorted(values, key=lambda text: (len(text), text))) for values in found.values()]
