"""Faults planted in the real programs: each is refused, or stands in checks.csv as a sign.

A net is attacked by attack.py as its own cells and through another net, then checks.py compares; all labels are what
the net says of the clean clips. Without a fault there is no sign.
"""

import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from nets import CROSS_ENTROPY, narrow_net, narrow_spec
from tiny_store import CLASSES, VIEW, VIEWS, clip

import attack
import checks
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack, perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.norms import LInf
from avrobust.attacks.pgd_random import anywhere_in_the_ball
from avrobust.attacks.registry import ATTACKS
from avrobust.data import store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.store import Store
from avrobust.evaluation import cell as cell_module
from avrobust.evaluation import craft as craft_module
from avrobust.metrics.rows import cells_of, read_cells
from avrobust.models.build import Part, build
from avrobust.models.files import save_model
from avrobust.models.fusions.concat import Concat
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import FUSIONS
from avrobust.program import UserError
from avrobust.spec.budgets import named
from avrobust.spec.conditions import CLEAN, UNBOUNDED, Reading

COUNT = 12
ANYTHING = {"norm": "linf", "epsilon": "range"}
BUDGETS = {**named({"small": 0.3}), UNBOUNDED: {"audio": ANYTHING, "visual": ANYTHING}}
ASKED = [["audio", "small"], ["visual", "small"], ["both", "small"]]
WITHOUT_BOUNDS = ["both", UNBOUNDED]


def write_clips(path: Path, labels: Sequence[int], classes: Sequence[str] = CLASSES) -> Path:
    """Write the same test clips as always, with these labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=list(classes)) as shard:
        for number, label in enumerate(labels):
            shard.add(dataclasses.replace(clip(number, "test", number % 3, random), labels=(label,)))
    return path


def inputs_of_clips(shard: Path) -> dict:
    """Return what a net sees of all clips."""
    packed = Store([shard])
    views = EvaluationViews(packed, packed.indices("test"), VIEWS, ("audio", "visual"))
    return inputs_of(collate([views[number] for number in range(COUNT)]), torch.device("cpu"))


def undecided(net: LateFusion, inputs: Mapping) -> LateFusion:
    """The net with its logits centred, so that it says all classes and little takes it from one to another."""
    with torch.no_grad():
        net.classifier.bias -= net(inputs).mean(dim=0)
    return net


def save(path: Path, net: LateFusion, **spec: object) -> Path:
    """Write the weights as those of a net of this description."""
    own = dataclasses.replace(narrow_spec(), **spec)
    made = build(own, len(CLASSES))
    made.load_state_dict(net.state_dict())
    state = {"model": made.state_dict(), "objective": {}}
    save_model(path, own, Part("cross_entropy"), CLASSES, state, state, {})
    return path


@dataclasses.dataclass
class World:
    """A folder of clips and of two nets; `bundles` are those that are made."""

    folder: Path
    net: LateFusion
    other: LateFusion
    labels: list[int]
    bundles: dict[str, Path] = dataclasses.field(default_factory=dict)

    def attack(
        self, bundle: str, surrogate: str, attacks: Sequence[str], *, shard: str = "clips", one: str = "one"
    ) -> None:
        """Make a bundle by attack.py: the net `one`, whose file is called `one`, answers under each attack."""
        cells = [
            {
                "surrogate": surrogate, "attack": name, "spec": {"update": name},
                "victims": {"one": [*ASKED, *([WITHOUT_BOUNDS] if name == "pgd" else [])]},
            }
            for name in attacks
        ]  # fmt: skip
        given = {"cells": cells, "budgets": BUDGETS, "key": {"dataset": "music", "seed": "3"}, "view": VIEW}
        plain = {"shards": self.folder / f"{shard}/0.arrow", "batch-size": 5, "device": "cpu"}
        self.bundles[bundle] = self.folder / f"{bundle}.parquet"
        plain |= {"rows": self.bundles[bundle], "provenance": self.bundles[bundle].with_suffix(".json")}
        words = [*(f"--{name}={json.dumps(value)}" for name, value in given.items())]
        words += [f"--{name}={value}" for name, value in plain.items()]
        nets = [f"one={self.folder / one}.pt", f"two={self.folder / 'two'}.pt"]
        sys.argv = ["attack.py", *words, "--nets", *nets]
        attack.main()

    def attack_all(self, *, one: str = "one", **transferred: str) -> None:
        """Make the net's own cells and those through the other net."""
        self.attack("own", "one", ["fgsm", "pgd", "random_sign"], one=one)
        self.attack("transferred", "two", ["fgsm"], **{"one": one, **transferred})

    def signs(self) -> dict[str, set[str]]:
        """Compare all that is made by checks.py, and return the attacks of each check that found a sign."""
        output, paths = self.folder / "checks.csv", list(self.bundles.values())
        provenances = [path.with_suffix(".json") for path in paths]
        given = ["--cells", *paths, "--provenances", *provenances, "--scale", "demo", "--output", output]
        sys.argv = ["checks.py", *map(str, given)]
        checks.main()
        found: dict[str, set[str]] = {}
        for line in csv.DictReader(output.read_text(encoding="utf-8").splitlines()):
            if int(line["signs"]):
                found.setdefault(line["check"], set()).add(line["attack"])
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(sys, "argv", sys.argv)
    inputs = inputs_of_clips(write_clips(tmp_path / "unlabelled/0.arrow", [0] * COUNT))
    nets = [undecided(narrow_net(classes=len(CLASSES), seed=seed), inputs) for seed in (1, 3)]
    with torch.no_grad():
        labels = nets[0](inputs).argmax(dim=1).tolist()
    assert len(set(labels)) == len(CLASSES)
    write_clips(tmp_path / "clips/0.arrow", labels)
    save(tmp_path / "one.pt", nets[0]), save(tmp_path / "two.pt", nets[1])
    return World(tmp_path, *nets, labels)


