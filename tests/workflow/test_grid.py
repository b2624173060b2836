"""The cells: each once, with exactly the conditions that the tables and the figure read."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from planning import ROOT, configuration, copy_project, plan, unedited

from lib.grid import Grid, expand
from lib.settings import Settings, SettingsError, load_settings

PAPER = "workflow/papers/tian2021.yaml"
OFFICIAL = ("fgsm_official", "mim_official")
TEXTBOOK = ("fgsm", "pgd", "mim")
DEMO_SWEEP = (0.003, 0.006, 0.012, 0.024)
PAPER_SWEEP = (0.002, 0.004, 0.006, 0.008, 0.01, 0.012)

# Table 1: concat on two datasets under six attacks. Table 2: five fusions on MUSIC under FGSM. Appendix table 1: concat
# on AVE under four attacks. The columns for one modality alone are read from that net's FGSM cell.
CELLS = {
    *(("music", "concat", attack) for attack in TEXTBOOK + OFFICIAL),
    *(("kinetics_sounds", "concat", attack) for attack in TEXTBOOK + OFFICIAL),
    *(("ave", "concat", attack) for attack in (*TEXTBOOK, "mim_official")),
    *(("music", variant, "fgsm") for variant in ("sum", "film", "gated_sum", "gated_concat")),
    *((dataset, variant, "fgsm") for dataset in ("music", "kinetics_sounds", "ave") for variant in ("audio", "visual")),
}


def settings(**changes: object) -> Settings:
    return load_settings(unedited(), configuration(unedited(), **changes))


def grid(scale: str = "demo", epsilon: str = "corrected") -> Grid:
    choices = configuration(unedited())["tian2021"] | {"epsilon": epsilon}
    return expand(settings(scale=scale, tian2021=choices))


def over(modalities: Iterable[str], *epsilons: float) -> set[tuple[str, float]]:
    return {(modality, epsilon) for modality in modalities for epsilon in epsilons}


def table1(large: float, small: float) -> set[tuple[str, float]]:
    return {("audio", large), ("visual", large), ("both", small)}


EVERY = ("audio", "visual", "both")


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_the_cells_are_those_of_the_tables_and_the_figure(scale: str) -> None:
    assert len(CELLS) == 24
    assert grid(scale).cells.keys() == CELLS


@pytest.mark.parametrize(("scale", "sweep"), [("demo", DEMO_SWEEP), ("paper", PAPER_SWEEP)])
def test_a_cell_has_exactly_the_conditions_that_are_read(scale: str, sweep: tuple[float, ...]) -> None:
    cells = grid(scale).cells
    # Both sweeps hold 0.006 and 0.012, so that the tables add nothing to what the figure needs.
    for attack in TEXTBOOK:
        assert cells["music", "concat", attack] == over(EVERY, *sweep)
    for attack in OFFICIAL:
        assert cells["music", "concat", attack] == table1(0.012, 0.006)
    for variant in ("sum", "film", "gated_sum", "gated_concat"):
        assert cells["music", variant, "fgsm"] == over(EVERY, 0.006)
    for attack in TEXTBOOK + OFFICIAL:
        assert cells["kinetics_sounds", "concat", attack] == table1(0.012, 0.006)
    for attack in (*TEXTBOOK, "mim_official"):
        assert cells["ave", "concat", attack] == over(EVERY, 0.006)
    assert cells["music", "audio", "fgsm"] == over(["audio"], *sweep)
    assert cells["music", "visual", "fgsm"] == over(["visual"], *sweep)
    for dataset in ("kinetics_sounds", "ave"):
        assert cells[dataset, "audio", "fgsm"] == cells[dataset, "visual", "fgsm"] == set()


def test_the_printed_strengths_are_ten_times_the_corrected_ones_in_tables_only() -> None:
    cells = grid(epsilon="printed").cells
    assert cells["music", "sum", "fgsm"] == over(EVERY, 0.06)
    assert cells["kinetics_sounds", "concat", "pgd"] == table1(0.12, 0.06)
    assert cells["ave", "concat", "fgsm"] == over(EVERY, 0.06)
    assert cells["music", "concat", "pgd"] == over(EVERY, *DEMO_SWEEP) | table1(0.12, 0.06)
    assert cells["music", "concat", "fgsm"] == over(EVERY, *DEMO_SWEEP, 0.06) | table1(0.12, 0.06)


@pytest.mark.parametrize(("epsilon", "small", "large"), [("corrected", 0.006, 0.012), ("printed", 0.06, 0.12)])
def test_captions_and_columns_follow_the_strengths(epsilon: str, small: float, large: float) -> None:
    specs = {name: artefact.spec for (_, name), artefact in grid(epsilon=epsilon).artefacts.items()}
    assert f"attacked, with epsilon {large}; ✗AV: both, with {small} each;" in specs["table1"]["caption"]
    assert specs["table2"]["caption"].startswith(f"Epsilon {small} throughout.")
    assert f"epsilon {small} throughout" in specs["tableA1"]["caption"]
    conditions = {column["name"]: column.get("condition") for column in specs["table1"]["columns"]}
    assert conditions["X_A"] == {"modality": "audio", "epsilon": large}
    assert conditions["X_AV"] == {"modality": "both", "epsilon": small}
    assert conditions["Avg"] is None
    assert specs["figure3"]["epsilons"] == list(DEMO_SWEEP)


def test_an_artefact_names_its_cells() -> None:
    artefacts = grid().artefacts
    assert set(artefacts) == {("tian2021", name) for name in ("table1", "table2", "tableA1", "figure3")}
    assert set(artefacts["tian2021", "table2"].cells) == {
        ("music", variant, "fgsm")
        for variant in ("sum", "concat", "film", "gated_sum", "gated_concat", "audio", "visual")
    }
    assert set(artefacts["tian2021", "figure3"].cells) == {
        *(("music", "concat", attack) for attack in TEXTBOOK),
        ("music", "audio", "fgsm"),
        ("music", "visual", "fgsm"),
    }
    for artefact in artefacts.values():
        assert len(set(artefact.cells)) == len(artefact.cells)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


def refusal(root: Path, change: Callable[[dict], object]) -> str:
    """Return the one line that a change of the paper's file is refused with."""
    paper = yaml.safe_load((ROOT / PAPER).read_text(encoding="utf-8"))
    change(paper)
    (root / PAPER).write_text(yaml.safe_dump(paper, sort_keys=False), encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        plan(root)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def named(value: object) -> str:
    """Return the name of a case: what its message must hold."""
    return " ".join(value) if isinstance(value, tuple) else "change"


def spec(paper: dict, name: str = "table1") -> dict:
    return paper["artefacts"][name]["spec"]


def column(paper: dict) -> dict:
    return spec(paper)["columns"][1]["condition"]


def series(paper: dict) -> dict:
    return spec(paper, "figure3")["panels"][0]["series"][0]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda paper: spec(paper)["rows"][0]["read"].update(dataset="musik"),
            ("workflow/papers/tian2021.yaml", "table1", "musik", "music, kinetics_sounds, ave"),
        ),
        (
            lambda paper: spec(paper)["columns"][5]["condition"].update(variant="sound"),
            ("workflow/papers/tian2021.yaml", "table1", "sound", "audio, visual, sum"),
        ),
        (
            lambda paper: spec(paper, "table2")["columns"][1]["condition"].update(epsilon="medium"),
            ("workflow/papers/tian2021.yaml", "table2", "medium", "small, large"),
        ),
        (lambda paper: spec(paper)["rows"][0]["read"].update(attack="fgms"), ("fgms", "fgsm, fgsm_official, mim")),
        (lambda paper: series(paper)["read"].update(attack="cw"), ("cw", "fgsm, fgsm_official, mim")),
        (
            lambda paper: series(paper)["read"].update(variant="nets"),
            ("workflow/papers/tian2021.yaml", "figure3", "nets", "audio, visual, sum"),
        ),
        (lambda paper: paper["variants"]["film"].update(fusion="flim"), ("flim", "concat, film, gated_concat")),
        (lambda paper: paper["variants"]["film"].update(audio="conv2d"), ("conv2d", "conv1d")),
    ],
    ids=named,
)
def test_an_unknown_name_in_a_paper_is_one_line(
    root: Path, change: Callable[[dict], object], parts: tuple[str, ...]
) -> None:
    message = refusal(root, change)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda paper: spec(paper)["columns"][4].update(mean=["X_A", "X_B"]), ("table1", "X_B", "AV_clean, X_A, X_V")),
        (lambda paper: spec(paper)["columns"][4].update(mean=["Avg"]), ("table1", "Avg")),
        (lambda paper: spec(paper).update(caption="With {medium} each."), ("table1", "medium", "small, large")),
        (lambda paper: spec(paper)["rows"][0]["read"].pop("attack"), ("table1", "rows.0.read", "attack")),
        (lambda paper: spec(paper).pop("columns"), ("table1", "columns")),
        (lambda paper: paper["epsilons"].pop("corrected"), ("epsilons", "corrected", "printed")),
        (lambda paper: column(paper).pop("modality"), ("table1", "columns.1.condition", "modality")),
        (lambda paper: column(paper).pop("epsilon"), ("table1", "columns.1.condition", "epsilon")),
        (lambda paper: column(paper).update(epsilon=-0.1), ("table1", "columns.1.condition.epsilon", "-0.1")),
        (lambda paper: column(paper).update(modality="sound"), ("table1", "sound", "audio, visual, both")),
        (lambda paper: column(paper).update(varaint="sum"), ("table1", "varaint", "variant")),
        (lambda paper: series(paper).update(modality="sound"), ("figure3", "sound", "audio, visual, both")),
        (lambda paper: paper["training"].pop("ave"), ("training", "ave")),
        (lambda paper: paper["training"]["ave"].pop("code"), ("training.ave", "code")),
        (lambda paper: paper["learning_rates"].pop("code"), ("learning_rates", "code")),
    ],
    ids=named,
)
def test_what_a_paper_leaves_open_is_one_line_before_any_job(
    root: Path, change: Callable[[dict], object], parts: tuple[str, ...]
) -> None:
    message = refusal(root, change)
    for part in (PAPER, *parts):
        assert part in message


