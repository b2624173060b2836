"""The cells: each once, with exactly the conditions that the tables and the figure read."""

import copy
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import configuration, copy_project, paper, plan, seen_through, unedited, write_paper

from avrobust.spec.conditions import Condition
from avrobust.spec.measures import MEASURES
from lib.grid import Grid, Key, expand
from lib.settings import Settings, SettingsError, load_settings
from lib.variants import variant_of

PAPER = "workflow/papers/tian2021/"
ARTEFACTS = f"{PAPER}artefacts.yaml"
OFFICIAL = ("fgsm_official", "mim_official")
TEXTBOOK = ("fgsm", "pgd", "mim")
NOISE = "random_sign"
DEMO_SWEEP = (0.006, 0.012)
PAPER_SWEEP = (0.002, 0.004, 0.006, 0.008, 0.01, 0.012)

DATASETS = ("music", "kinetics_sounds", "ave")
CONTINUED = ("concat_continued", "minsim_continued")
FUSED = ("sum", "film", "gated_sum", "gated_concat")
DEFENCES = ("pcl", "maxsim", "minsim", "exfmem", "minsim_exfmem")

# Table 1: concat on two datasets under five attacks. Table 2: five fusions on MUSIC under FGSM. Appendix table 1:
# concat on AVE under four attacks. Sweeps: both unimodal nets under the three textbook attacks. Table 3 and appendix
# table 2: five defences under FGSM, by cross-entropy alone where they were trained with something else, past the memory
# where there is one; every net answers to what FGSM and MIM make with concat, too. Appendix table 3: six nets under
# both kinds of MIM, three by cross-entropy too. Any attack: what of these a net of Table 3 is not attacked by already.
# Noise on every net that is attacked. The control of the checks on MUSIC under two attacks and noise, and as a victim.
CELLS = {
    *(("music", "concat", attack) for attack in TEXTBOOK + OFFICIAL),
    *(("kinetics_sounds", "concat", attack) for attack in TEXTBOOK + OFFICIAL),
    *(("ave", "concat", attack) for attack in (*TEXTBOOK, "mim_official")),
    *(("music", variant, "fgsm") for variant in FUSED),
    *((dataset, variant, attack) for dataset in DATASETS for variant in ("audio", "visual") for attack in TEXTBOOK),
    *((dataset, variant, "fgsm") for dataset in DATASETS for variant in (*DEFENCES, *CONTINUED)),
    *(
        (dataset, variant, "fgsm_ce")
        for dataset in DATASETS
        for variant in (*DEFENCES, "minsim_continued")
        if variant != "exfmem"
    ),
    *(
        (dataset, variant, attack)
        for dataset in DATASETS
        for variant in ("exfmem", "minsim_exfmem")
        for attack in ("fgsm_bypass",)
    ),
    *((dataset, variant, "mim_official") for dataset in DATASETS for variant in ("audio", "visual")),
    *(
        (dataset, variant, attack)
        for dataset in DATASETS
        for variant in ("pcl", "maxsim", "minsim_exfmem")
        for attack in ("mim", "mim_official", "mim_ce")
    ),
    *((dataset, variant, "mim") for dataset in DATASETS for variant in ("minsim", "exfmem", *CONTINUED)),
    *((dataset, variant, "mim_ce") for dataset in DATASETS for variant in ("minsim", "minsim_continued")),
    *((dataset, net, NOISE) for dataset in DATASETS for net in ("concat", "audio", "visual", *DEFENCES, *CONTINUED)),
    *(("music", variant, NOISE) for variant in FUSED),
    *(("music", "planted_masking", attack) for attack in ("fgsm", "pgd", NOISE)),
}
# Any attack of Tables 3, A2 and A3 counts PGD on defended nets, too, but in the demo.
DEFENDED_BY_PGD = {(dataset, variant, "pgd") for dataset in DATASETS for variant in (*DEFENCES, *CONTINUED)}


def settings(**changes: object) -> Settings:
    return load_settings(unedited(), configuration(unedited(), **changes))


def grid(scale: str = "demo", epsilon: str = "corrected") -> Grid:
    choices = configuration(unedited())["tian2021"] | {"epsilon": epsilon}
    return expand(settings(scale=scale, tian2021=choices))


def by_value(made: Grid, conditions: Iterable) -> set[tuple[str, float]]:
    """Conditions by what their budgets are worth; each is the same in both modalities here."""
    found = set()
    for modality, budget, steps in conditions:
        audio, visual = made.budgets[budget].values()
        assert audio == visual and audio["norm"] == "linf" and steps is None
        found.add((modality, audio["epsilon"]))
    return found


def cells_of(made: Grid) -> dict[Key, set[tuple[str, float]]]:
    """The conditions of each cell whose victim is its surrogate, by value."""
    return {key: by_value(made, victims[key[1]]) for key, victims in made.cells.items()}


def over(modalities: Iterable[str], *epsilons: float) -> set[tuple[str, float]]:
    return {(modality, epsilon) for modality in modalities for epsilon in epsilons}


def table1(large: float, small: float) -> set[tuple[str, float]]:
    return {("audio", large), ("visual", large), ("both", small)}


EVERY = ("audio", "visual", "both")
BY_DATASET = {"by": "dataset", **dict.fromkeys(DATASETS, 0.1)}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_the_cells_are_those_of_the_tables_and_the_figure(scale: str) -> None:
    assert len(CELLS) == 10 + 4 + 4 + 18 + 21 + 15 + 6 + 6 + 27 + 12 + 6 + 30 + 4 + 3 == 166
    # Gradients are in bfloat16 at the paper scale: one cell is made in float32 as well.
    more = {("music", "concat", "pgd_float32"), *DEFENDED_BY_PGD} if scale == "paper" else set()
    assert grid(scale).cells.keys() == CELLS | more


