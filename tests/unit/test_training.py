"""Training: the recipe by hand, resuming bit for bit, what a mistake says."""

import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import TwoBatches, assert_goes_on
from nets import (
    CROSS_ENTROPY,
    FORMS,
    UNITS,
    batch,
    build_attack,
    build_objective,
    clips,
    linear_net,
    narrow_net,
    narrow_spec,
)
from sklearn.metrics import average_precision_score
from torch import nn

from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.data.batches import Batch
from avrobust.models.build import Part
from avrobust.models.files import load_model, save_model
from avrobust.models.late_fusion import LateFusion
from avrobust.models.task import TASKS, Task
from avrobust.objectives.prototype_conformity import PrototypeConformity
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.clips import TrainingClips
from avrobust.training.descent import descent_of
from avrobust.training.kept_features import KeptFeatures
from avrobust.training.loop import answers, history_csv, train
from avrobust.training.prepare.adversarial import Adversarial
from avrobust.training.prepare.mixup import Mixup
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.replicas import encode_in_replicas
from avrobust.training.sgd import SGD

CPU = torch.device("cpu")
RATES = {"audio": 0.02, "visual": 0.01, "head": 0.03}
RECIPE = TrainingRecipe(epochs=4, milestones=(2,), batch_size=4, learning_rates=RATES)
SETTING = Setting(CROSS_ENTROPY, CPU, seed=7, classes=5, inputs=FORMS)
PLAIN = Plain(SETTING)


class OneBatch(TwoBatches):
    """All clips in one batch."""

    def __iter__(self):
        yield batch(torch.arange(8))

    def __len__(self) -> int:
        return 1


def fit(
    folder: Path,
    recipe: TrainingRecipe = RECIPE,
    key: str = "key",
    net=None,
    objective=CROSS_ENTROPY,
    kept: int = 0,
    prepare=PLAIN,
    batches: TwoBatches | None = None,
    task: Task = TASKS["single"],
) -> dict:
    batches = batches or TwoBatches(batch)
    made = TrainingClips(batches, batches, [batch(torch.arange(8))], 8, 8)
    observer = KeptFeatures(kept, recipe.epochs)
    place = (folder / "resume.pt", key, CPU, observer)
    result = train(net or narrow_net(), made, recipe, objective, prepare, task, *place)
    return {**result, "training_features": observer.state_dict()}


def conformity(seed: int = 0) -> PrototypeConformity:
    torch.manual_seed(seed)
    return PrototypeConformity({"audio": 64, "visual": 64}, 5, 1e-3, 1e-4, prox_rate=0.1, conprox_rate=0.01)


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[part][key], other[part][key]) for part in other for key in other[part])


def test_each_part_has_its_own_rate_and_every_parameter_is_in_one_group():
    net = narrow_net("film")
    groups = descent_of(net, CROSS_ENTROPY, RECIPE, 1).groups
    assert [group["lr"] for group in groups] == [0.02, 0.01, 0.03]
    members = [parameter for group in groups for parameter in group["params"]]
    assert len(members) == len({id(member) for member in members}) == len(list(net.parameters()))
    assert net.fusion.alpha.weight is groups[2]["params"][0]


def test_one_step_by_hand():
    """Plain SGD on the first step: w - rate * (gradient + weight_decay * w)."""
    net = narrow_net()
    before, expected = copy.deepcopy(net), copy.deepcopy(net).train()
    first = batch(torch.arange(4))
    descent = descent_of(net, CROSS_ENTROPY, RECIPE, 1)
    loss = loop.train_epoch(net, [first], descent, CROSS_ENTROPY, PLAIN, 1, RECIPE)
    inputs = {"audio": first["audio"], "visual": first["visual"].float() / 255}
    reference = torch.nn.functional.cross_entropy(expected(inputs), first["label"])
    reference.backward()
    assert loss == pytest.approx(reference.item())
    for name, rate in (("encoders.audio.layers.0.weight", 0.02), ("encoders.visual.conv1.weight", 0.01)):
        weight = before.get_parameter(name)
        moved = weight - rate * (expected.get_parameter(name).grad + 1e-4 * weight)
        torch.testing.assert_close(net.get_parameter(name), moved)