def with_second_paper(change: Callable[[dict], object]) -> Settings:
    """Return settings with a second paper that is the first but for `change`."""
    made = settings()
    second = copy.deepcopy(made.papers["tian2021"])
    change(second)
    config = {**made.config, "papers": ["tian2021", "second"], "second": made.config["tian2021"]}
    return replace(made, config=config, papers={**made.papers, "second": second})


def test_one_variant_name_for_two_nets_is_one_line() -> None:
    with pytest.raises(SettingsError) as error:
        expand(with_second_paper(lambda paper: paper["variants"]["concat"].update(fusion="sum")))
    assert len(str(error.value).splitlines()) == 1
    for part in ("concat", "tian2021", "second"):
        assert part in str(error.value)


def test_a_second_paper_that_shares_a_cell_adds_its_conditions_and_no_cell() -> None:
    def change(paper: dict) -> None:
        paper["artefacts"] = {"table2": paper["artefacts"]["table2"]}
        paper["epsilons"]["corrected"] = {"small": 0.5}

    both = expand(with_second_paper(change))
    assert both.cells.keys() == CELLS
    assert both.variants == grid().variants
    assert both.cells["music", "sum", "fgsm"] == over(EVERY, 0.006, 0.5)
    assert both.cells["ave", "concat", "fgsm"] == over(EVERY, 0.006)
    assert set(both.artefacts) == {*grid().artefacts, ("second", "table2")}


def test_a_difference_needs_the_cells_of_both_sides() -> None:
    made = settings()
    paper = copy.deepcopy(made.papers["tian2021"])
    film = {"keys": {"fusion": "FiLM"}, "read": {"dataset": "music", "variant": "film", "attack": "pgd"}}
    columns = [
        {"name": "X_A", "condition": {"modality": "audio", "epsilon": "small"}},
        {"name": "X_V", "condition": {"modality": "visual", "epsilon": "large"}},
        {"name": "Avg", "mean": ["X_A", "X_V"], "against": {"variant": "sum"}},
        {"name": "RI", "sum": ["X_A", "Avg"], "against": {"variant": "concat"}},
    ]
    spec(paper, "table2").update(rows=[film], columns=columns)
    paper["artefacts"] = {"table2": paper["artefacts"]["table2"]}
    read = {("audio", 0.006), ("visual", 0.012)}
    assert expand(replace(made, papers={"tian2021": paper})).cells == {
        ("music", variant, "pgd"): read for variant in ("film", "sum", "concat")
    }
