"""Training: the recipe by hand, resuming bit for bit, what a mistake says."""

import copy
from pathlib import Path

import pytest
import torch
from nets import clips, narrow_net
from torchmetrics.functional.classification import multiclass_accuracy

from avrobust.data.batches import Batch
from avrobust.objectives.cross_entropy import cross_entropy
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.loop import TrainingRecipe, history_csv, parameter_groups, top1_accuracy, train
from avrobust.training.replicas import encode_in_replicas

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


def batch(positions: torch.Tensor) -> Batch:
    inputs = clips(8)
    return {
        "audio": inputs["audio"][positions],
        "visual": (255 * inputs["visual"][positions]).to(torch.uint8),
        "label": positions % 5,
        "clip_id": [f"clip{position}" for position in positions.tolist()],
    }


def fit(folder: Path, recipe: TrainingRecipe = RECIPE, key: str = "key", net=None) -> dict:
    batches = Batches()
    net = net or narrow_net()
    validation = [batch(torch.arange(8))]
    return train(net, batches, batches, validation, recipe, cross_entropy, folder / "resume.pt", key, CPU)


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
    optimizer = torch.optim.SGD(parameter_groups(net, RECIPE), momentum=0.9, weight_decay=1e-4)
    loss = loop.train_epoch(net, [first], optimizer, cross_entropy, 1, CPU)
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
    history = fit(tmp_path, TrainingRecipe(12, (9, 11), 4, RATES))["history"]
    assert [row["rate_factor"] for row in history] == [1] * 9 + [pytest.approx(0.1)] * 2 + [pytest.approx(0.01)]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_best_is_the_first_epoch_of_the_highest_validation_accuracy(tmp_path, monkeypatch):
    accuracies = iter([20.0, 60.0, 60.0, 40.0])
    monkeypatch.setattr(loop, "top1_accuracy", lambda *given: next(accuracies))
    states, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda state, path: (states.append(copy.deepcopy(state)), save(state, path)))
    result = fit(tmp_path)
    assert result["best_epoch"] == 2
    assert all(torch.equal(result["best"][key], states[1]["latest"][key]) for key in result["best"])
    assert all(torch.equal(result["latest"][key], states[3]["latest"][key]) for key in result["best"])


class Killed(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_killed_training_goes_on_with_the_same_bits(tmp_path, monkeypatch, epoch):
    whole = fit(tmp_path)
    (tmp_path / "resume.pt").unlink()
    train_epoch = loop.train_epoch

    def dies(*given):
        if given[4] == epoch + 1:
            raise Killed
        return train_epoch(*given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "train_epoch", dies)
        fit(tmp_path)
    result = fit(tmp_path, net=narrow_net(seed=99))
    assert result["resumed_epochs"] == epoch
    assert result["history"] == whole["history"] and result["best_epoch"] == whole["best_epoch"]
    for state in ("best", "latest"):
        assert all(torch.equal(result[state][key], whole[state][key]) for key in whole[state])


def test_another_setting_or_a_damaged_state_starts_anew(tmp_path):
    fit(tmp_path)
    assert fit(tmp_path, key="other")["resumed_epochs"] == 0
    path = tmp_path / "resume.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert fit(tmp_path, key="other")["resumed_epochs"] == 0


def test_a_loss_that_is_not_finite_names_epoch_and_clips(tmp_path):
    net = narrow_net()
    with torch.no_grad():
        net.classifier.bias[0] = float("nan")
    with pytest.raises(UserError, match=r"nan in epoch 1, batch 1, clips clip\d, clip\d, clip\d, clip\d"):
        fit(tmp_path, net=net)
    assert not (tmp_path / "resume.pt").exists()


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
