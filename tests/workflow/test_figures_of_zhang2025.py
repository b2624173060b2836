"""Zhang et al. (ICLR 2025): what figures and claims ask for, at both scales, and an attack of one's own in them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, plan, replace, snakemake, unedited, write_paper
from planning import paper as paper_told

from avrobust.lazy import load
from avrobust.spec.conditions import Condition
from avrobust.spec.registry import KINDS
from lib.errors import SettingsError
from lib.plan import Plan

PAPER, KS, MUSIC = "zhang2025", "kinetics_sounds_721", "music_videos"
NETS = ["AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR"]
DEFENCES = ["at", "dcfl", "mixup", "crmt", "ours"]
ATTACKS = ["fgsm", "i_fgsm", "mi_fgsm", "mig", "pam", "tia", "mma", "tma", "random_sign"]


@cache
def planned(scale: str) -> Plan:
    return plan(unedited(), scale=scale, papers=[PAPER])


def keys(made: Plan, name: str) -> set[tuple[str, str, str]]:
    return set(made.grid.artefacts[PAPER, name].needs["cells"])


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_figures_ask_for_every_surrogate_and_attack_once(scale: str) -> None:
    made = planned(scale)
    assert keys(made, "figure5") == {(KS, net, attack) for net in NETS for attack in ATTACKS}
    assert keys(made, "figure6") == {(KS, f"all-{net}", attack) for net in NETS for attack in ATTACKS}
    assert keys(made, "figure10") == {(MUSIC, "AcR", attack) for attack in ATTACKS}
    assert keys(made, "transfer") == keys(made, "figure5") | keys(made, "figure6") | keys(made, "figure10")
    # Every net answers to every other one's clips, and to an ensemble's the one that is left out.
    both = Condition("both", "calibrated")
    victims = made.grid.cells[KS, "RsV", "tma"]
    assert {net for net, asked in victims.items() if both in asked} >= set(NETS)
    assert {*made.grid.cells[KS, "all-RsV", "tma"]} == {"RsV"}


def test_bars_and_legends_go_as_the_paper_has_them() -> None:
    """A program reads its layout as JSON, whose order is that of the paper's file."""
    made = planned("demo")

    def told(name: str) -> dict:
        return json.loads(made.tables.spec(SimpleNamespace(artefact=f"{PAPER}/{name}")))

    figure5, figure12 = told("figure5"), told("figure12")
    assert [*figure5["ticks"]["values"]] == NETS and [*figure5["bars"]["values"]] == ATTACKS
    assert [*figure5["also"]] == ["mean of others", "mean of all"]
    assert [*told("figure7")["bars"]["values"]] == DEFENCES
    assert [*figure12["groups"]] == ["Constant sync", "Constant async", "Curriculum"]
    for paper, name in made.grid.artefacts:
        load(KINDS, made.grid.artefacts[paper, name].kind).parse(told(name))


def test_figure_8_has_the_steps_of_its_scale_and_claims_ask_for_no_others() -> None:
    for scale, steps in (("demo", {1, 2, 4}), ("paper", {1, 2, 4, 6, 8, 10, 15, 20})):
        asked = planned(scale).grid.cells[KS, "AcV", "tia"]["AsV"]
        assert {one.steps for one in asked} == steps | {None}
    skipped = {
        claim["name"]: claim.get("skipped", "")
        for claim in planned("demo").grid.artefacts[PAPER, "claims"].spec["claims"]
    }
    assert "in 20 steps" in skipped["steps_hurt_transfer"] and "in 20 steps" in skipped["steps_help_own_attacks"]
    assert not skipped["tia_above_pam"]
    # Of ten steps 5 per cent are one, which are ten.
    attacked = "scale demo: RsV+{} attacks {}, which is another share than it is called by"
    assert skipped["few_steps_or_many_drops_hurt_training"] == attacked.format("dm5", "1 of 10 steps")
    assert skipped["schedules_help_training"].endswith(
        "attacks 1 to 2 of 10 steps, which is another share than it is called by"
    )
    assert not skipped["constant_masks_help_training"] and not skipped["more_steps_help_training_little"]
    assert not skipped["own_defence_best"]
    at_paper = planned("paper").grid.artefacts[PAPER, "claims"].spec["claims"]
    # Of VideoLLaMA2 nothing is read unless it is there.
    assert len(at_paper) >= 21
    assert [claim["name"] for claim in at_paper if claim.get("skipped")] == ["tma_misleads_videollama"]