def refused(world: World, error: type[Exception], said: str, **how: str) -> None:
    """The own cells end with this error, and nothing is stored."""
    with pytest.raises(error, match=said):
        world.attack_all(**how)
    assert not world.bundles["own"].exists()


def register(monkeypatch: pytest.MonkeyPatch, table: dict, name: str, made: object) -> None:
    """Put something into a registry under a name."""
    module = ModuleType(f"planted_{name}")
    module.made = made
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(table, name, f"planted_{name}:made")


def perturbed_by(monkeypatch: pytest.MonkeyPatch, fault: Callable) -> None:
    """Let `fault`, a function of (what an attack makes, clean inputs, budgets), change what cells get."""

    def faulty(loss: Loss, budgets: Mapping, taken: Attack, context: Context) -> dict:
        return fault(perturb(loss, budgets, taken, context), loss.inputs, budgets)

    monkeypatch.setattr(craft_module, "perturb", faulty)


def test_without_a_fault_there_is_no_sign(world: World) -> None:
    world.attack_all()
    assert world.signs() == {}
    (noise,) = [one for one in read_cells(world.bundles["own"]) if one.attack == "random_sign"]
    assert noise.answers[CLEAN].predictions.tolist() == world.labels


# What masks gradients.


def test_the_planted_masking(world: World) -> None:
    """The control that stands among the nets of the paper: every check that can see it does."""
    save(world.folder / "masked.pt", world.net, defence=Part("planted_masking", {"levels": 64}))
    world.attack_all(one="masked")
    found = world.signs()
    own = {"fgsm", "pgd"}
    assert found["zero_gradients"] == found["unused_budget"] == found["noise_stronger"] == own
    assert (found["black_box_stronger"], found["unbounded_not_zero"]) == ({"fgsm"}, {"pgd"})


def test_saturated_logits(world: World) -> None:
    """So far apart that the loss is 0 to the bit."""
    with torch.no_grad():
        for parameter in world.net.classifier.parameters():
            parameter *= 1e6
    save(world.folder / "one.pt", world.net)
    world.attack_all()
    assert world.signs()["zero_gradients"] == {"fgsm", "pgd"}


def test_gradients_of_the_wrong_sign(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LInf, "steepest", lambda self, gradient, epsilon: -gradient.sign())
    world.attack_all()
    found = world.signs()
    assert (found["noise_stronger"], found["unbounded_not_zero"]) == ({"fgsm", "pgd"}, {"pgd"})
    assert "unused_budget" not in found and "zero_gradients" not in found


def test_a_random_start_and_hardly_a_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point of the ball that is drawn once, without a restart: weaker than noise of the whole budget."""
    lazy = lambda: Attack(1, 1e-4, start=anywhere_in_the_ball, random=True)  # noqa: E731
    register(monkeypatch, ATTACKS, "lazy", lazy)
    world.attack("own", "one", ["lazy", "random_sign"])
    assert world.signs() == {"noise_stronger": {"lazy"}}


# What becomes of a clip.


def test_the_clean_clip_is_returned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    perturbed_by(monkeypatch, lambda made, clean, budgets: {**made, **{name: clean[name].clone() for name in budgets}})
    world.attack_all()
    found = world.signs()
    assert found["unused_budget"] == {"fgsm", "pgd", "random_sign"} and found["unbounded_not_zero"] == {"pgd"}


def test_the_first_clip_of_a_batch_alone_is_attacked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_alone(made: dict, clean: Mapping, budgets: Mapping) -> dict:
        return {**made, **{name: torch.cat([made[name][:1], clean[name][1:]]) for name in budgets}}

    perturbed_by(monkeypatch, first_alone)
    world.attack_all()
    assert world.signs()["unused_budget"] == {"fgsm", "pgd", "random_sign"}


def test_of_both_modalities_one_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_sound(made: dict, clean: Mapping, budgets: Mapping) -> dict:
        return {**made, "audio": clean["audio"].clone()} if len(budgets) == 2 else made

    perturbed_by(monkeypatch, without_sound)
    world.attack_all()
    assert world.signs()["unused_budget"] == {"fgsm", "pgd", "random_sign"}


def test_one_step_of_ten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says ten of an eighth, and takes the first."""

    def once(modality, iterate, clean, budget):
        step = budget.epsilon / 8
        return budget.clamp(clean + (iterate - clean).clamp(-step, step))

    register(monkeypatch, ATTACKS, "pgd", lambda: Attack(10, 0.125, project=once))
    world.attack_all()
    assert world.signs()["unused_budget"] == {"pgd"}