@pytest.mark.parametrize(("scale", "sweep"), [("demo", DEMO_SWEEP), ("paper", PAPER_SWEEP)])
def test_a_cell_has_exactly_the_conditions_that_are_read(scale: str, sweep: tuple[float, ...]) -> None:
    made = grid(scale)
    cells = cells_of(made)
    # Both sweeps hold 0.006 and 0.012, so that the tables add nothing to what the figure needs.
    for dataset in DATASETS:
        for attack in (*TEXTBOOK, NOISE):
            assert cells[dataset, "concat", attack] == over(EVERY, *sweep)
        for variant in DEFENCES:
            assert cells[dataset, variant, "fgsm"] == cells[dataset, variant, NOISE] == over(EVERY, 0.006)
        for attack, defended in (("fgsm", "exfmem"), ("fgsm", "minsim_exfmem"), ("mim", "pcl"), ("mim", "audio")):
            assert by_value(made, made.cells[dataset, "concat", attack][defended]) == over(EVERY, 0.006)
        answering = {"concat", "audio", "visual", *DEFENCES, *CONTINUED}
        assert made.cells[dataset, "concat", "mim"].keys() == answering
        control = {"planted_masking"} if dataset == "music" else set()
        assert made.cells[dataset, "concat", "fgsm"].keys() == answering | control
    # Table 1 attacks one modality with twice the strength of both; appendix table 3 does not.
    for dataset in ("music", "kinetics_sounds"):
        assert cells[dataset, "concat", "fgsm_official"] == table1(0.012, 0.006)
        assert cells[dataset, "concat", "mim_official"] == table1(0.012, 0.006) | over(EVERY, 0.006)
    for variant in (*FUSED, "planted_masking"):
        assert cells["music", variant, "fgsm"] == cells["music", variant, NOISE] == over(EVERY, 0.006)
    assert cells["ave", "concat", "mim_official"] == over(EVERY, 0.006)
    for variant in ("audio", "visual"):
        own = over(EVERY, 0.006) if scale == "paper" else set()
        assert cells["music", variant, "pgd"] == over([variant], *sweep) | own
        for attack in ("fgsm", "mim", NOISE):
            assert cells["music", variant, attack] == over([variant], *sweep) | over(EVERY, 0.006)


def test_any_attack_takes_no_gradient_twice_where_two_attacks_are_one_on_a_net() -> None:
    """By cross-entropy alone is what a net trained by it has already, and past no memory what it has without one."""
    made = grid()
    for name in ("table3", "tableA2", "tableA3"):
        spec = made.artefacts["tian2021", name].spec
        dataset = "ave" if name == "tableA2" else "kinetics_sounds"
        same = {net: spec["same"].get(f"{dataset}/{net}", {}) for net in ("audio", "concat", "pcl", "minsim_exfmem")}
        both = {"fgsm_ce": "fgsm", "fgsm_bypass": "fgsm", "mim_ce": "mim"}
        assert same == {"audio": both, "concat": both, "pcl": {"fgsm_bypass": "fgsm"}, "minsim_exfmem": {}}
    assert spec["any"][-1] == {"surrogate": "concat", "attack": "mim", "name": "MIM, transferred from None"}
    assert made.artefacts["tian2021", "table1"].spec["same"] == {}
    assert not made.cells.keys() & {("music", "concat", "fgsm_ce"), ("music", "pcl", "fgsm_bypass")}