def test_replicas_are_normalised_apart_and_the_first_moves_the_running_statistics():
    """As on two GPUs with half of the batch each."""
    net, half = narrow_net().train(), copy.deepcopy(narrow_net()).train()
    x = clips(8)["audio"]
    encoded = encode_in_replicas(net, "audio", x, 4)
    first = half.encode("audio", x[:4])
    assert torch.equal(encoded[:4], first)
    assert all(torch.equal(one, other) for one, other in zip(net.buffers(), half.buffers(), strict=True))
    assert torch.equal(encoded[4:], half.encode("audio", x[4:]))
    whole = narrow_net().train().encode("audio", x)
    assert not torch.allclose(encoded, whole)
    assert torch.equal(encode_in_replicas(narrow_net().train(), "audio", x, 8), whole)


def test_rates_fall_after_the_milestone_and_training_learns(tmp_path):
    # Rates at which a last bit in the arithmetic does not decide how much is learned.
    slow = {name: rate / 5 for name, rate in RATES.items()}
    history = fit(tmp_path, TrainingRecipe(12, 4, slow, (9, 11)))["history"]
    assert [row["rate_factor"] for row in history] == [1] * 9 + [pytest.approx(0.1)] * 2 + [pytest.approx(0.01)]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_best_is_the_first_epoch_of_the_highest_validation_accuracy(tmp_path, monkeypatch):
    accuracies = iter([20.0, 60.0, 60.0, 40.0])
    task = TASKS["single"]._replace(metric=lambda *given: next(accuracies))
    states, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda state, path: (states.append(copy.deepcopy(state)), save(state, path)))
    result = fit(tmp_path, task=task)
    assert result["best_epoch"] == 2
    assert same(states[1]["latest"], result["best"])
    assert same(states[3]["latest"], result["latest"])


def test_best_is_the_last_epoch_where_the_recipe_says_so(tmp_path, monkeypatch):
    accuracies = iter([20.0, 60.0, 60.0, 40.0])
    task = TASKS["single"]._replace(metric=lambda *given: next(accuracies))
    result = fit(tmp_path, replace(RECIPE, best_is="last"), task=task)
    assert result["best_epoch"] == len(result["history"]) == 4
    assert same(result["best"], result["latest"])
    with pytest.raises(UserError, match="best_is is validation or last, not 'first'"):
        replace(RECIPE, best_is="first")


CONFORMITY = {
    "name": "prototype_conformity",
    "options": dict.fromkeys(("prox_weight", "conprox_weight", "prox_rate", "conprox_rate"), 0.1),
}
ADAM = {"name": "adam", "options": {"weight_decay": 1e-3}}
GOES_ON = {
    "sgd": (RECIPE, PLAIN),
    "adam, three batches a step, warm-up": (
        replace(
            RECIPE, optimiser=ADAM, accumulation=3, warm_up=2, annealing="cosine",
            learning_rates=dict.fromkeys(RATES, 1e-3),
        ),
        PLAIN,
    ),
    "mixup": (RECIPE, Mixup(SETTING)),
    "adversarial": (RECIPE, Adversarial(SETTING, {"update": "pgd_random", "steps": 2}, 0.02)),
    "adversarial, by an objective with weights of its own": (
        RECIPE, Adversarial(SETTING, {"update": "pgd", "steps": 2, "objective": CONFORMITY}, 0.02)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "prepare"), GOES_ON.values(), ids=GOES_ON)
def test_a_killed_training_goes_on_with_the_same_bits(tmp_path, recipe, prepare):
    """After each of its epochs."""

    def trained(seed: int = 0) -> dict:
        objective = conformity(seed) if prepare is PLAIN else CROSS_ENTROPY
        net = narrow_net(seed=seed)
        net.fusion = nn.Sequential(net.fusion, nn.Dropout(0.5))
        return fit(tmp_path, recipe, net=net, objective=objective, kept=6, prepare=prepare)

    assert_goes_on(trained, tmp_path / "resume.pt", epochs=(1, 2, 3))


def test_a_training_that_is_over_when_it_is_killed_still_has_its_features(tmp_path):
    whole = fit(tmp_path, kept=6)
    result = fit(tmp_path, net=narrow_net(seed=99), kept=6)
    assert result["resumed_epochs"] == 4
    assert same(result, {"training_features": whole["training_features"]})


def test_kept_features_are_the_first_of_the_last_epoch_as_the_net_in_training_saw_them(tmp_path, monkeypatch):
    seen, head = [], LateFusion.head
    monkeypatch.setattr(LateFusion, "head", lambda net, features: (seen.append(features), head(net, features))[1])
    kept = fit(tmp_path, kept=6)["training_features"]
    trained = [features for features in seen if features["audio"].requires_grad]
    assert len(trained) == 2 * RECIPE.epochs
    for name in ("audio", "visual"):
        assert torch.equal(kept[name], torch.cat([features[name] for features in trained[-2:]])[:6])