def test_ensembles_are_made_with_one_seed_and_what_claims_compare_them_with_too() -> None:
    """At the paper scale three seeds make all but Figures 6, 9 and 12."""
    made = planned("paper")

    def seeds(files: list[str], part: str = "") -> set[str]:
        return {path.split("/")[4] for path in files if part in path}

    def read(name: str) -> list[str]:
        return made.tables.read("cells")(SimpleNamespace(artefact=f"{PAPER}/{name}"))

    assert seeds(read("figure6")) == {"s1234"} and seeds(read("figure5")) == {"s1234", "s1235", "s1236"}
    assert seeds(read("claims"), "/all-") == seeds(read("transfer"), "/all-") == {"s1234"}
    assert seeds(made.analysis.checked("json"), "/all-") == {"s1234"}
    assert seeds(made.analysis.checked("json"), "/AcV") == {"s1234", "s1235", "s1236"}


def test_sizes_that_are_not_the_papers_stand_in_every_figure() -> None:
    sizes = planned("demo").grid.artefacts[PAPER, "figure5"].spec["sizes"]
    assert sizes["mig"] == {"steps": [3, 10], "points": [3, 20]} and sizes["tia"] == {
        "steps": [3, 10],
        "copies": [2, 5],
        "transforms": ["identity and masking", "all"],
    }
    defended = planned("demo").grid.artefacts[PAPER, "figure7"].spec["sizes"]
    assert defended["AsV+crmt"] == {"steps": [3, 10], "measured_clips": [9, "all"]}
    assert planned("paper").grid.artefacts[PAPER, "figure5"].spec["sizes"] == {}


