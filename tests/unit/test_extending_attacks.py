"""The snippets of docs/extending.md on attacks: each is a file, registered by a line, and keeps to what it says."""

import re
import sys
from dataclasses import replace
from types import ModuleType

import pyarrow.compute as pc
import pytest
import torch
import yaml
from extending_page import sections
from nets import CROSS_ENTROPY, UNITS, attacked_rows, batches, budgets, build_attack, clips, narrow_net

from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.registry import ATTACKS
from avrobust.attacks.threat import Threat, bind
from avrobust.evaluation.fitting import fit
from avrobust.models.files import Trained
from avrobust.objectives.registry import OBJECTIVES
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.budgets import named
from avrobust.spec.conditions import Condition

PAGE = sections()
ATTACKS_HERE = ("An attack", "Kinds of attacks, a snippet each")
FILES = [block for heading in ATTACKS_HERE for block in PAGE[heading] if block.file.endswith(".py")]
SNIPPETS = [block.text for block in FILES if not block.under]
BUDGETS = named(yaml.safe_load(PAGE["A budget"][0].text))
# The last name that a snippet defines is what it adds.
ADDED = [re.findall(r"^(?:def|class) (\w+)", snippet, re.MULTILINE)[-1] for snippet in SNIPPETS]
BOTH = ("audio", "visual")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name, snippet in zip(ADDED, SNIPPETS, strict=True):
        module = ModuleType(f"snippet_{name}")
        exec(snippet, module.__dict__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        table = OBJECTIVES if f"class {name}" in snippet else ATTACKS
        short = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        monkeypatch.setitem(table, short, f"snippet_{name}:{name}")


def perturbed(described: dict, budgets: dict, seed: int = 0) -> tuple[Loss, Threat, dict]:
    net, inputs = narrow_net(), clips(4)
    victim = Trained(net, CROSS_ENTROPY, ["a", "b", "c", "d", "e"], {})
    threat = bind(AttackSpec.of(described), victim, seed=seed)
    with torch.no_grad():
        loss = Loss(net, threat.objective, inputs, net(inputs).argmax(dim=1))
        balls = {key: UNITS[key].budget(**given, clean=inputs[key]) for key, given in budgets.items()}
        return loss, threat, perturb(loss, balls, threat.attack, threat.context(["a", "b", "c", "d"]))


@pytest.mark.parametrize(
    "described",
    [
        {"update": "mine", "length": 0.9},
        {"update": "looking_ahead", "steps": 4},
        {"update": "from_noise", "steps": 8, "restarts": 2},
        {"update": "mim", "objective": "sure_margin"},
        {"update": "pgd", "objective": {"name": "towards", "options": {"target": 3}}},
        {"update": "of_masks", "steps": 4, "copies": 3},
        {"update": "pgd", "steps": 40, "step_size": 0.05},
    ],
    ids=lambda described: str(list(described.values())),
)
def test_a_snippet_is_an_attack_that_raises_its_objective_inside_its_ball(described):
    loss, threat, made = perturbed(described, {key: {"epsilon": 0.02} for key in BOTH})
    assert (loss.value(made) > loss.value(loss.inputs)).all()
    for key in BOTH:
        used = UNITS[key].norm(made[key] - loss.inputs[key]) / 0.02
        assert used.max() <= 1 + 1e-4 and (used > 0.8).all()
    others = perturbed(described, {key: {"epsilon": 0.02} for key in BOTH}, seed=1)[2]
    assert threat.attack.random != all(torch.equal(made[key], others[key]) for key in BOTH)


def test_every_snippet_is_tried():
    assert ADDED == ["mine", "looking_ahead", "from_noise", "SureMargin", "Towards", "of_masks", "fading"]


def test_a_snippet_is_fitted_to_all_clips_and_raises_their_loss(tmp_path):
    """Three passes of at most 0.5 each, and less of what fades."""
    net, given, condition = (
        narrow_net(),
        budgets(strong={"norm": "l2_clip", "epsilon": 0.5}),
        Condition("both", "strong"),
    )
    threat = Threat(build_attack("fading", {"passes": 3, "fit_batch": 8}), net, CROSS_ENTROPY, name="fading")
    shapes = {name: x.shape[1:] for name, x in clips(1).items()}
    parts = batches(4, 16)
    made = fit(threat, parts, 16, [condition], given, shapes, torch.device("cpu"), tmp_path / "resume.pt", "")
    rows, _ = attacked_rows(replace(threat, perturbations=made.perturbations), parts, [condition], given)
    both, clean = (rows.filter(pc.field("modality") == name) for name in ("both", "clean"))
    assert pc.mean(both["loss"]).as_py() > pc.mean(clean["loss"]).as_py()
    for name in BOTH:
        norms = both[f"norm_{name}"].to_pylist()
        assert 0.1 < max(norms) < 1.5 and min(norms) > 0.5 * max(norms)


@pytest.mark.parametrize("budget", ["l2", "uneven", "quiet"])
def test_the_budgets_are_those_of_any_attack(budget):
    loss, _, made = perturbed({"update": "pgd"}, BUDGETS[budget])
    for key in BOTH:
        moved = made[key] - loss.inputs[key]
        if key not in BUDGETS[budget]:
            assert made[key] is loss.inputs[key]
            continue
        given = BUDGETS[budget][key]
        used = UNITS[key].budget(**given, clean=loss.inputs[key]).used(moved)
        assert used.max() <= 1 + 1e-4 and (used > 0.5).all()