def test_the_objectives_own_parameters_move_at_their_own_constant_rates(tmp_path, monkeypatch):
    rates, taken, epoch, move = [], [], loop.train_epoch, SGD.move

    def watched(self: SGD, parameters: list, gradients: list, states: list, rate: float) -> None:
        taken.append(rate)
        move(self, parameters, gradients, states, rate)

    monkeypatch.setattr(SGD, "move", watched)
    monkeypatch.setattr(loop, "train_epoch", lambda *given: (epoch(*given), rates.append(taken[-5:]))[0])
    objective = conformity()
    result = fit(tmp_path, objective=objective)
    assert [row[:3] for row in rates[:2]] == [[0.02, 0.01, 0.03]] * 2
    assert rates[3][:3] == pytest.approx([0.002, 0.001, 0.003])
    assert all(row[3:] == [pytest.approx(0.1 / 1e-3), pytest.approx(0.01 / 1e-4)] for row in rates)
    assert not torch.equal(result["latest"]["objective"]["prox_centres.audio"], conformity().prox_centres["audio"])


def test_another_setting_or_a_damaged_state_starts_anew(tmp_path):
    fit(tmp_path)
    assert fit(tmp_path, key="other")["resumed_epochs"] == 0
    path = tmp_path / "resume.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert fit(tmp_path, key="other")["resumed_epochs"] == 0


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_state_starts_anew(tmp_path, caplog, place):
    fit(tmp_path)
    path = tmp_path / "resume.pt"
    flip(path, place)
    assert fit(tmp_path)["resumed_epochs"] == 0
    assert "resume.pt is damaged" in caplog.text and "starting from the first epoch" in caplog.text


# --- Accumulation