def test_an_attack_over_its_budget(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    over = lambda: Attack(10, 0.25, project=lambda modality, iterate, clean, budget: budget.clamp(iterate))  # noqa: E731
    register(monkeypatch, ATTACKS, "fgsm", over)
    refused(world, RuntimeError, "audio moved by .*, out of its ball")


def test_a_start_outside_the_ball(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    far = lambda modality, clean, budget, context: budget.clamp(clean + 2 * budget.epsilon)  # noqa: E731
    register(monkeypatch, ATTACKS, "random_sign", lambda: Attack(0, start=far, random=True))
    refused(world, RuntimeError, "audio moved by .*, out of its ball")


def test_a_modality_that_is_not_attacked_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    perturbed_by(monkeypatch, lambda made, clean, budgets: {name: x.clone() for name, x in made.items()})
    refused(world, RuntimeError, "is not attacked, yet it changed")


def test_a_gradient_that_is_no_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an attack that does not promise to keep to the range."""
    monkeypatch.setattr(LInf, "steepest", lambda self, gradient, epsilon: gradient * torch.nan)
    register(monkeypatch, ATTACKS, "fgsm", lambda: Attack(1, keeps_range=False))
    refused(world, RuntimeError, "audio moved by nan, out of its ball")


# Who answers, and to what.


def test_labels_are_exchanged(world: World) -> None:
    """Of one bundle: no table of both is made, and the ledger says so. In all, the classes are in another order."""
    write_clips(world.folder / "exchanged/0.arrow", [(label + 1) % 3 for label in world.labels])
    world.attack_all(shard="exchanged")
    assert world.signs().get("clean_differs") == {""}
    cells = cells_of(world.bundles.values())
    with pytest.raises(UserError, match="was measured on other clips or labels"):
        cells.outcomes([Reading("music", surrogate, "one", "fgsm", CLEAN) for surrogate in ("one", "two")])
    write_clips(world.folder / "clips/0.arrow", world.labels, CLASSES[::-1])
    with pytest.raises(UserError, match="classes"):
        world.attack_all()


def test_another_net_answers(world: World) -> None:
    """In one bundle the victim's file is another net's."""
    world.attack_all()
    world.attack("transferred", "two", ["fgsm"], one="two")
    assert world.signs()["clean_differs"] == {""}


def test_a_net_is_scored_on_another_nets_clips(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cell_module.craft
    other = world.other

    def crafted(threat, loss, *rest):
        return real(threat, Loss(other, CROSS_ENTROPY, loss.inputs, loss.labels), *rest)

    monkeypatch.setattr(cell_module, "craft", crafted)
    refused(world, RuntimeError, "attack fgsm: the gradients are those of another net than its surrogate")


class Restless(Concat):
    """Concat that does not leave its training mode."""

    def train(self, mode: bool = True) -> "Restless":
        return super().train(True)


class Neighbourly(Concat):
    """Concat of features less their mean over the batch."""

    def forward(self, features):
        fused = super().forward(features)
        return fused - fused.mean(dim=0)


class Chancy(Concat):
    """Concat of a half of the features that is drawn anew."""

    def forward(self, features):
        fused = super().forward(features)
        return fused * (torch.rand_like(fused) < 0.5)


@pytest.mark.parametrize(
    ("fusion", "said"),
    [
        (Restless, "Restless stays in training mode"),
        (Neighbourly, r"one\.pt: the net answers a clip otherwise beside other clips"),
        (Chancy, r"one\.pt: the net answers a clip otherwise .*, or when it is asked again"),
    ],
    ids=["training mode", "a batch that shapes its clips", "chance"],
)
def test_a_net_that_does_not_answer_each_clip_by_itself(world: World, monkeypatch, fusion: type, said: str) -> None:
    register(monkeypatch, FUSIONS, "planted", fusion)
    save(world.folder / "one.pt", world.net, fusion=Part("planted"))
    refused(world, UserError, said)
