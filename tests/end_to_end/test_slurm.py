"""The whole workflow as jobs of a real SLURM: the one of one node that tests/slurm/cluster.sh starts.

Its GPUs are pretended: `device: cuda_or_cpu` lets jobs ask for one and programs run without it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from project import Project, keep_rows, victim
from slurm_jobs import GPU_TYPE, remembered

ASKED = {"render": "N/A", "pack": "N/A"} | dict.fromkeys(
    ("train", "search", "attack", "localise", "embed"), f"gres:gpu:{GPU_TYPE}:1"
)
pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]


@pytest.fixture
def few_jobs(fresh_copy: Project) -> Project:
    """The tiny project cut down to a job or a few of every kind, because each costs two starts of Snakemake."""
    fresh_copy.edit_paper(_keep_one_of_a_kind)
    (fresh_copy.root / "slurm").symlink_to("profiles/slurm")
    return fresh_copy


def _keep_one_of_a_kind(paper: dict) -> None:
    artefacts = paper["artefacts"]
    paper["artefacts"] = {name: artefacts[name] for name in ("table1", "table3", "figure5", "localisation")}
    paper["claims"] = []
    keep_rows(paper, "table1", lambda row: row["attack"] == "fgsm")
    keep_rows(paper, "table3", lambda row: victim(row) in ("concat", "pcl") and row["attack"] == "fgsm")
    for artefact, part in (("figure5", "panels"), ("localisation", "rows")):
        del artefacts[artefact][part][1:]


def submitted(output: str, rules: Sequence[str]) -> dict[str, str]:
    """Return the rule of each job that Snakemake says to have submitted, by SLURM's number for it."""
    logs = re.findall(r"submitted with SLURM jobid (\d+) \(log: \S+/rule_([a-z_]+)/", output)
    assert {rule for _, rule in logs} == {*rules}, output
    return dict(logs)


def test_jobs_of_a_cluster_make_the_tables_of_a_local_run(few_jobs: Project, tmp_path: Path, monkeypatch) -> None:
    """Every kind of job in its partition, with one GPU if it computes; the same bytes as on this machine alone."""
    local = few_jobs.copy(tmp_path / "local")
    monkeypatch.setenv("AVROBUST_SLURM_POLL", "8")
    monkeypatch.setenv("AVROBUST_SLURM_PARTITIONS", "profiles/slurm/partitions.example.yaml")
    monkeypatch.setenv("AVROBUST_SLURM_GPU_TYPE", GPU_TYPE)
    output = few_jobs.make("--profile", "slurm", "--config", "scale=tiny", "device=cuda_or_cpu", "--", "all")

    rules = submitted(output, ASKED)
    assert len(rules) < 40
    gpus, partitions, states = (remembered(field) for field in ("tres-per-job", "Partition", "State"))
    for job, rule in rules.items():
        assert (rule, gpus[job]) == (rule, ASKED[rule])
        assert (rule, partitions[job]) == (rule, "cpu" if ASKED[rule] == "N/A" else "gpu")
        assert (rule, states[job]) == (rule, "COMPLETED")

    local.make("all")
    assert few_jobs.published_bytes() == local.published_bytes() != {}