def linear_batch(positions: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(3)
    inputs = {name: torch.randn(12, 6, generator=generator, dtype=torch.float64) for name in ("audio", "visual")}
    return {
        **{name: x[positions] for name, x in inputs.items()},
        "label": positions % 3,
        "clip_id": [f"clip{position}" for position in positions.tolist()],
    }


class Whole(Plain):
    """Inputs as they are: frames that are no pictures."""

    def __call__(self, model, batch, epoch):
        return {name: batch[name] for name in ("audio", "visual")}, batch["label"]


@pytest.mark.parametrize("optimiser", [{"name": "sgd"}, {"name": "adam"}])
def test_a_step_of_accumulated_batches_is_that_of_one_batch_as_large(optimiser):
    """Of a net without batch statistics; the last step of an epoch takes the one batch that is left."""
    rates = {"audio": 0.1, "visual": 0.1, "head": 0.1}
    ends = []
    for size, accumulation, steps in ((3, 3, [9, 3]), (9, 1, [9, 3])):
        recipe = TrainingRecipe(2, size, rates, optimiser=optimiser, accumulation=accumulation)
        net = linear_net(6, 3)
        batches = [linear_batch(part) for part in torch.arange(12).split(size)]
        descent = descent_of(net, CROSS_ENTROPY, recipe, len(batches))
        for epoch in (1, 2):
            loop.train_epoch(net, batches, descent, CROSS_ENTROPY, Whole(SETTING), epoch, recipe)
        assert descent.state_dict()["steps"] == 2 * len(steps)
        ends.append(net.classifier.weight.detach())
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(ends[0], linear_net(6, 3).classifier.weight)


# --- Preparations


class Noted(Plain):
    """The clips as they are; `seen` holds every epoch and its clips."""

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self.seen: list[tuple[int, list[str]]] = []

    def __call__(self, model, batch, epoch):
        assert model.training
        self.seen.append((epoch, batch["clip_id"]))
        return super().__call__(model, batch, epoch)


def test_every_batch_is_prepared_in_its_epoch(tmp_path):
    prepare, batches, expected = Noted(SETTING), TwoBatches(batch), []
    fit(tmp_path, prepare=prepare)
    for batches.epoch in range(1, RECIPE.epochs + 1):
        expected += [(batches.epoch, made["clip_id"]) for made in batches]
    assert prepare.seen == expected


# --- mixup


def mixed(prepare: Mixup, positions: list[int], epoch: int = 1) -> tuple[dict, torch.Tensor]:
    return prepare(narrow_net(), batch(torch.tensor(positions)), epoch)


def test_a_mixture_is_of_two_clips_by_one_share_in_sound_picture_and_target():
    plain, labels = PLAIN(narrow_net(), batch(torch.arange(8)), 1)
    inputs, targets = mixed(Mixup(SETTING), list(range(8)))
    assert targets.shape == (8, 5)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
    partners = set()
    for clip in range(8):
        # The share, by least squares of the sound on every possible partner.
        for other in set(range(8)) - {clip}:
            way = plain["audio"][clip] - plain["audio"][other]
            share = ((inputs["audio"][clip] - plain["audio"][other]) * way).sum() / way.square().sum()
            if torch.allclose(plain["audio"][other] + share * way, inputs["audio"][clip], atol=1e-5):
                break
        else:
            pytest.fail(f"clip {clip} is no mixture of two")
        assert 0 <= share <= 1
        partners.add(other)
        pixels = share * plain["visual"][clip] + (1 - share) * plain["visual"][other]
        torch.testing.assert_close(inputs["visual"][clip], pixels, rtol=1e-4, atol=1e-5)
        wanted = torch.zeros(5)
        wanted[labels[clip]] += share
        wanted[labels[other]] += 1 - share
        torch.testing.assert_close(targets[clip], wanted, rtol=1e-4, atol=1e-5)
    assert partners == set(range(8)), "every clip is the partner of one"


def test_mixtures_depend_on_the_clips_and_not_on_their_order():
    order = [5, 2, 7, 0, 1, 6, 4, 3]
    inputs, targets = mixed(Mixup(SETTING), list(range(8)))
    others, other_targets = mixed(Mixup(SETTING), order)
    assert all(torch.equal(inputs[name][order], others[name]) for name in inputs)
    assert torch.equal(targets[order], other_targets)
    for another in (mixed(Mixup(SETTING), order, epoch=2), mixed(Mixup(replace(SETTING, seed=8)), order)):
        assert not torch.equal(another[0]["audio"], others["audio"])


def test_shares_are_drawn_of_a_beta_distribution():
    """Its variance is 1 / (8 alpha + 4); with two clips, each the other's partner, a target holds the share."""
    net, two = narrow_net(), batch(torch.arange(2))
    for alpha in (0.2, 1.0, 4.0):
        prepare = Mixup(SETTING, alpha)
        targets = torch.cat([prepare(net, two, epoch)[1] for epoch in range(300)])
        shares = targets[torch.arange(600), torch.arange(600) % 2]
        assert shares.mean().item() == pytest.approx(0.5, abs=0.06)
        assert shares.var().item() == pytest.approx(1 / (8 * alpha + 4), rel=0.2)


def test_an_objective_that_needs_one_label_is_refused():
    with pytest.raises(UserError, match="mixup: PrototypeConformity needs one label"):
        Mixup(replace(SETTING, objective=conformity()))


def test_the_loss_of_a_mixture_is_the_mixed_loss(tmp_path):
    """Cross-entropy is linear in the target; and a net learns by it."""
    logits, targets = torch.randn(8, 5), mixed(Mixup(SETTING), list(range(8)))[1]
    each = -torch.log_softmax(logits, dim=1)
    torch.testing.assert_close(CROSS_ENTROPY({}, logits, targets), (targets * each).sum(dim=1))
    slow = {name: rate / 5 for name, rate in RATES.items()}
    history = fit(tmp_path, TrainingRecipe(12, 4, slow), prepare=Mixup(SETTING, alpha=0.2))["history"]
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]


# --- Adversarial training

PGD = {"update": "pgd", "steps": 3}
BUDGET = {"audio": 0.01, "visual": 0.05}


