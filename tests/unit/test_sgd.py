"""Our descent beside torch.optim's."""

import pytest
import torch

from avrobust.training.sgd import SGD


def parameters(seed: int = 0) -> list[torch.nn.Parameter]:
    """Three parameters, of which the last never gets a gradient."""
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((4, 3), (5,), (2,))]


def groups(own: list[torch.nn.Parameter]) -> list[dict]:
    """Two groups, the second with a weight decay of its own."""
    return [{"params": own[:1], "lr": 0.1}, {"params": own[1:], "lr": 0.02, "weight_decay": 0.0}]


def descend(optimizer, own: list[torch.nn.Parameter], steps: range) -> None:
    """Follow the gradients of a loss that changes with every step."""
    for step in steps:
        optimizer.zero_grad()
        ((own[0] - step).square().sum() + own[1].sin().sum() * (step + 1)).backward()
        optimizer.step()


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 1e-2), (0.0, 0.0), (0.5, 0.3)])
def test_it_takes_the_very_steps_of_torch(momentum, decay):
    ours, theirs = parameters(), parameters()
    descend(SGD(groups(ours), momentum, decay), ours, range(7))
    descend(torch.optim.SGD(groups(theirs), momentum=momentum, weight_decay=decay), theirs, range(7))
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert torch.equal(ours[2], parameters()[2])


def test_a_step_by_hand():
    own = [torch.nn.Parameter(torch.tensor([2.0]))]
    optimizer = SGD([{"params": own, "lr": 0.5}], momentum=0.5, weight_decay=1.0)
    own[0].grad = torch.tensor([1.0])
    optimizer.step()  # v = 1 + 2 = 3, p = 2 - 0.5 * 3
    assert own[0].item() == 0.5
    optimizer.step()  # v = 0.5 * 3 + 1 + 0.5 = 3, p = 0.5 - 1.5
    assert own[0].item() == -1.0


def test_it_goes_on_from_its_state():
    ours, whole = parameters(), parameters()
    first = SGD(groups(ours), 0.9, 0.01)
    descend(first, ours, range(3))
    second = SGD(groups(ours), 0.9, 0.01)
    second.load_state_dict(first.state_dict())
    descend(second, ours, range(3, 6))
    descend(SGD(groups(whole), 0.9, 0.01), whole, range(6))
    assert all(torch.equal(*pair) for pair in zip(ours, whole, strict=True))


def test_a_changed_rate_counts():
    own = parameters()
    before = own[0].detach().clone()
    optimizer = SGD(groups(own), 0.9, 0.01)
    optimizer.groups[0]["lr"] = 0.0
    descend(optimizer, own, range(2))
    assert torch.equal(own[0], before)