def test_an_attack_that_goes_up_something_of_its_own_is_not_the_training_loss(tmp_path: Path) -> None:
    """A file that names no objective says the training loss, unless the update's own code says another."""
    root = copy_project(tmp_path)
    registry = root / "scripts/avrobust/attacks/registry.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace("ATTACKS = {", 'ATTACKS = {"mine": "avrobust.attacks.mine:mine",'), "utf-8")
    (root / "scripts/avrobust/attacks/mine.py").write_text(
        "from avrobust.attacks.loop import Attack\n\n\ndef mine():\n    return Attack(1, objective=print)\n"
    )
    told = paper(root)
    told["attacks"] |= {"mine_ce": {"update": "mine", "objective": "cross_entropy"}}
    told["labels"]["attack"] |= {"mine": "Mine", "mine_ce": "Mine, cross-entropy"}
    layout(told)["any"] = ["mine", "mine_ce", "fgsm", "fgsm_ce"]
    write_paper(root, told)
    assert plan(root).grid.artefacts["tian2021", "table1"].spec["same"]["music/concat"] == {"fgsm_ce": "fgsm"}


def test_trained_are_the_nets_that_are_measured_and_what_they_go_on_from() -> None:
    made = Grid(variants={name: ("", {}) for name in "abcdef"} | {"c": ("", {"start": "b"}), "b": ("", {"start": "a"})})
    made.cells["music", "d", "fgsm"] = {"c": set()}
    made.conditions["localisation"]["ave", "e", "fgsm"] = set()
    assert made.trained == {*(("music", name) for name in "abcd"), ("ave", "e")}


def test_localisation_and_embeddings_have_the_conditions_that_figures_tables_and_claims_read() -> None:
    made = grid()
    found = {family: {key: by_value(made, of) for key, of in keys.items()} for family, keys in made.conditions.items()}
    assert found["localisation"] == {
        (dataset, "localisation", attack): over(EVERY, 0.006)
        for dataset in DATASETS
        for attack in ("fgsm", "mim", NOISE)
    }
    assert found["embeddings"] == {
        ("music", variant, "fgsm"): over(("audio", "visual"), 0.006, 0.02) for variant in ("concat", "minsim")
    }
    assert made.examples == {
        ("music", "localisation", "mim"): {"violin", "cello"},
        ("kinetics_sounds", "localisation", "mim"): {
            "shuffling_cards", "blowing_nose", "chopping_wood", "playing_xylophone",
        },
        ("ave", "localisation", "mim"): {"Frying", "Baby_cry", "Bus"},
    }  # fmt: skip


def test_the_printed_strengths_are_ten_times_the_corrected_ones_in_tables_only() -> None:
    made = grid(epsilon="printed")
    cells = cells_of(made)
    assert cells["music", "sum", "fgsm"] == over(EVERY, 0.06)
    assert cells["kinetics_sounds", "concat", "fgsm_official"] == table1(0.12, 0.06)
    assert cells["ave", "concat", "pgd"] == over(EVERY, *DEMO_SWEEP, 0.06)
    assert cells["kinetics_sounds", "concat", "pgd"] == over(EVERY, *DEMO_SWEEP) | table1(0.12, 0.06)
    # The table of controls attacks concat on MUSIC as Table 3 does.
    for attack in TEXTBOOK:
        assert cells["music", "concat", attack] == over(EVERY, *DEMO_SWEEP, 0.06) | table1(0.12, 0.06)
    assert by_value(made, made.conditions["localisation"]["ave", "localisation", "mim"]) == over(EVERY, 0.06)


@pytest.mark.parametrize(("epsilon", "small", "large"), [("corrected", 0.006, 0.012), ("printed", 0.06, 0.12)])
def test_captions_and_columns_follow_the_strengths(epsilon: str, small: float, large: float) -> None:
    specs = {name: artefact.spec for (_, name), artefact in grid(epsilon=epsilon).artefacts.items()}
    assert f"attacked, with epsilon {large}; ✗AV: both, with {small} each;" in specs["table1"]["caption"]
    assert specs["table2"]["caption"].startswith(f"Epsilon {small} throughout.")
    assert f"epsilon {small} throughout" in specs["tableA1"]["caption"]
    conditions = {column["name"]: column.get("condition") for column in specs["table1"]["columns"]}
    assert conditions["X_A"] == {"modality": "audio", "budget": "large"}
    assert conditions["X_AV"] == {"modality": "both", "budget": "small"}
    assert conditions["Avg"] is None
    assert specs["figure3"]["budgets"] == ["sweep/1", "sweep/2"]
    assert specs["figureA5"]["strengths"] == {"small": f"{small:g}", "strong": "0.02"}
    assert specs["claims"]["strengths"]["readme/2"] == "0.012"
    assert "strengths" not in specs["table1"]


def test_an_artefact_names_its_cells() -> None:
    artefacts = grid().artefacts
    assert {name for _, name in artefacts} == {
        "table1", "table2", "table3", "tableA1", "tableA2", "tableA3", "figure1", "figure2", "figure3", "figure4",
        "figure5", "figureA1", "figureA2", "figureA3", "figureA4", "figureA5", "figureA6", "localisation", "controls",
        "claims", "choices", "realisable",
    }  # fmt: skip
    assert set(artefacts["tian2021", "table2"].needs["cells"]) == {
        ("music", variant, attack) for variant in ("concat", *FUSED, "audio", "visual") for attack in ("fgsm", NOISE)
    }
    assert set(artefacts["tian2021", "figure3"].needs["cells"]) == {
        ("music", variant, attack) for variant in ("concat", "audio", "visual") for attack in (*TEXTBOOK, NOISE)
    }
    assert artefacts["tian2021", "figure5"].needs["embeddings"] == (
        ("music", "concat", "fgsm"), ("music", "minsim", "fgsm"),
    )  # fmt: skip
    assert set(artefacts["tian2021", "choices"].needs.values()) == {()}
    assert [artefact.manifests for artefact in artefacts.values()].count(("ave",)) == 2
    for artefact in artefacts.values():
        for keys in artefact.needs.values():
            assert len(set(keys)) == len(keys)


def test_claims_cost_no_cell_and_no_attack() -> None:
    """Some name strengths of their own, which are worth what those of the tables and figures are."""
    for scale in ("demo", "paper"):
        with_claims = settings(scale=scale)
        assert len(with_claims.papers["tian2021"]["claims"]) >= 14
        without = {**with_claims.papers["tian2021"], "claims": []}
        one, other = expand(with_claims), expand(replace(with_claims, papers={"tian2021": without}))
        assert cells_of(one) == cells_of(other) and one.conditions == other.conditions


@pytest.mark.parametrize(
    ("measure", "modalities"),
    [
        ("clean", ()),
        ("X_A", ("audio",)),
        ("X_V", ("visual",)),
        ("X_AV", ("both",)),
        ("Avg", EVERY),
        ("total", EVERY),
        ("visual_bias", ("audio", "visual")),
        ("accuracy", ("both",)),
        ("success", ("both",)),
        ("success_if_recognised", ("both",)),
        ("clean_error", ()),
    ],
)
def test_a_claim_asks_for_every_condition_of_its_measure(measure: str, modalities: tuple[str, ...]) -> None:
    """Where no artefact does. Avg is the mean over attacks on the sound, the frame and both (section 4.6)."""
    read = {"of": measure, "budget": "strong"} if modalities else {"of": measure}
    test = {"higher": {"variant": "sum", **read}, "lower": 1.0}
    claim = {"name": "alone", "datasets": ["ave"], "attacks": ["pgd"], "tests": [test]} | {
        "section": "",
        "sentence": "",
    }
    made = settings()
    paper = {**made.papers["tian2021"], "artefacts": {}, "claims": [claim]}
    found = expand(replace(made, papers={"tian2021": paper}))
    assert cells_of(found) == {("ave", "sum", "pgd"): over(modalities, 0.02)}
    assert measure in MEASURES and len(MEASURES) == 11


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


def refusal(root: Path, change: Callable[[dict], object]) -> str:
    """Return the one line that a change of the paper's files is refused with."""
    told = paper(unedited())
    change(told)
    write_paper(root, told)
    with pytest.raises(SettingsError) as error:
        plan(root, scale="paper")
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def named(value: object) -> str:
    """Return the name of a case: what its message must hold."""
    return " ".join(value) if isinstance(value, tuple) else "change"


def layout(paper: dict, name: str = "table1") -> dict:
    return paper["artefacts"][name]


def rows(paper: dict) -> dict:
    return layout(paper)["rows"]


def column(name: str, text: str) -> Callable[[dict], object]:
    """A change of a column of Table 1 that is in its first mapping of columns."""
    return lambda paper: layout(paper)["columns"][0].update({name: text})


def net(paper: dict, name: str) -> dict:
    return paper["variants"][name]


def memory_options(paper: dict) -> dict:
    return net(paper, "exfmem")["defence"]["options"]


def batch(paper: dict) -> dict:
    return paper["training"]["defence"]["ave"]["batch_size"]


def small(paper: dict) -> dict:
    return paper["budgets"]["small"]


def mixed(paper: dict) -> dict:
    return paper["attacks"]["mim_official"]["batch_size"]


def found(paper: dict, name: str) -> None:
    """Train a net against a budget that a job finds."""
    paper["budgets"]["found"] = {"from": "found"}
    net(paper, name)["prepare"] = {"name": "adversarial", "options": {"attack": {"update": "pgd"}, "budget": "found"}}


def claim(paper: dict, name: str = "audio_visual_better_clean") -> dict:
    return next(claim for claim in paper["claims"] if claim["name"] == name)


def series(paper: dict) -> dict:
    return layout(paper, "figure3")["panels"][0]["series"][0]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda paper: rows(paper).update(dataset="musik"),
            (ARTEFACTS, "table1", "musik", "labels.dataset", "music, kinetics_sounds, ave"),
        ),
        (
            lambda paper: layout(paper)["columns"][1].update(Unimodal_A_clean="sound/fgsm/clean"),
            (ARTEFACTS, "table1", "sound", "audio, visual, concat"),
        ),
        (
            lambda paper: layout(paper, "table2")["columns"][0].update(X_A="audio@medium"),
            (ARTEFACTS, "table2", "medium", "small, large"),
        ),
        (
            lambda paper: rows(paper)["rows"][0].update(attack="fgms"),
            (ARTEFACTS, "table1", "fgms", "labels.attack", "fgsm, pgd, mim"),
        ),
        (
            lambda paper: layout(paper, "localisation")["rows"]["attack"].append("fgms"),
            (f"{ARTEFACTS}: artefacts.localisation: 'fgms'", "fgsm, fgsm_masked, fgsm_official, i_fgsm"),
        ),
        (lambda paper: series(paper).update(attack="cw"), (ARTEFACTS, "figure3", "cw", "labels.attack")),
        (
            lambda paper: paper["attacks"]["fgsm_ce"].update(update="cw"),
            ("attacks.fgsm_ce: 'cw'", "fgsm, fgsm_masked, fgsm_official, i_fgsm"),
        ),
        (lambda paper: paper["attacks"]["fgsm_ce"].update(objective="hinge"), ("hinge", "cross_entropy")),
        (
            lambda paper: paper["attacks"]["mim_ce"].update(stesp=4),
            ("attacks.mim_ce: mim", "unknown option stesp = 4", "steps, step_size, decay"),
        ),
        (
            lambda paper: paper["attacks"]["fgsm_ce"].update(decay=1.0),
            ("attacks.fgsm_ce: fgsm", "its options are none"),
        ),
        (
            lambda paper: paper["attacks"]["mim_ce"].update(decay="none"),
            ("attacks.mim_ce: mim", "decay = 'none' is no float"),
        ),
        (lambda paper: paper["attacks"]["mim_ce"].update(steps=0), ("attacks.mim_ce.steps", "0")),
        (
            lambda paper: paper["attacks"]["fgsm_ce"].update(objective={"name": "targeted", "options": {"class": 1}}),
            ("attacks.fgsm_ce: targeted", "unknown option class = 1", "its options are shift"),
        ),
        (
            lambda paper: paper["attacks"]["fgsm_ce"].update(objective={"name": "prototype_conformity"}),
            ("attacks.fgsm_ce: prototype_conformity", "the option prox_weight must be given"),
        ),
        (lambda paper: paper["variants"]["maxsim"]["objective"].update(name="hinge"), ("hinge", "cross_entropy")),
        (lambda paper: paper["variants"]["exfmem"]["defence"].update(name="wall"), ("wall", "feature_memory")),
        (
            lambda paper: series(paper).update(variant="nets"),
            (ARTEFACTS, "figure3", "nets", "audio, visual, concat"),
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
        (column("Avg", "mean(X_A X_B)"), ("table1", "X_B", "AV_clean, X_A, X_V")),
        (column("Avg", "mean(Avg)"), ("table1", "Avg")),
        (lambda paper: layout(paper).update(caption="With {medium} each."), ("table1", "medium", "small, large")),
        (lambda paper: rows(paper)["rows"][0].pop("attack"), ("table1", "row 1", "attack must be given")),
        (lambda paper: layout(paper).pop("columns"), ("table1", "columns")),
        (lambda paper: layout(paper)["keys"].append("fusin"), ("table1", "fusin", "dataset, fusion")),
        (lambda paper: layout(paper, "table2").update(kind="tabel"), ("table2.kind", "tabel", "table, ranking, sweep")),
        (lambda paper: rows(paper).update(clips="seen"), ("table1.rows.clips", "seen", "unseen")),
        (lambda paper: small(paper).pop("corrected"), ("budgets.small", "corrected", "printed")),
        (lambda paper: small(paper).update(by="strength"), ("budgets.small", "strength", "epsilon, epsilon_space")),
        (lambda paper: small(paper).update(huge=1), ("budgets.small", "huge", "corrected, printed")),
        (lambda paper: paper["budgets"].update(strong=-1), ("budgets.strong", "-1 is no strength")),
        (lambda paper: paper["budgets"].update(strong={"norm": "linf"}), ("budgets.strong", "epsilon or snr")),
        (lambda paper: paper["budgets"].update(unbounded=1), ("budgets.unbounded", "take another")),
        (
            lambda paper: paper["variants"]["pcl"].update(start="conct"),
            (f"{PAPER}variants.yaml", "pcl.start", "conct", "audio, visual"),
        ),
        (lambda paper: paper["variants"]["pcl"].pop("start"), ("variants.pcl", "search", "start")),
        (lambda paper: paper["variants"]["exfmem"].pop("defence"), ("variants.exfmem", "memory", "defence")),
        (lambda paper: paper["variants"]["pcl"].update(start="pcl"), ("variants.pcl: pcl needs pcl, for ever",)),
        (
            lambda paper: [
                paper["variants"]["sum"].update(prepare={"name": "selected_mixup", "options": {"geometry": "film"}}),
                paper["variants"]["film"].update(prepare={"name": "selected_mixup", "options": {"geometry": "sum"}}),
            ],
            ("variants.sum: sum needs film needs sum, for ever",),
        ),
        (
            lambda paper: paper["variants"]["sum"].update(
                prepare={
                    "by": "model_state",
                    "best": {"name": "selected_mixup", "options": {"geometry": "sum"}},
                    "latest": {"name": "mixup"},
                }
            ),
            ("variants.sum: sum needs sum, for ever",),
        ),
        (
            lambda paper: paper["variants"]["pcl"]["search"][0].pop("prox_weight"),
            ("variants.pcl.search", "same options"),
        ),
        (lambda paper: paper["variants"]["minsim_exfmem"].update(search=[{"weight": 1}]), ("minsim_exfmem", "defence")),
        (lambda paper: paper["search"].update(budget="medium"), ("search.budget", "medium", "small, large")),
        (lambda paper: paper["budgets"].update(strong=BY_DATASET), ("budgets", "by dataset")),
        (lambda paper: layout(paper, "figure4")["rows"][0].update({"class": "celo"}), ("figure4", "celo", "music")),
        (lambda paper: paper["variants"]["exfmem"].pop("start"), ("variants.exfmem", "memory", "start")),
        (lambda paper: paper["variants"]["pcl"].update(training="defense"), ("pcl.training", "defense", "defence")),
        (
            lambda paper: layout(paper, "table3")["rows"]["rows"][2]["rows"][2].update(surrogate="none"),
            ("table3", "none", "concat"),
        ),
        (lambda paper: mixed(paper)["music"].pop("others"), ("attacks.mim_official.batch_size.music", "others")),
        (lambda paper: mixed(paper)["music"].update(exfmen=8), ("attacks.mim_official.batch_size.music", "exfmen")),
        (lambda paper: mixed(paper)["music"].update(others=0), ("batch_size.music.others", "0", "at least 1")),
        (lambda paper: mixed(paper).pop("ave"), ("attacks.mim_official", "nothing is said for ave")),
        (lambda paper: paper["window"]["test"].pop("ave"), ("paper.yaml: window", "nothing is said for ave")),
        (
            lambda paper: paper["evaluation"].update(model_state={"by": "dataset", "music": "best"}),
            ("paper.yaml: evaluation", "nothing is said for kinetics_sounds"),
        ),
        (
            lambda paper: paper["window"].update(test={"by": "surrogate", "others": 9}),
            ("window.test", "'surrogate' is none of"),
        ),
        (
            lambda paper: claim(paper).update(tests="concat.speed > audio.clean"),
            (f"{PAPER}claims.yaml", "claim audio_visual_better_clean", "speed", "clean, X_A"),
        ),
        (lambda paper: claim(paper).pop("datasets"), ("claims: claim audio_visual_better_clean", "dataset")),
        (lambda paper: claim(paper).update(tests="concat.clean > sound.clean"), ("claims", "sound", "audio, visual")),
        (
            lambda paper: claim(paper).update(tests="concat.clean > planted_masking.clean"),
            ("claims", "audio_visual_better_clean", "planted_masking is a control", "no claim reads it"),
        ),
        (lambda paper: net(paper, "film").update(control=False), ("variants.film.control", "True was expected")),
        (lambda paper: claim(paper).update(tests="concat.clean < audio.clean"), ("claims", "is no test")),
        (lambda paper: claim(paper).update(tests="concat > audio.clean"), ("claims", "'concat' is no quantity")),
        (lambda paper: claim(paper).update(also=["officially"]), ("claims", "officially", "cross_entropy, official")),
        (
            lambda paper: claim(paper, "localisation_finds_sources").update(attacks=["pgd"]),
            ("localisation_finds_sources", "no artefact scores"),
        ),
        (column("X_A", "@large"), ("table1", "column X_A", "''", "clean, majority, audio")),
        (column("X_A", "audio"), ("table1", "column X_A", "audio needs a budget")),
        (column("X_A", "clean@small"), ("table1", "column X_A", "clean has no budget")),
        (column("X_A", "audio@-0.1"), ("table1", "-0.1", "small, large")),
        (column("X_A", "sound@large"), ("table1", "sound", "audio, visual, both")),
        (column("X_A", "sum/a/b/audio@large"), ("table1", "column X_A", "sum/a/b/audio@large")),
        (lambda paper: rows(paper).update(varaint="sum"), ("table1", "varaint", "variant")),
        (lambda paper: series(paper).update(modality="sound"), ("figure3", "sound", "audio, visual, both")),
        (lambda paper: paper["training"]["defence"].pop("ave"), ("training.defence", "ave")),
        (lambda paper: batch(paper).pop("code"), ("training.defence.ave.batch_size", "code")),
        (lambda paper: batch(paper).update(old=32), ("training.defence.ave.batch_size", "old", "code, paper")),
    ],
    ids=named,
)
def test_what_a_paper_leaves_open_is_one_line_before_any_job(
    root: Path, change: Callable[[dict], object], parts: tuple[str, ...]
) -> None:
    message = refusal(root, change)
    for part in (PAPER, *parts):
        assert part in message


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda paper: net(paper, "film").update(fusion={"name": "film", "options": {"gain": 2}}),
         ("variants.film.fusion: film", "unknown option gain = 2", "its options are none")),
        (lambda paper: net(paper, "audio").update(audio={"name": "conv1d", "options": {"widht": 1}}),
         ("variants.audio.audio: conv1d", "widht = 1", "its options are width")),
        (lambda paper: memory_options(paper).pop("penalty"), ("variants.exfmem.defence", "penalty must be given")),
        (lambda paper: memory_options(paper).update(penalty="much"), ("variants.exfmem.defence", "'much' is no float")),
        (lambda paper: memory_options(paper).update(columns=3), ("exfmem.defence", "unknown option columns")),
        (lambda paper: net(paper, "maxsim")["objective"].update(options={"weigth": 1}),
         ("variants.maxsim.objective: max_similarity", "weigth = 1", "its options are weight")),
        (lambda paper: net(paper, "pcl")["objective"]["options"].update(rate=1),
         ("variants.pcl.objective: prototype_conformity", "rate = 1", "prox_weight, conprox_weight")),
        (lambda paper: net(paper, "sum").update(prepare={"name": "mixup", "options": {"beta": 1}}),
         ("training of sum on music: prepare: mixup", "beta = 1", "its options are alpha")),
        (lambda paper: found(paper, "sum"),
         ("budgets.found.from: 'found' is not known; allowed are",)),
        (lambda paper: net(paper, "sum").update(prepare={
            "name": "adversarial", "options": {"attack": {"update": "pgd"}, "budget": [0.002, 0.004]}}),
         ("training of sum on music: prepare: budget: [0.002, 0.004] is not one budget but 2",)),
        (lambda paper: net(paper, "film").update(visual={"name": "resnet18", "options": {"projection": 64}}),
         ("variants.film: features of different sizes, 512 of audio and 64 of visual; give one `projection`",)),
        (lambda paper: paper["attacks"]["fgsm_ce"].update(objective="binary_cross_entropy"),
         ("attacks.fgsm_ce: objective binary_cross_entropy is for the task multiple, but ", " is single")),
        (lambda paper: paper.update(parts={"conv1d": {"depth": 3}}), ("variants.audio.audio: conv1d", "depth = 3")),
        (lambda paper: paper.update(parts={"conv2d": {"width": 0.5}}),
         ("variants.yaml: parts: 'conv2d' is not known; allowed are alexnet",)),
        (lambda paper: paper["attacks"]["mim_official"].pop("batch_size"),
         ("attacks.mim_official: batch_size must be given",)),
        (lambda paper: paper["attacks"]["fgsm_ce"].update(batch_size=8), ("attacks.fgsm_ce: batch_size is of no use",)),
        (lambda paper: paper["search"].update(attack="mime"), ("paper.yaml: search.attack: 'mime' is not in ATTACKS",)),
        (lambda paper: paper["search"].update(attack="mim_official"),
         ("paper.yaml: search.attack: 'mim_official' is not allowed, because it mixes the clips of a batch",)),
        (lambda paper: rows(paper)["rows"][1].pop("ours_only"),
         (ARTEFACTS, "artefacts.table1: no published value for MUSIC FGSM official AV_clean", "ours_only")),
        (column("AV_clear", "clean"), (ARTEFACTS, "artefacts.table1: no published value for MUSIC FGSM AV_clear")),
        (lambda paper: layout(paper).update(keys=["dataset"]), ("table1: row 2: MUSIC occurs twice",)),
        (lambda paper: layout(paper)["any"].append("mim_official"),
         (ARTEFACTS, "artefacts.table1.any: 'mim_official' is not allowed: it leaves its ball or the valid range")),
        (lambda paper: layout(paper)["any"].append("fgsm_official"), ("table1.any: 'fgsm_official' is not allowed",)),
        (lambda paper: layout(paper)["any"].append("any"),
         (ARTEFACTS, "artefacts.table1.any: 'any' is not in ATTACKS of ")),
        (lambda paper: layout(paper)["any"].append("random_sign"), ("table1.any: 'random_sign' is not allowed",)),
        (lambda paper: layout(paper)["keys"].reverse(), ("table1.csv: the header must be attack,dataset,column",)),
    ],
    ids=named,
)  # fmt: skip
def test_what_only_a_program_would_refuse_is_one_line_before_any_job(
    root: Path, change: Callable[[dict], object], parts: tuple[str, ...]
) -> None:
    message = refusal(root, change)
    for part in parts:
        assert part in message


