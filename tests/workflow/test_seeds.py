"""Each seed is a world of its own: what a job of one seed is told, reads and writes is of that seed."""

import json
import re
import shlex
from collections import Counter

import pytest
from planning import Job, snakemake, unedited

SEEDS = ("1234", "1235", "1236")
# The nets of Table 3 and the control, which all answer what FGSM makes of clips by the undefended net's gradients.
ANSWERING = (
    "concat", "audio", "visual", "pcl", "maxsim", "minsim", "exfmem", "minsim_exfmem", "concat_continued",
    "minsim_continued", "planted_masking",
)  # fmt: skip
# Of each rule that has a seed, and what it goes on from: searched, in two stages, transferred, localised, embedded.
TARGETS = (
    "models/music/pcl/s{}/model.pt",
    "models/music/minsim_exfmem/s{}/model.pt",
    "cells/music/s{}/concat.plain.parquet",
    "cells/music/s{}/audio.plain.parquet",
    "localisation/music/localisation/s{}/fgsm.parquet",
    "embeddings/music/minsim/s{}/fgsm.parquet",
)


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    targets = [f"results/paper/{target.format(seed)}" for target in TARGETS for seed in SEEDS]
    run = snakemake(unedited(), "-n", "-p", "--config", "scale=paper", "--", *targets)
    assert run.status == 0, run.text
    return [job for job in run.jobs if "seed" in job.wildcards or job.rule == "search"]


def test_every_rule_with_a_seed_is_here(jobs: list[Job]) -> None:
    nets = (*ANSWERING, "localisation")
    assert Counter((job.rule, job.wildcards.get("seed")) for job in jobs) == {
        ("search", None): 1,
        **{("train", seed): len(nets) for seed in SEEDS},
        **{("attack", seed): 2 for seed in SEEDS},
        **{("localise", seed): 1 for seed in SEEDS},
        **{("embed", seed): 1 for seed in SEEDS},
    }


def test_a_job_is_told_reads_and_writes_its_own_seed_only(jobs: list[Job]) -> None:
    for job in jobs:
        # One search for all seeds, with the first of them.
        seed = job.wildcards.get("seed", SEEDS[0])
        words = shlex.split(job.command)
        assert set(re.findall(r"/s(\d+)/", " ".join((*job.input, *job.output, *words)))) == {seed}
        if "--seed" in words:
            assert words[words.index("--seed") + 1] == seed
        else:
            assert json.loads(words[words.index("--key") + 1])["seed"] == seed
        assert ("--seed" in words) == (job.rule in ("train", "search"))


def test_a_job_is_given_the_nets_of_its_seed_that_it_names(jobs: list[Job]) -> None:
    """In the command as among the inputs, so that none is there for show."""
    for job in jobs:
        nets = {name for name in job.input if name.endswith("/model.pt")}
        assert nets == set(re.findall(r"results/\S+/model\.pt", job.command)) - set(job.output)
        if job.wildcards.get("bundle") == "concat.plain":
            folder = "results/paper/models/music/{}/s" + job.wildcards["seed"]
            assert nets == {f"{folder.format(name)}/model.pt" for name in ANSWERING}
