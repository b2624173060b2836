"""Training: the recipe by hand, resuming bit for bit, what a mistake says."""

import copy
import os
from pathlib import Path

import pytest
import torch
from nets import CROSS_ENTROPY, clips, narrow_net
from torchmetrics.functional.classification import multiclass_accuracy

from avrobust.data.batches import Batch
from avrobust.models.build import ModelSpec
from avrobust.models.files import load_model, save_model
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.build import ObjectiveSpec
from avrobust.objectives.prototype_conformity import PrototypeConformity
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.loop import TrainingRecipe, history_csv, parameter_groups, top1_accuracy, train
from avrobust.training.replicas import encode_in_replicas
from avrobust.training.sgd import SGD

CPU = torch.device("cpu")
RATES = {"audio": 0.02, "visual": 0.01, "head": 0.03}
RECIPE = TrainingRecipe(epochs=4, milestones=(2,), batch_size=4, learning_rates=RATES)


class Batches:
    """Stands in for a shuffled loader: every epoch another order of the same two batches."""

    def __init__(self, seed: int = 0):
        self.epoch, self.seed = 0, seed

    def __iter__(self):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(100 * self.seed + self.epoch))
        yield from (batch(part) for part in order.split(4))


class OneBatch(Batches):
    """All clips in one batch."""

    def __iter__(self):
        yield batch(torch.arange(8))


def batch(positions: torch.Tensor) -> Batch:
    inputs = clips(8)
    return {
        "audio": inputs["audio"][positions],
        "visual": (255 * inputs["visual"][positions]).to(torch.uint8),
        "label": positions % 5,
        "clip_id": [f"clip{position}" for position in positions.tolist()],
    }


def fit(
    folder: Path, recipe: TrainingRecipe = RECIPE, key: str = "key", net=None, objective=CROSS_ENTROPY, kept: int = 0
) -> dict:
    batches = Batches()
    net = net or narrow_net()
    validation = [batch(torch.arange(8))]
    return train(net, batches, batches, validation, recipe, objective, folder / "resume.pt", key, CPU, kept)


def conformity(seed: int = 0) -> PrototypeConformity:
    torch.manual_seed(seed)
    return PrototypeConformity({"audio": 64, "visual": 64}, 5, 1e-3, 1e-4, prox_rate=0.1, conprox_rate=0.01)


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[part][key], other[part][key]) for part in other for key in other[part])


def test_each_part_has_its_own_rate_and_every_parameter_is_in_one_group():
    net = narrow_net("film")
    groups = parameter_groups(net, RECIPE)
    assert [group["lr"] for group in groups] == [0.02, 0.01, 0.03]
    members = [parameter for group in groups for parameter in group["params"]]
    assert len(members) == len({id(member) for member in members}) == len(list(net.parameters()))
    assert net.fusion.alpha.weight is groups[2]["params"][0]


def test_one_step_by_hand():
    """Plain SGD on the first step: w - rate * (gradient + weight_decay * w)."""
    net = narrow_net()
    before, expected = copy.deepcopy(net), copy.deepcopy(net).train()
    first = batch(torch.arange(4))
    optimizer = SGD(parameter_groups(net, RECIPE), momentum=0.9, weight_decay=1e-4)
    loss, kept = loop.train_epoch(net, [first], optimizer, CROSS_ENTROPY, 1, CPU)
    assert kept == {}
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
    history = fit(tmp_path, TrainingRecipe(12, (9, 11), 4, slow))["history"]
    assert [row["rate_factor"] for row in history] == [1] * 9 + [pytest.approx(0.1)] * 2 + [pytest.approx(0.01)]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_best_is_the_first_epoch_of_the_highest_validation_accuracy(tmp_path, monkeypatch):
    accuracies = iter([20.0, 60.0, 60.0, 40.0])
    monkeypatch.setattr(loop, "top1_accuracy", lambda *given: next(accuracies))
    states, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda state, path: (states.append(copy.deepcopy(state)), save(state, path)))
    result = fit(tmp_path)
    assert result["best_epoch"] == 2
    assert same(result["best"], states[1]["latest"])
    assert same(result["latest"], states[3]["latest"])