def test_printed_values_that_nothing_reads_are_named(tmp_path: Path) -> None:
    root, told = copy_project(tmp_path), paper(unedited())
    assert plan(root).notes == plan(root, scale="paper").notes == []
    rows(told)["rows"].pop(0)
    del told["artefacts"]["tableA1"]
    write_paper(root, told)
    of_table, of_file = plan(root).notes
    assert "published/table1.csv: no row of table1 reads what is printed for MUSIC FGSM AV_clean and" in of_table
    assert of_file.endswith("published/tableA1.csv: no artefact reads it")


def test_printed_values_that_nothing_reads_are_named_beside_what_a_scale_changes(tmp_path: Path) -> None:
    """The demo changes other artefacts of the paper."""
    root = copy_project(tmp_path)
    path = root / "workflow/papers/li2022/artefacts.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("{attack: released}", "{attack: relesed}"), "utf-8")
    notes = plan(root, papers=["li2022"]).notes
    assert [note.split(" reads ")[0] for note in notes] == [
        f"workflow/papers/li2022/published/{table}.csv: no row of {table}" for table in ("table1", "table2")
    ]


def test_a_twin_of_a_cell_that_nothing_reads_is_not_made_and_named(tmp_path: Path) -> None:
    root, told = copy_project(tmp_path), paper(unedited())
    told["float32"]["attack"] = "fgsm_bypass"
    write_paper(root, told)
    made = plan(root, scale="paper")
    assert not any(attack.endswith("float32") for attack in made.grid.attacks)
    assert made.notes == [f"{PAPER}paper.yaml: float32: no artefact attacks concat by fgsm_bypass on music"]


