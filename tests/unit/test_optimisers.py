"""Our optimisers beside torch.optim's; the factor of the rates by hand."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from avrobust.lazy import built, load
from avrobust.program import UserError
from avrobust.training.adam import Adam
from avrobust.training.descent import Descent
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.registry import OPTIMISERS
from avrobust.training.sgd import SGD


def parameters(seed: int = 0) -> list[torch.nn.Parameter]:
    """Three parameters, of which the last never gets a gradient."""
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((4, 3), (5,), (2,))]


def groups(own: list[torch.nn.Parameter], by: SGD | Adam | None = None) -> list[dict]:
    """Two groups, for our optimiser `by` or for one of torch's, the second with a weight decay of its own."""
    first, second = {"params": own[:1], "lr": 0.1}, {"params": own[1:], "lr": 0.02}
    if by:
        return [{**first, "by": by}, {**second, "by": replace(by, weight_decay=0.0)}]
    return [first, {**second, "weight_decay": 0.0}]


def descend(optimizer, own: list[torch.nn.Parameter], steps: range) -> None:
    """Follow the gradients of a loss that changes with every step."""
    for step in steps:
        optimizer.zero_grad()
        ((own[0] - step).square().sum() + own[1].sin().sum() * (step + 1)).backward()
        optimizer.step()


SAME = {
    "sgd": (SGD, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 1e-2}, {"momentum": 0.9, "weight_decay": 1e-2}),
    "plain": (SGD, torch.optim.SGD, {"momentum": 0.0, "weight_decay": 0.0}, {}),
    "adam": (Adam, torch.optim.Adam, {}, {"fused": True}),
    "adam with decay": (
        Adam, torch.optim.Adam, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.3},
        {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3, "fused": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("own", "torchs", "options", "torchs_options"), SAME.values(), ids=SAME)
def test_it_takes_the_very_steps_of_torch(own, torchs, options, torchs_options):
    ours, theirs = parameters(), parameters()
    descend(Descent(groups(ours, own(**options))), ours, range(7))
    descend(torchs(groups(theirs), **torchs_options), theirs, range(7))
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert torch.equal(ours[2], parameters()[2]) and not torch.equal(ours[1], parameters()[1])


def test_adam_takes_a_gradient_in_another_order_in_memory():
    """A channels-last kernel's gradient may come in the usual order. Of a multiple of what is computed at once."""
    torch.manual_seed(0)
    start, gradient = torch.randn(4, 4, 5, 5), torch.randn(4, 4, 5, 5)
    moved = {}
    for order in (torch.contiguous_format, torch.channels_last):
        kernel, state = start.contiguous(memory_format=order).clone(), {}
        Adam().move([kernel], [gradient], [state], 0.1)
        Adam().move([kernel], [gradient], [state], 0.1)
        moved[order] = kernel.contiguous()
    assert torch.equal(*moved.values())


def test_a_step_imports_no_compiler():
    """What torch.optim's classes do takes as long as importing torch."""
    steps = """
import sys, torch
from avrobust.training.adam import Adam
from avrobust.training.descent import Descent
from avrobust.training.sgd import SGD
for kind in (SGD, Adam):
    own = torch.nn.Parameter(torch.ones(3))
    own.grad = torch.ones(3)
    Descent([{"params": [own], "lr": 0.1, "by": kind()}]).step()
print("torch._dynamo" in sys.modules)
"""
    made = subprocess.run([sys.executable, "-c", steps], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True)
    assert made.stdout == b"False\n", made.stderr


def test_a_step_by_hand():
    own = [torch.nn.Parameter(torch.tensor([2.0]))]
    optimizer = Descent([{"params": own, "lr": 0.5, "by": SGD(momentum=0.5, weight_decay=1.0)}])
    own[0].grad = torch.tensor([1.0])
    optimizer.step()  # v = 1 + 2 = 3, p = 2 - 0.5 * 3
    assert own[0].item() == 0.5
    optimizer.step()  # v = 0.5 * 3 + 1 + 0.5 = 3, p = 0.5 - 1.5
    assert own[0].item() == -1.0


@pytest.mark.parametrize("name", OPTIMISERS)
def test_it_goes_on_from_its_state(name):
    by, ours, whole = load(OPTIMISERS, name)(), parameters(), parameters()
    first = Descent(groups(ours, by))
    descend(first, ours, range(3))
    second = Descent(groups(ours, by))
    second.load_state_dict(first.state_dict())
    descend(second, ours, range(3, 6))
    descend(Descent(groups(whole, by)), whole, range(6))
    assert all(torch.equal(*pair) for pair in zip(ours, whole, strict=True))


def test_the_schedule_counts_but_for_constant_rates():
    own, before = parameters(), parameters()
    first, second = groups(own, SGD())
    descent = Descent([first, {**second, "constant": True}], lambda step: 0.0)
    descend(descent, own, range(2))
    assert torch.equal(own[0], before[0]) and not torch.equal(own[1], before[1])


# --- From a paper's file


def test_an_unknown_option_is_named_with_those_that_there_are():
    with pytest.raises(UserError, match=r"adam: .*'momentum'.*; its options are beta1, beta2, eps, weight_decay"):
        built(OPTIMISERS, {"name": "adam", "options": {"momentum": 0.9}})
    with pytest.raises(UserError, match=r"unknown name 'lion'; registered are: adam, sgd"):
        built(OPTIMISERS, {"name": "lion"})


def test_a_way_of_annealing_that_there_is_not_is_named():
    with pytest.raises(UserError, match=r"annealing is one of none, linear, cosine, not 'sine'"):
        TrainingRecipe(1, 2, {}, annealing="sine")


# --- The factor of the rates


def factors(epochs: int = 4, epoch_steps: int = 3, **more: object) -> list[float]:
    recipe = TrainingRecipe(epochs, 4, {}, **more)
    return [recipe.rate_factor(step, epoch_steps) for step in range(epochs * epoch_steps)]


def test_rates_fall_in_the_epoch_after_a_milestone():
    assert factors(milestones=(1, 3), decay=0.5) == [1.0] * 3 + [0.5] * 6 + [0.25] * 3


def test_rates_grow_over_the_warm_up():
    assert factors(warm_up=4, epochs=2) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(warm_up=4, epochs=2, milestones=(1,))[3:] == [0.1] * 3


def test_rates_fall_to_nothing_after_the_warm_up():
    assert factors(warm_up=2, epochs=2, annealing="linear") == [0.5, 1, 1, 0.75, 0.5, 0.25]
    half = 2**-0.5
    assert factors(warm_up=2, epochs=2, annealing="cosine") == pytest.approx(
        [0.5, 1, 1, (1 + half) / 2, 0.5, (1 - half) / 2]
    )


def test_they_fall_as_torch_lets_them():
    own = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([own], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    for factor in factors(annealing="cosine"):
        assert factor == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()


def test_a_warm_up_as_long_as_the_training_is_refused():
    with pytest.raises(UserError, match="a warm_up of 12 steps in a training of 12"):
        factors(warm_up=12)