class Killed(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_killed_training_goes_on_with_the_same_bits(tmp_path, monkeypatch, epoch):
    whole = fit(tmp_path, objective=conformity(), kept=6)
    (tmp_path / "resume.pt").unlink()
    train_epoch = loop.train_epoch

    def dies(*given):
        if given[4] == epoch + 1:
            raise Killed
        return train_epoch(*given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "train_epoch", dies)
        fit(tmp_path, objective=conformity(), kept=6)
    result = fit(tmp_path, net=narrow_net(seed=99), objective=conformity(99), kept=6)
    assert result["resumed_epochs"] == epoch
    assert result["history"] == whole["history"] and result["best_epoch"] == whole["best_epoch"]
    assert same(result["best"], whole["best"]) and same(result["latest"], whole["latest"])
    assert same(result, {"training_features": whole["training_features"]})


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
    rates, epoch = [], loop.train_epoch
    monkeypatch.setattr(
        loop, "train_epoch", lambda *given: (rates.append([g["lr"] for g in given[2].groups]), epoch(*given))[1]
    )
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


class Poisoned(Batches):
    """From the third epoch on, a clip of the second batch has a sound that is no number."""

    def __iter__(self):
        for number, made in enumerate(super().__iter__()):
            if (self.epoch, number) >= (3, 1):
                made["audio"][2] = float("nan")
            yield made


def test_a_poisoned_clip_is_named_and_the_state_stays_that_of_the_epoch_before(tmp_path):
    whole = fit(tmp_path / "whole")
    batches, broken = Poisoned(), tmp_path / "resume.pt"
    with pytest.raises(UserError, match=r"loss became nan in epoch 3, batch 2, clips clip\d, clip\d, clip\d, clip\d"):
        train(narrow_net(), batches, batches, [batch(torch.arange(8))], RECIPE, CROSS_ENTROPY, broken, "key", CPU)
    result = fit(tmp_path, net=narrow_net(seed=99))
    assert result["resumed_epochs"] == 2
    assert same(result["best"], whole["best"]) and same(result["latest"], whole["latest"])


def test_a_learning_rate_that_breaks_the_weights_is_seen_before_they_are_saved(tmp_path):
    """Of one batch an epoch, whose loss is that of the weights before."""
    batches = OneBatch()
    rates = dict.fromkeys(RATES, 3e38)
    with pytest.raises(UserError, match=r"weights became infinite or nan in epoch 1, batch 1, clips clip\d.*rates"):
        train(
            narrow_net(), batches, batches, [batch(torch.arange(8))], TrainingRecipe(4, (2,), 8, rates),
            CROSS_ENTROPY, tmp_path / "resume.pt", "key", CPU,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_learning_rate_that_is_too_high_is_seen_by_the_loss(tmp_path):
    with pytest.raises(UserError, match=r"loss became \S+ in epoch 1, batch 2, clips clip\d.*lower the learning rates"):
        fit(tmp_path, TrainingRecipe(4, (2,), 4, dict.fromkeys(RATES, 1e30)))
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
    spec = ModelSpec(fusion="concat", audio="conv1d", visual="resnet18", width=0.125)
    save_model(path, spec, ObjectiveSpec("cross_entropy"), list("abcde"), *states, {})
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


def test_accuracy_by_hand():
    net = narrow_net()
    eight = batch(torch.arange(8))
    with torch.no_grad():
        predictions = net({"audio": eight["audio"], "visual": eight["visual"].float() / 255}).argmax(1)
    eight["label"] = torch.where(torch.arange(8) < 3, predictions, (predictions + 1) % 5)
    halves = [{name: value[part] for name, value in eight.items()} for part in (slice(0, 5), slice(5, 8))]
    assert top1_accuracy(net, halves, CPU) == 37.5
    reference = multiclass_accuracy(predictions, eight["label"], num_classes=5, average="micro")
    assert reference.item() == pytest.approx(0.375)


def test_history_as_csv():
    assert history_csv([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]) == "epoch,loss\n1,0.5\n2,0.25\n"