def test_the_net_learns_from_what_the_attack_makes_of_it_in_evaluation_mode():
    """The very clips that the attack's own calls give; statistics and modes as before; no parameter has a gradient."""
    net, first = narrow_net().train(), batch(torch.arange(4))
    net.encoders["visual"].eval()
    before, modes = copy.deepcopy(net.state_dict()), [module.training for module in net.modules()]
    inputs, targets = Adversarial(SETTING, PGD, BUDGET)(net, first, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all(parameter.grad is None for parameter in net.parameters())

    clean, labels = PLAIN(net, first, 1)
    budgets = {name: UNITS[name].budget(epsilon) for name, epsilon in BUDGET.items()}
    expected = perturb(Loss(net.eval(), CROSS_ENTROPY, clean, labels), budgets, build_attack("pgd", {"steps": 3}))
    assert torch.equal(targets, labels)
    for name in ("audio", "visual"):
        assert torch.equal(inputs[name], expected[name]) and not torch.equal(inputs[name], clean[name])
        assert budgets[name].used(inputs[name] - clean[name]).max() <= 1 + 1e-5


def test_a_net_may_be_attacked_by_the_statistics_of_the_batch_which_move_none():
    """One step by hand: the gradient of a copy in training mode. Statistics and modes are as before."""
    net, first = narrow_net().train(), batch(torch.arange(4))
    # Running statistics that are not those of a batch.
    for layer in (one for one in net.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)):
        layer.running_mean += 1
    before, modes = copy.deepcopy(net.state_dict()), [module.training for module in net.modules()]
    made, _ = Adversarial(SETTING, {"update": "fgsm"}, BUDGET, batch_norm="batch")(net, first, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all(layer.track_running_stats for layer in net.modules() if isinstance(layer, nn.BatchNorm1d))

    clean, labels = PLAIN(net, first, 1)
    leaves = {name: x.clone().requires_grad_() for name, x in clean.items()}
    nn.functional.cross_entropy(copy.deepcopy(net)(leaves), labels, reduction="sum").backward()
    for name, leaf in leaves.items():
        budget = UNITS[name].budget(BUDGET[name])
        wanted = (clean[name] + budget.epsilon * leaf.grad.sign()).clamp(budget.low, budget.high)
        assert torch.allclose(made[name], wanted, atol=1e-6)
    running, _ = Adversarial(SETTING, {"update": "fgsm"}, BUDGET)(net, first, 1)
    assert not torch.equal(running["audio"], made["audio"])
    with pytest.raises(UserError, match="batch_norm 'both' is none of running, batch"):
        Adversarial(SETTING, PGD, BUDGET, batch_norm="both")


def test_what_the_objective_of_the_attack_draws_is_drawn_once():
    """Centres of classes: batches later, torch's generator is where it was, and the objective the same one."""
    prepare, net, first = (
        Adversarial(SETTING, {**PGD, "objective": CONFORMITY}, BUDGET),
        narrow_net(),
        batch(torch.arange(4)),
    )
    one, _ = prepare(net, first, 1)
    state = torch.random.get_rng_state()
    again, _ = prepare(net, first, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], again[name]) for name in one)


def test_only_the_modality_that_has_a_budget_is_attacked_and_the_spaces_differ():
    net, first = narrow_net(), batch(torch.arange(4))
    clean, _ = PLAIN(net, first, 1)
    inputs, _ = Adversarial(SETTING, PGD, {"audio": 0.01})(net, first, 1)
    assert torch.equal(inputs["visual"], clean["visual"]) and not torch.equal(inputs["audio"], clean["audio"])
    pixels, _ = Adversarial(SETTING, PGD, {"visual": 0.05}, "pixel")(net, first, 1)
    assert (pixels["visual"] - clean["visual"]).abs().max().item() == pytest.approx(3 / 8 * 0.05, abs=1e-6)


def test_a_net_trained_on_them_withstands_more(tmp_path):
    """After the same training, with and without: fewer clips fall to the same attack."""
    slow, attack = {name: rate / 5 for name, rate in RATES.items()}, Adversarial(SETTING, PGD, BUDGET)
    losses = {}
    for name, prepare in (("plain", PLAIN), ("adversarial", attack)):
        net = narrow_net()
        fit(tmp_path / name, TrainingRecipe(15, 4, slow), net=net, prepare=prepare)
        inputs, labels = attack(net.eval(), batch(torch.arange(8)), 1)
        with torch.no_grad():
            losses[name] = CROSS_ENTROPY({}, net(inputs), labels).mean().item()
    assert losses["adversarial"] < 0.7 * losses["plain"]


def test_what_no_training_can_use_is_refused():
    for attack, budget, said in (
        ({"update": "pgd", "batch_size": 4}, 0.1, "pgd attacks the net that is trained"),
        (PGD, {"audio": {"norm": "linf"}}, "either epsilon or snr"),
    ):
        with pytest.raises(UserError, match=said):
            Adversarial(SETTING, attack, budget)


class Poisoned(TwoBatches):
    """From the third epoch on, a clip of the second batch has a sound that is no number."""

    def __iter__(self):
        for number, made in enumerate(super().__iter__()):
            if (self.epoch, number) >= (3, 1):
                made["audio"][2] = float("nan")
            yield made