def test_an_attack_of_ones_own_joins_the_figures_by_a_file_and_two_lines(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    attacks = root / "scripts/avrobust/attacks"
    (attacks / "mine.py").write_text(
        '"""Half-way FGSM."""\n\nfrom avrobust.attacks.loop import Attack\n\n\ndef mine() -> Attack:\n'
        '    """Return it."""\n    return Attack(steps=1, step_size=0.5)\n'
    )
    replace(attacks / "registry.py", "ATTACKS = {\n", 'ATTACKS = {\n    "mine": "avrobust.attacks.mine:mine",\n')
    replace(root / f"workflow/papers/{PAPER}/variants.yaml", "  own: []\n", "  own: [mine]\n")
    made = plan(root, scale="demo", papers=[PAPER])
    for name, surrogates in (("figure5", NETS), ("figure6", [f"all-{net}" for net in NETS]), ("figure8", ["AcV"])):
        assert {net for _, net, attack in keys(made, name) if attack == "mine"} == set(surrogates), name
    assert (MUSIC, "AcR", "mine") in keys(made, "figure10")
    for name, dataset in (("figure7", KS), ("figure11", MUSIC)):
        answered = {(of, net) for of, net, attack in keys(made, name) if attack == "mine"}
        assert answered == {(dataset, f"{net}+{defence}") for net in NETS for defence in DEFENCES}, name
    others = {key for key in made.grid.cells if key[2] != "mine"}
    assert others == set(planned("demo").grid.cells), "nothing else is attacked"


def test_more_attacks_of_ones_own_than_a_figure_can_show_are_named_when_planned(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    lists = root / f"workflow/papers/{PAPER}/variants.yaml"
    replace(lists, "  own: []\n", "  own: [ni_fgsm, fgsm_both10]\n")
    plan(root, scale="demo", papers=[PAPER])
    replace(lists, "  own: [ni_fgsm, fgsm_both10]\n", "  own: [ni_fgsm, fgsm_both10, fgsm_both20]\n")
    wanted = r"artefacts\.yaml: artefacts\.figure5: .*bars: 12 are drawn .*fgsm_both20.* no more than 11"
    with pytest.raises(SettingsError, match=wanted):
        plan(root, scale="demo", papers=[PAPER])


def test_defended_nets_are_attacked_by_their_own_gradients_and_by_more_than_the_papers_attack() -> None:
    made = planned("demo")
    for name, dataset in (("figure7", KS), ("figure11", MUSIC)):
        defended = {f"{net}+{defence}" for net in NETS for defence in DEFENCES}
        wanted = {(dataset, net, attack) for net in defended for attack in ("tma", "pgd20", "random_sign")}
        assert keys(made, name) == wanted | {(dataset, net, attack) for net in NETS for attack in ("tma", "pgd20")}
    assert set(made.grid.cells[KS, "AcV+at", "tma"]) == {"AcV+at"}


def test_nets_of_figure_9_are_tested_as_those_of_figure_12_are() -> None:
    """By the paper's attack and by PGD-20, which make nothing beyond one cell more for each net."""
    for scale, shares in {"demo": (10, 20, 30, 50), "paper": (10, 20, 30, 40, 50)}.items():
        made = planned(scale)
        nets = [f"RsV+sample{k}" for k in shares]
        assert keys(made, "figure9") == {(KS, net, attack) for net in nets for attack in ("tma", "pgd20")}
        both = Condition("both", "calibrated")
        assert all(made.grid.cells[KS, net, "pgd20"] == {net: {both}} for net in nets)
    spec = planned("demo").grid.artefacts[PAPER, "figure9"].spec
    assert [one["name"] for one in spec["series"]] == ["TMA", "PGD-20", "clean accuracy"]
    assert spec["beside"] == {"worst of both": {"attack": ["tma", "pgd20"]}}


def test_ssdf_joins_the_figures_of_defences_by_its_name_in_their_list(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    listed = "  defences: [at, dcfl, mixup, crmt, ours"
    replace(root / f"workflow/papers/{PAPER}/variants.yaml", f"{listed}]\n", f"{listed}, ssdf]\n")
    made, before = plan(root, scale="demo", papers=[PAPER]), planned("demo")
    for name, dataset in (("figure7", KS), ("figure11", MUSIC)):
        ours = {key for key in keys(made, name) if key[1].endswith("+ssdf")}
        assert ours == {(dataset, f"{net}+ssdf", one) for net in NETS for one in ("tma", "pgd20", "random_sign")}
    assert {key for key in made.grid.cells if "+ssdf" not in key[1]} == before.grid.cells.keys()
    assert before.attack.bundles.items() <= made.attack.bundles.items(), "no file of others gets other cells"
    made = snakemake(
        root, "-n", "--config", f"papers=[{PAPER}]", "scale=demo", "--", f"paper_tables/{PAPER}/figure7.csv"
    )
    trained = [job.wildcards["variant"] for job in made.jobs if job.rule == "train"]
    assert {f"{net}+ssdf" for net in NETS} <= set(trained), made.text[-2000:]


def test_schedules_that_come_to_the_same_are_one_bar() -> None:
    """Two epochs of two are begin and end of a cycle, between which alone a cosine is no line."""
    at_demo, at_paper = (planned(scale).grid.artefacts[PAPER, "figure12"] for scale in ("demo", "paper"))
    assert at_demo.spec["alike"] == {"RsV+linear": "RsV+ours"} and at_paper.spec["alike"] == {}
    both = {"RsV+linear": "1 to 2 of 10 steps", "RsV+ours": "1 to 2 of 10 steps"}
    assert at_demo.spec["shares"] == both and at_paper.spec["shares"] == {}
    at_demo, at_paper = ({net for _, net, _ in of.needs["cells"]} for of in (at_demo, at_paper))
    # The demo shows fewer of those that are dropped from.
    assert at_paper - at_demo == {"RsV+linear", "RsV+dm5", "RsV+dm30", "RsV+m20", "RsV+m40"}


def test_costs_are_read_of_the_trainings() -> None:
    made = planned("paper")
    read = made.tables.read("trainings")
    files = read(SimpleNamespace(artefact=f"{PAPER}/figure9"))
    assert files == [f"results/paper/models/{KS}/RsV+sample{k}/s1234/train.json" for k in (10, 20, 30, 40, 50)]
    of_claims = read(SimpleNamespace(artefact=f"{PAPER}/claims"))
    assert len(of_claims) == 2 * len(NETS) * 3 and not read(SimpleNamespace(artefact=f"{PAPER}/figure8"))


# --- Figure 4


def told_to_craft(made: Plan, net: str = "AcV+ours") -> dict:
    given = made.train.told_to_craft(SimpleNamespace(dataset=KS, variant=net, seed="1234"))
    return {name: json.loads(text) if isinstance(text, str) else text for name, text in given.items()}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_figure_4_shows_what_the_training_of_ours_crafts(scale: str) -> None:
    """The same attack, budget, segments and steps; where the curriculum stands alone is the figure's own."""
    made = planned(scale)
    files = made.tables.read("examples")(SimpleNamespace(artefact=f"{PAPER}/figure4"))
    assert files == [f"results/{scale}/crafting/{KS}/AcV+ours/s1234.npz"]
    crafts = told_to_craft(made)
    trains = json.loads(made.train.told(SimpleNamespace(dataset=KS, variant="AcV+ours", seed="1234"))["recipe"])
    stands = {"sampled": 50, "dropped": 20, "schedule": "constant"}
    options = crafts["recipe"]["prepare"].pop("options")
    assert options == {**trains["prepare"].pop("options"), **stands} and crafts["recipe"] == trains
    assert crafts["key"] == {"dataset": KS, "variant": "AcV+ours", "start": "AcV", "attack": "tma"}
    assert crafts["clip"] == []
    spec = made.grid.artefacts[PAPER, "figure4"].spec
    assert spec["attack"] == "tma" and spec["labels"]["attack"] == {"tma": "TMA"}
    assert ("copies" in spec["sizes"].get("tma", {})) == ("AcV+ours" in spec["sizes"]) == (scale == "demo")
    assert (KS, "AcV") in made.grid.trained


FIGURE4 = "read: {dataset: kinetics_sounds_721, variant: AcV+ours}\n    stage: {sampled: 50}\n"


def test_a_figure_of_crafting_needs_one_clip_of_the_net_that_starts_it_and_its_budget() -> None:
    """As a user types it; nothing else of the paper is made."""
    made = snakemake(unedited(), "-n", "--config", f"papers=[{PAPER}]", "--", f"paper_tables/{PAPER}/figure4.svg")
    assert made.status == 0, made.text
    (job,) = [one for one in made.jobs if one.rule == "craft"]
    assert {f"results/demo/models/{KS}/AcV/s1234/model.pt", "results/demo/budgets/calibrated.json"} <= set(job.input)
    assert {one.wildcards["variant"] for one in made.jobs if one.rule == "train"} == set(NETS), "of the calibration"
    assert {one.rule for one in made.jobs} & {"attack", "geometry"} == set()


def test_clip_and_stage_of_figure_4_are_options_and_mistakes_in_it_are_named(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    file = root / f"workflow/papers/{PAPER}/artefacts.yaml"
    before = file.read_text()

    def edited(new: str) -> Plan:
        file.write_text(before)
        replace(file, FIGURE4, new)
        return plan(root, scale="demo", papers=[PAPER])

    shown = told_to_craft(edited(FIGURE4.replace("sampled: 50", "dropped: 0") + "    clip: some clip\n"))
    assert shown["clip"] == ["--clip=some clip"]
    options = shown["recipe"]["prepare"]["options"]
    assert (options["sampled"], options["dropped"]) == (20, 0), "as at the end of its schedule"
    other = edited(FIGURE4.replace("AcV+ours", "RsV+sample50").replace("sampled: 50", ""))
    assert told_to_craft(other, "RsV+sample50")["key"]["start"] == "RsV"
    again = f"  figure14:\n    kind: crafting\n    title: Again\n    {FIGURE4.replace('50', '40')}"
    for new, said in (
        (FIGURE4.replace("AcV+ours", "AcV"), "figure4.read.variant: AcV crafts nothing that this shows"),
        (FIGURE4.replace("AcV+ours", "AcV+at"), "figure4.read.variant: AcV.at crafts nothing that this shows"),
        (FIGURE4.replace("AcV+ours", "AcV+our"), "figure4: 'AcV.our' is none of the paper's variants"),
        (FIGURE4.replace("50", "150"), "figure4: sampled is a percentage or .first, last., not 150"),
        (FIGURE4 + again, "figure14: another figure shows AcV.ours on kinetics_sounds_721 with another clip or stage"),
    ):
        with pytest.raises(SettingsError, match=said):
            edited(new)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told["lists"].update(own=["mine"]), "variants.yaml: lists.own: 'mine' is not in ATTACKS of"),
        # Trainings craft their clips by it, too.
        (lambda told: told["attacks"]["tma"].update(step=1), "attacks.yaml: attacks.tma: tma: unknown option step = 1"),
        (
            lambda told: told["sensitivity"]["runs"][0]["alternatives"]["none"].update(tma="mine"),
            "sensitivity.yaml: sensitivity: 'mine' is not in ATTACKS of",
        ),
    ],
)
def test_an_unknown_attack_is_told_with_the_file_that_names_it(tmp_path: Path, change: Callable, said: str) -> None:
    root, told = copy_project(tmp_path), paper_told(unedited(), PAPER)
    change(told)
    write_paper(root, told, PAPER)
    with pytest.raises(SettingsError) as error:
        plan(root, papers=[PAPER])
    assert str(error.value).startswith(f"workflow/papers/{PAPER}/{said}")
