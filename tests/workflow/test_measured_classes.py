"""Artefacts that read the measured classes of nets: what is trained and measured for them, and what they are given."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, paper, plan, snakemake, write_paper

from lib.errors import SettingsError
from lib.plan import Plan

HULLS = {
    "kind": "hulls",
    "title": "Hulls",
    "caption": "",
    "classes": ["cello", "flute", "tuba"],
    "panels": [
        {"title": "A", "read": {"dataset": "music", "variant": "concat"}},
        {"title": "B", "read": {"dataset": "music", "variant": "concat_alone"}},
    ],
}
CRUST = {
    "kind": "crust",
    "title": "Crust",
    "caption": "",
    "of_class": "violin",
    "read": {"dataset": "music", "variant": "concat"},
}
NET = SimpleNamespace(dataset="music", variant="concat", seed="1")


@pytest.fixture
def with_figures(tmp_path: Path) -> Callable[..., Path]:
    """A copy whose paper has these figures, and a net that nothing else reads; two seeds."""

    def write(**figures: dict) -> Path:
        root = copy_project(tmp_path)
        facts = paper(root)
        facts["variants"]["concat_alone"] = facts["variants"]["concat"]
        facts["artefacts"] |= figures
        write_paper(root, facts)
        scale = root / "workflow/scales/two.yaml"
        scale.write_text("extends: demo\nseeds: [1, 2]\n")
        return root

    return write


def planned(root: Path) -> Plan:
    return plan(root, scale="two")


def test_a_figure_makes_nets_be_trained_and_measured(with_figures: Callable[..., Path]) -> None:
    made = planned(with_figures(figure31=HULLS, figure1b=CRUST))
    assert ("music", "concat_alone") in made.grid.trained, "which no other artefact reads"
    of = SimpleNamespace(artefact="tian2021/figure31")
    nets = [f"results/two/geometry/music/{net}/s{seed}" for net in ("concat", "concat_alone") for seed in (1, 2)]
    assert made.tables.read("geometry")(of) == [f"{net}.parquet" for net in nets]
    assert made.tables.read("points")(of) == [f"{net}_points.parquet" for net in nets]
    assert made.tables.read("cells")(of) == made.tables.read("embeddings")(of) == []
    # The classes that any figure draws of this net, and those of the other.
    assert made.analysis.measured(NET)["shown_classes"] == ["--shown-classes", "cello", "flute", "tuba", "violin"]
    alone = SimpleNamespace(**{**vars(NET), "variant": "concat_alone"})
    assert made.analysis.measured(alone)["shown_classes"] == ["--shown-classes", "cello", "flute", "tuba"]
    assert made.analysis.measured(alone)["key"] == '{"dataset":"music","seed":"1","variant":"concat_alone"}'
    assert made.tables.read("geometry")(SimpleNamespace(artefact="tian2021/figure3")) == []


def test_of_the_first_seed_alone_where_the_figure_says_so(with_figures: Callable[..., Path]) -> None:
    made = planned(with_figures(figure31={**HULLS, "seeds": "first"}, figure1b=CRUST))
    of = SimpleNamespace(artefact="tian2021/figure31")
    nets = [f"results/two/geometry/music/{net}/s1.parquet" for net in ("concat", "concat_alone")]
    assert made.tables.read("geometry")(of) == nets
    assert len(made.tables.read("geometry")(SimpleNamespace(artefact="tian2021/figure1b"))) == 2


def test_snakemake_plans_a_job_for_each_net_that_is_measured(with_figures: Callable[..., Path]) -> None:
    root = with_figures(figure31=HULLS)
    run = snakemake(root, "-n", "-p", "--config", "scale=two", "--", "paper_tables/tian2021/figure31.svg")
    assert run.status == 0, run.text
    jobs = [job for job in run.jobs if job.rule == "geometry"]
    assert len(jobs) == 4 and run.counts["hulls"] == 1 and run.counts["train"] == 4
    (job,) = [job for job in jobs if job.wildcards == {**vars(NET), "scale": "two"}]
    folder = "results/two/geometry/music/concat"
    assert job.output == (f"{folder}/s1.parquet", f"{folder}/s1_points.parquet", f"{folder}/s1.json")
    assert " --shown-classes cello flute tuba --rows " in job.command


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({**HULLS, "classes": ["cello", "cellos"]}, "artefacts.figure31: 'cellos' is no class of music"),
        ({**CRUST, "of_class": "Siren"}, "artefacts.figure31: 'Siren' is no class of music"),
        ({**CRUST, "read": {"dataset": "music", "variant": "concat2"}}, "'concat2' is none of the paper's variants"),
        ({**HULLS, "classes": list("abcde")}, "classes: 5 are drawn"),
    ],
)
def test_a_mistake_in_a_figure_is_named_before_any_job(
    with_figures: Callable[..., Path], figure: dict, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        planned(with_figures(figure31=figure))