def test_a_poisoned_clip_is_named_and_the_state_stays_that_of_the_epoch_before(tmp_path):
    whole = fit(tmp_path / "whole")
    with pytest.raises(
        UserError, match=r"loss became nan in epoch 3, batch 2, clips clip0\d, clip0\d, clip0\d, clip0\d"
    ):
        fit(tmp_path, batches=Poisoned(batch))
    result = fit(tmp_path, net=narrow_net(seed=99))
    assert result["resumed_epochs"] == 2
    assert same(result["best"], whole["best"]) and same(result["latest"], whole["latest"])


def test_a_learning_rate_that_breaks_the_weights_is_seen_before_they_are_saved(tmp_path):
    """Of one batch an epoch, whose loss is that of the weights before."""
    rates = dict.fromkeys(RATES, 3e38)
    with pytest.raises(UserError, match=r"weights became infinite or nan in epoch 1, batch 1, clips clip0\d.*rates"):
        fit(tmp_path, TrainingRecipe(4, 8, rates), batches=OneBatch(batch))
    assert list(tmp_path.iterdir()) == []


def test_a_learning_rate_that_is_too_high_is_seen_by_the_loss(tmp_path):
    with pytest.raises(UserError, match=r"loss became \S+ in epoch 1, batch 2, clips clip\d.*lower the learning rates"):
        fit(tmp_path, TrainingRecipe(4, 4, dict.fromkeys(RATES, 1e30)))
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, place: float) -> None:
    """Flip one bit at a share of a file."""
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 4
    path.write_bytes(data)


@pytest.fixture
def model_file(tmp_path) -> Path:
    """A model whose best weights are those of seed 0, its latest those of seed 1."""
    states = ({"model": narrow_net(seed=seed).state_dict(), "objective": {}} for seed in (0, 1))
    path = tmp_path / "model.pt"
    spec = narrow_spec()
    save_model(path, spec, Part("cross_entropy"), list("abcde"), *states, {})
    return path


@pytest.mark.parametrize(("state", "seed"), [("best", 0), ("latest", 1)])
def test_a_model_is_read_as_it_was_written(model_file, state, seed):
    read, written = load_model(model_file, state, CPU).model.state_dict(), narrow_net(seed=seed).state_dict()
    assert read.keys() == written.keys()
    assert all(torch.equal(value, written[name]) for name, value in read.items())


@pytest.mark.parametrize("damage", [flip, lambda path, place: os.truncate(path, int(place * path.stat().st_size))])
@pytest.mark.parametrize("place", [0.01, 0.3, 0.6, 0.9])
def test_a_damaged_model_is_named_with_what_to_do_in_one_line(model_file, damage, place):
    damage(model_file, place)
    with pytest.raises(UserError, match=r"is no whole model file .*`rm \S+/model\.pt` and the same") as said:
        load_model(model_file, "best", CPU)
    assert "\n" not in str(said.value)


def test_the_epoch_is_chosen_by_the_answers_to_all_validation_clips_in_evaluation_mode():
    net, whole = narrow_net(), batch(torch.arange(8))
    expected = net({"audio": whole["audio"], "visual": whole["visual"].float() / 255}).detach()
    halves = [{name: value[part] for name, value in whole.items()} for part in (slice(0, 5), slice(5, 8))]
    logits, targets = answers(net.train(), halves, CPU)
    torch.testing.assert_close(logits, expected)
    assert torch.equal(targets, whole["label"]) and net.training


def test_clips_of_several_classes_are_trained_on_and_judged_by_mean_average_precision(tmp_path):
    """The score of the history is that of scikit-learn, of the net as it is after the last epoch."""

    def several(made: Batch) -> Batch:
        classes = torch.arange(5)
        return {**made, "label": ((made["label"][:, None] - classes) % 5 < 2).float()}

    batches = TwoBatches(lambda positions: several(batch(positions)))
    net, objective = narrow_net(), build_objective("binary_cross_entropy", {}, 5)
    validation = several(batch(torch.arange(8)))
    made = TrainingClips(batches, batches, [validation], 8, 8)
    recipe = TrainingRecipe(12, 4, {name: rate / 2 for name, rate in RATES.items()})
    place = (tmp_path / "resume.pt", "key", CPU)
    result = train(net, made, recipe, objective, Mixup(SETTING, 0.1), TASKS["multiple"], *place)
    history = result["history"]
    net.load_state_dict(result["latest"]["model"])
    logits, targets = answers(net, [validation], CPU)
    score = 100 * average_precision_score(targets.numpy(), logits.numpy(), average="macro")
    assert history[-1]["validation_mean_average_precision"] == pytest.approx(score)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_history_as_csv():
    assert history_csv([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]) == "epoch,loss\n1,0.5\n2,0.25\n"