def test_the_task_of_a_dataset_reaches_its_nets_and_asks_for_an_objective(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/ave.yaml"
    file.write_text(f"{file.read_text()}task: multiple\n", encoding="utf-8")
    made = load_settings(root, configuration(root))
    nets = [variant_of(made, "tian2021", "concat", dataset).net for dataset in ("ave", "music")]
    assert nets[0] == {**nets[1], "task": "multiple"} and "task" not in nets[1]
    with pytest.raises(SettingsError, match=r"artefacts.tableA1: ave has several labels a clip, of which none is"):
        plan(root)
    write_paper(root, {**paper(unedited()), "artefacts": {}, "claims": []})
    with pytest.raises(
        SettingsError, match="objective prototype_conformity is for the task single, but ave is multiple"
    ):
        plan(root)


def test_each_paper_has_a_cell_in_float32_where_the_others_are_in_another_precision() -> None:
    papers = {"tian2021": settings().papers["tian2021"]}
    told = {"artefacts": {}, "claims": [], "float32": {"dataset": "ave", "variant": "visual", "attack": "fgsm"}}
    papers["second"] = {**papers["tian2021"], **told}
    made = settings(scale="paper")
    chosen = dict.fromkeys(papers, made.chosen["tian2021"])
    both = expand(replace(made, papers=papers, chosen=chosen))
    assert both.cells.keys() == CELLS | {("music", "concat", "pgd_float32"), ("ave", "visual", "fgsm_float32")}
    assert both.attacks["fgsm_float32"][1] == {"update": "fgsm", "precision": "float32"}


def with_second_paper(change: Callable[[dict], object]) -> Settings:
    """Return settings with a second paper that is the first but for `change`."""
    made = settings()
    second = copy.deepcopy(made.papers["tian2021"])
    change(second)
    config = {**made.config, "papers": ["tian2021", "second"], "second": made.config["tian2021"]}
    chosen = {**made.chosen, "second": made.chosen["tian2021"]}
    return replace(made, config=config, papers={**made.papers, "second": second}, chosen=chosen)


def test_one_variant_name_for_two_nets_is_one_line() -> None:
    with pytest.raises(SettingsError) as error:
        expand(with_second_paper(lambda paper: paper["variants"]["concat"].update(fusion="sum")))
    assert len(str(error.value).splitlines()) == 1
    assert "variant concat" in str(error.value)


def test_one_attack_name_for_two_attacks_is_one_line() -> None:
    with pytest.raises(SettingsError, match="attack fgsm_ce"):
        expand(with_second_paper(lambda paper: paper["attacks"]["fgsm_ce"].update(update="pgd")))


def test_a_second_paper_that_shares_a_cell_adds_its_conditions_and_no_cell(tmp_path: Path) -> None:
    def change(paper: dict) -> None:
        paper["artefacts"] = {"table2": paper["artefacts"]["table2"]}
        paper["budgets"] = {"small": paper["budgets"]["small"], "tiny": 0.5}
        for column in paper["artefacts"]["table2"]["spec"]["columns"][1:4]:
            column["condition"]["budget"] = "tiny"
        paper["claims"] = []

    papers = unedited() / "workflow/papers"
    for name in ("tian2021", "second"):
        shutil.copytree(papers / "tian2021", tmp_path / f"workflow/papers/{name}")
    (tmp_path / "scripts").symlink_to(unedited() / "scripts")
    both = expand(replace(with_second_paper(change), root=tmp_path))
    assert both.cells.keys() == CELLS
    assert both.variants == grid().variants
    cells = cells_of(both)
    assert cells["music", "sum", "fgsm"] == over(EVERY, 0.006, 0.5)
    assert cells["ave", "minsim", "fgsm"] == over(EVERY, 0.006)
    assert set(both.artefacts) == {
        *grid().artefacts,
        *(("second", name) for name in ("table2", "claims", "choices", "realisable")),
    }


def test_one_budget_name_for_two_strengths_is_one_line() -> None:
    with pytest.raises(SettingsError, match="budget strong means different things in two papers"):
        expand(with_second_paper(lambda paper: paper["budgets"].update(strong=0.03)))


def test_a_difference_needs_the_cells_of_both_sides() -> None:
    made = settings()
    # A scale that has its own rows need not read all that is printed.
    made = replace(made, scale={**made.scale, "papers": {"tian2021": {"artefacts": {}}}})
    paper = copy.deepcopy(made.papers["tian2021"])
    place = {"dataset": "music", "variant": "film", "attack": "pgd"}
    film = {"keys": {"fusion": "FiLM"}, "read": place, "ours_only": True}
    columns = [
        {"name": "X_A", "condition": {"modality": "audio", "budget": "small"}},
        {"name": "X_V", "condition": {"modality": "visual", "budget": "large"}},
        {"name": "Avg", "mean": ["X_A", "X_V"], "against": {"variant": "sum"}},
        {"name": "RI", "sum": ["X_A", "Avg"], "against": {"variant": "concat"}},
    ]
    spec = paper["artefacts"]["table2"]["spec"]
    spec.update(rows=[film], columns=columns)
    paper["artefacts"], paper["claims"] = {"table2": paper["artefacts"]["table2"]}, []
    read = {("audio", 0.006), ("visual", 0.012)}
    assert cells_of(expand(replace(made, papers={"tian2021": paper}))) == {
        ("music", variant, "pgd"): read for variant in ("film", "sum", "concat")
    }
    film["against"] = {"attack": "fgsm"}
    spec.update(rows=[film])
    assert cells_of(expand(replace(made, papers={"tian2021": paper}))) == {
        ("music", "film", "pgd"): read,
        **{("music", variant, "fgsm"): read for variant in ("sum", "concat")},
        # Of the improvement that another improvement is part of, which the row says nothing of.
        ("music", "sum", "pgd"): read,
    }


def test_a_claim_of_what_the_scale_lacks_is_skipped_and_asks_for_nothing(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    told = paper(root)
    one = {"section": "4", "sentence": "So it is."}
    tests = {
        "of_points": "concat/fgsm.X_A@sweep/1 > concat/fgsm.X_A@sweep/6",
        "of_both": ["concat/fgsm.clean > concat/fgsm.X_A@sweep/2", "concat/fgsm.clean > concat/fgsm.X_A@sweep/5"],
        "here": "concat/fgsm.X_A@sweep/1 > concat/fgsm.X_A@sweep/2",
    }
    told["claims"] = [{"name": name, "datasets": ["music"], "tests": of, **one} for name, of in tests.items()]
    write_paper(root, told)
    made = plan(root).grid.artefacts["tian2021", "claims"]
    skipped = {claim["name"]: claim.get("skipped") for claim in made.spec["claims"]}
    assert skipped["of_points"].startswith(
        "scale demo: 'sweep/6' is none of the paper's budgets: small, large, sweep/1"
    )
    assert (skipped["of_both"][:21], skipped["here"]) == ("scale demo: 'sweep/5'", None)
    assert made.needs["cells"] == (("music", "concat", "fgsm"),)
    assert not any(
        "skipped" in claim for claim in plan(root, scale="paper").grid.artefacts["tian2021", "claims"].spec["claims"]
    )
    # What the paper does not have at any scale is a mistake.
    told["claims"][0]["tests"] = "concat/fgsm.X_A@sweep/1 > concat/fgsm.X_A@sweep/7"
    write_paper(root, told)
    with pytest.raises(SettingsError, match="claim of_points: 'sweep/7' is none of the paper's budgets"):
        plan(root)


def test_the_clips_of_one_attack_a_dataset_are_encoded_under_the_budgets_that_are_named() -> None:
    made = grid()
    of_tables = {Condition("audio", "large"), Condition("visual", "large"), Condition("both", "small")}
    of_table_a1 = {Condition(modality, "small") for modality in ("audio", "visual", "both")}
    assert made.coded == {
        ("music", "concat", "pgd"): of_tables,
        ("kinetics_sounds", "concat", "pgd"): of_tables,
        ("ave", "concat", "pgd"): of_table_a1,
    }


def test_clips_that_are_passed_on_are_asked_about_as_files_unless_a_paper_says_otherwise(tmp_path: Path) -> None:
    key = ("music", "concat", "fgsm")
    with_all = expand(settings())
    assert {(one, victim) for one, victims in with_all.cells.items() for victim in victims} == with_all.filed
    assert {"exfmem", "minsim_exfmem", "concat"} <= with_all.cells[key].keys()
    root = copy_project(tmp_path)
    told = paper(root)
    told["files"] = "white_box"
    write_paper(root, told)
    own = expand(load_settings(root, configuration(root)))
    assert own.cells == with_all.cells
    assert (key, "concat") in own.filed and (key, "exfmem") not in own.filed
    assert all(one.surrogate == one.victim for one in own.attacked["tian2021"])
    made = plan(root)
    job = SimpleNamespace(dataset="music", bundle="transferred", seed="1234")
    (of_key,) = [one for one in json.loads(made.attack.told(job)["cells"]) if one["attack"] == "fgsm"]
    assert set(of_key["floats"]) == of_key["victims"].keys() - {"concat"}
    # Nothing is said to a job whose every victim is asked about files.
    of_all = json.loads(plan(unedited()).attack.told(job)["cells"])
    assert all("floats" not in one for one in of_all)


def test_an_attack_to_be_encoded_that_no_artefact_has_is_named(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    told = paper(root)
    told["coded"]["attack"] = "fgsm_bypass"
    write_paper(root, told)
    made = plan(root)
    assert made.grid.coded == {}
    assert made.notes == [f"{PAPER}paper.yaml: coded: no artefact attacks concat by fgsm_bypass with these budgets"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "view: {options: {frame_size: 65}}\n",
            "ave: frames of 65 x 65 pixels cannot be H.264, which has colour at half the width and height; give the "
            "view an even frame_size, or take `coded` out",
        ),
        ("audio_rate: 11000\n", "ave: sound of 11000 samples a second cannot be AAC; give audio_rate as one of 7350, "),
    ],
)
def test_clips_that_cannot_be_encoded_are_named_before_any_job(tmp_path: Path, line: str, said: str) -> None:
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/ave.yaml"
    file.write_text(file.read_text(encoding="utf-8") + line, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        plan(root)
    assert str(raised.value).startswith(f"{PAPER}paper.yaml: coded: {said}")


def test_clips_of_a_view_that_is_put_back_into_no_file_are_not_encoded_which_is_said(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    seen_through(root, "ave")
    made = plan(root)
    assert {dataset for dataset, *_ in made.grid.coded} == {"music", "kinetics_sounds"}
    assert made.notes == [
        f"{PAPER}paper.yaml: coded: the view features of ave has no `written`, so none of its clips is encoded"
    ]


def test_what_is_left_in_a_file_is_asked_of_every_attack_that_an_artefact_reads_once() -> None:
    """Of budgets that allow the same the table's own name; neither clean clips, nor what is only there for checks."""
    made = grid()
    spec = made.artefacts["tian2021", "realisable"].spec
    found = {tuple(one[part] for part in ("dataset", "surrogate", "victim", "attack")): one for one in spec["cells"]}
    assert {(key[0], key[1], key[3]) for key in found} == set(made.cells)
    small = [[modality, "small", None] for modality in EVERY]
    large = [["audio", "large", None], ["visual", "large", None], ["both", "sweep/2", None]]
    assert found["music", "concat", "concat", "mim"]["conditions"] == sorted([*small, *large])
    assert found["music", "concat", "exfmem", "fgsm"]["conditions"] == sorted(small)
    # What sweeps and what the authors' README says are named after what tables do.
    used = {budget for one in spec["cells"] for _, budget, _ in one["conditions"]}
    assert used == {"small", "large", "sweep/1", "sweep/2"}
    # Noise on any net, and any attack on or through a net that wins by construction.
    controls = {key for key, one in found.items() if one.get("control")}
    assert controls == {key for key in found if key[3] == NOISE or "planted_masking" in key}
    # 0.002 of Figure 3 at the paper scale has no name of its own.
    paper_scale = grid("paper").artefacts["tian2021", "realisable"].spec["cells"]
    (sums,) = [one for one in paper_scale if one["victim"] == "concat" and one["attack"] == "mim"
               and one["dataset"] == "music"]  # fmt: skip
    assert ["both", "sweep/1", None] in sums["conditions"] and ["both", "sweep/3", None] not in sums["conditions"]
