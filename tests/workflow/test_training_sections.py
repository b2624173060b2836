"""How a variant is trained, as its paper's file says it: checked before any job, and what the program gets."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import ROOT, copy_project, paper, plan, write_paper

from avrobust.training.recipe import ANNEALINGS, TrainingRecipe
from lib.errors import SettingsError

ADAM = {"name": "adam", "options": {"weight_decay": 0.01}}
MIXUP = {"name": "mixup", "options": {"alpha": 0.2}}


def mixup(alpha: object) -> dict:
    return {"prepare": {"name": "mixup", "options": {"alpha": alpha}}}


def crafted(attack: object, *budget: object) -> dict:
    options = {"attack": attack, **dict(zip(("budget",), budget, strict=False))}
    return {"prepare": {"name": "adversarial", "options": options}}


def crafted_in_one(objective: str) -> dict:
    told = crafted({"update": "pgd"}, 0.1)
    return {"prepare": {**told["prepare"], "name": "single_source"}, "objective": {"name": objective}}


@pytest.fixture
def told(tmp_path: Path) -> Callable[[dict, dict], Path]:
    """A copy in which the trainings of music have further keys, and the variant film has."""

    def write(training: dict, variant: dict) -> Path:
        root = copy_project(tmp_path)
        facts = paper(root)
        facts["training"]["undefended"]["music"] |= training
        facts["variants"]["film"] |= variant
        write_paper(root, facts)
        return root

    return write


def test_the_schema_has_the_keys_of_a_recipe() -> None:
    schema = json.loads((ROOT / "workflow/schemas/training.json").read_text(encoding="utf-8"))
    parts = {part.name: part for part in dataclasses.fields(TrainingRecipe)}
    needed = {name for name, part in parts.items() if part.default is part.default_factory is dataclasses.MISSING}
    assert set(schema["properties"]) == set(parts) and set(schema["required"]) == needed
    assert tuple(schema["properties"]["annealing"]["enum"]) == ANNEALINGS


def test_the_program_gets_what_the_paper_says(told: Callable[[dict, dict], Path]) -> None:
    training = {"optimiser": ADAM, "warm_up": 7, "annealing": "linear", "accumulation": 3, "epoch_batches": 5}
    made = plan(told(training, {"prepare": MIXUP}))
    recipe = TrainingRecipe(**json.loads(made.train.told(SimpleNamespace(dataset="music", variant="film"))["recipe"]))
    assert {name: getattr(recipe, name) for name in training} == training
    assert recipe.prepare == MIXUP
    plainly = TrainingRecipe(**json.loads(made.train.told(SimpleNamespace(dataset="music", variant="sum"))["recipe"]))
    assert plainly.optimiser == ADAM and plainly.prepare == {"name": "plain"}


def test_what_is_equal_to_a_sound_recipe_and_is_none_is_still_refused(tmp_path: Path) -> None:
    """Recipes that are the same are checked once, and in Python true is 1."""
    root = copy_project(tmp_path)
    facts = paper(root)
    trainings = facts["training"]["undefended"]
    steps = {"music": 1, "kinetics_sounds": 1, "ave": True}
    trainings |= {dataset: {**trainings["music"], "accumulation": number} for dataset, number in steps.items()}
    write_paper(root, facts)
    with pytest.raises(SettingsError, match="training of audio on ave: accumulation: True must be of type integer"):
        plan(root)


def test_a_training_takes_a_budget_of_the_paper_by_its_name(told: Callable[[dict, dict], Path]) -> None:
    made = plan(told({}, crafted({"update": "pgd"}, "large")))
    recipe = json.loads(made.train.told(SimpleNamespace(dataset="music", variant="film"))["recipe"])
    linf = {"norm": "linf", "epsilon": 0.012}
    assert recipe["prepare"]["options"]["budget"] == {"audio": linf, "visual": linf}
    # And in what the paper's frames count, which config.yaml may choose; the variant may say otherwise.
    assert recipe["prepare"]["options"]["epsilon_space"] == "normalised"
    others = plan(made.settings.root, tian2021=made.settings.config["tian2021"] | {"epsilon_space": "pixel"})
    recipe = json.loads(others.train.told(SimpleNamespace(dataset="music", variant="film"))["recipe"])
    assert recipe["prepare"]["options"]["epsilon_space"] == "pixel"


def test_a_training_crafts_by_an_attack_of_the_paper_by_its_name(told: Callable[[dict, dict], Path]) -> None:
    """As the paper describes it, every choice taken; and the attack's code is part of the training's."""
    made = plan(told({}, crafted("fgsm_ce", "large")))
    net = SimpleNamespace(dataset="music", variant="film")
    recipe = json.loads(made.train.told(net)["recipe"])
    assert recipe["prepare"]["options"]["attack"] == made.attack.attack_on("fgsm_ce", "music", "film")
    assert "avrobust.attacks.fgsm:fgsm" in made.train.training_entries("film", "music")


def test_options_of_a_trainings_preparation_are_those_of_all_that_prepare_alike(
    told: Callable[[dict, dict], Path],
) -> None:
    common = {"prepare": {"name": "adversarial", "options": {"attack": {"update": "pgd"}, "budget": "large"}}}
    own = {"prepare": {"name": "adversarial", "options": {"budget": "small"}}}
    root = told(common, own)
    facts = paper(root)
    for dataset in ("kinetics_sounds", "ave"):
        facts["training"]["undefended"][dataset] |= common
    write_paper(root, facts)
    made = plan(root)
    for net, epsilon in (("film", 0.006), ("sum", 0.012)):
        recipe = json.loads(made.train.told(SimpleNamespace(dataset="music", variant=net))["recipe"])
        assert recipe["prepare"]["options"]["attack"] == {"update": "pgd"}
        assert recipe["prepare"]["options"]["budget"]["audio"]["epsilon"] == epsilon
    other = plan(told({}, {"prepare": MIXUP}))
    recipe = json.loads(other.train.told(SimpleNamespace(dataset="music", variant="film"))["recipe"])
    assert recipe["prepare"] == MIXUP


def test_the_classes_that_a_mixup_chooses_by_are_an_input_of_its_training_alone(
    told: Callable[[dict, dict], Path],
) -> None:
    made = plan(told({}, {"prepare": {"name": "selected_mixup", "options": {"geometry": "sum"}}}))
    film, other = (SimpleNamespace(dataset="music", variant=name, seed="1") for name in ("film", "concat"))
    assert made.train.geometry(film) == ["results/demo/geometry/music/sum/s1.parquet"]
    assert made.train.geometry(other) == []
    assert made.grid.with_starts([("music", "film")]) == {("music", "film"), ("music", "sum")}
    assert made.analysis.measured(film)["model_state"] == "best"


def test_a_calibrated_budget_is_an_input_of_the_training_that_names_it_alone(
    told: Callable[[dict, dict], Path],
) -> None:
    root = told({}, crafted({"update": "pgd"}, "nearest"))
    facts = paper(root)
    facts["budgets"]["nearest"] = {"from": "calibrated"}
    points = {"visual": {"grid": [1, 2], "of": 255}, "audio": 0.006}
    net = {"dataset": "music", "variant": "concat", "attack": "fgsm", "others": ["sum"]}
    facts["calibrations"] = {"calibrated": {**net, "success": 78.3, "points": points}}
    write_paper(root, facts)
    made, net = plan(root), SimpleNamespace(dataset="music", variant="film", seed="1")
    assert made.train.budget_files(net) == ["results/demo/budgets/calibrated.json"]
    assert json.loads(made.train.told(net)["recipe"])["prepare"]["options"]["budget"] == {"from": "calibrated"}
    assert made.train.budget_files(SimpleNamespace(dataset="music", variant="sum", seed="1")) == []


@pytest.mark.parametrize(
    ("training", "variant", "said"),
    [
        ({"milestone": [3]}, {}, r"training of \w+ on music: unknown key milestone = \[3\]; allowed are .*milestones"),
        ({"warm_up": -1}, {}, r"training of \w+ on music: warm_up: -1 must be at least 0"),
        ({"annealing": "sine"}, {}, r"training of \w+ on music: annealing: 'sine' is not allowed; allowed are none, "),
        ({"optimiser": {"name": "lion"}}, {}, r"'lion' is not in OPTIMISERS of .*training/registry.py: adam, sgd"),
        (
            {"optimiser": {"name": "adam", "options": {"momentum": 0.9}}}, {},
            r"on music: optimiser: adam: unknown option momentum = 0.9; its options are beta1, beta2, ",
        ),
        ({}, mixup("much"), r"film on music: prepare: mixup: option alpha = 'much' is no float"),
        ({}, crafted({"update": "pgd", "step": 3}, 0.1), r"film on music: prepare: pgd: unknown option step = 3"),
        ({}, crafted("pdg", 0.1), r"film on music: prepare: attack: 'pdg' is not known; allowed are .*pgd"),
        ({}, crafted(3, 0.1), r"film on music: prepare: an attack is {update: ...}, not 3"),
        (
            {}, {"prepare": {"name": "curriculum", "options": {"attack": "pgd", "budget": 0.1, "schedule": "sine"}}},
            r"variants.film: prepare: curriculum: schedule is linear, cosine or constant, not 'sine'",
        ),
        (
            {}, {"prepare": {"name": "selected_mixup", "options": {"geometry": "concatt"}}},
            r"film on music: prepare: geometry: 'concatt' is not known; allowed are .*concat",
        ),
        ({}, crafted({"update": "pgd"}), r"film on music: prepare: adversarial: the option budget must be given"),
        ({}, crafted({"update": "pgd"}, "smal"), r"film on music: prepare: budget: 'smal' is not known; allowed are"),
        ({}, crafted({"update": "pgd"}, -1), r"film on music: prepare: budget: -1 is no strength"),
        ({}, crafted({"update": "pgd", "batch_size": 8}, 0.1), r"film on music: prepare: attack: batch_size = 8 is"),
        # 11 classes of 22 clips in batches of 16, for 16 epochs.
        ({"warm_up": 256}, {}, r"training of \w+ on music: warm_up: 256 must be less than 256, the steps of the trai"),
        ({"warm_up": 64, "epoch_batches": 7, "accumulation": 2}, {}, r"on music: warm_up: 64 must be less than 64"),
        (
            {}, crafted_in_one("cross_entropy"),
            r"film: prepare: single_source says which modality it attacks, and objective cross_entropy does not take",
        ),
        (
            {}, {"objective": {"name": "odd_one_out"}},
            r"film: objective odd_one_out learns which modality is attacked, and prepare: plain does not say it; give",
        ),
        (
            {}, {"prepare": {"name": "selected_mixup", "options": {"geometry": "concat", "tau": 70}}},
            r"film on music: prepare: selected_mixup: tau: 70 is not allowed; allowed are 60, 80",
        ),
        (
            {}, {"prepare": {"name": "curriculum", "options": {"attack": "pgd", "budget": 0.1, "segments": 0}}},
            r"film on music: prepare: curriculum: segments: 0 must be at least 1",
        ),
        ({"only": "clasifier.head"}, {}, r"training of \w+ on music: only: 'clasifier.head' does not match"),
        ({}, {"prepare": {"name": "cutout"}}, r"'cutout' is not in PREPARATIONS of .*training/registry.py: .*mixup"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_before_any_job(
    told: Callable[[dict, dict], Path], training: dict, variant: dict, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        plan(told(training, variant))
