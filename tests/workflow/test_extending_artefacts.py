"""The recipe of docs/extending.md for a kind of artefact, typed as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from planning import ROOT, copy_project, plan, replace

from avrobust.evaluation import rows


def test_a_kind_is_two_files_and_two_lines(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "project")
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    section = page[page.index("## A kind of table or figure") : page.index("## A claim, or a choice")]
    spec, report, artefact = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    scripts = root / "scripts/avrobust"
    (scripts / "spec/artefacts/counts.py").write_text(spec)
    (scripts / "report/counts.py").write_text(report)
    entries = (("spec.artefacts.counts:COUNTS", "spec", "KINDS"), ("report.counts:write", "report", "WRITERS"))
    for name, part, table in entries:
        replace(scripts / part / "registry.py", f"{table} = {{\n", f'{table} = {{\n    "counts": "avrobust.{name}",\n')
    replace(root / "workflow/papers/tian2021/artefacts.yaml", "\n  table1:\n", f"\n  {artefact.strip()}\n  table1:\n")

    program = """
import sys, yaml
sys.path[:0] = ["workflow", "scripts"]
from types import SimpleNamespace
from lib.plan import Plan
plan = Plan.load(".", yaml.safe_load(open("config.yaml")))
job = SimpleNamespace(artefact="tian2021/table9")
print(plan.tables.spec(job), *plan.tables.read("cells")(job), sep="\\n")
print(plan.tables.code("artefact.py", "artefact")(job))
"""
    told = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    layout, *cells, code = told.stdout.split("\n")[:-1]
    assert cells == [plan(ROOT).attack.cell_file(("music", "concat", "fgsm"), 1234)]
    assert re.fullmatch("[0-9a-f]{16}", code)

    cell = tmp_path / "cell.parquet"
    given = {"label": [0, 0, 1], "prediction": [0, 1, 1], "clip_id": ["a", "b", "c"]}
    given |= {name: [said] * 3 for name, said in (("surrogate", "concat"), ("victim", "concat"), ("attack", "fgsm"))}
    given |= {"modality": ["clean"] * 3, "budget": [""] * 3}
    rest = {"steps": [None] * 3} | dict.fromkeys(set(rows.SCHEMA.names) - {*given, "steps"}, [0.0] * 3)
    made = rows.table(given | rest).replace_schema_metadata({"dataset": "music", "seed": "0"})
    pq.write_table(made, cell, write_page_checksum=True)
    command = [sys.executable, "scripts/artefact.py", "--kind", "counts", "--spec", layout, "--scale", "demo"]
    subprocess.run([*command, "--cells", cell, "--files", tmp_path / "table9.csv"], cwd=root, check=True)
    assert (tmp_path / "table9.csv").read_text() == (
        "dataset,variant,attack,recognised,scale\nmusic,concat,fgsm,2,demo\n"
    )
