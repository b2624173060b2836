"""One class or several of a clip: what follows for activation, loss, metric and the head that pools."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from avrobust.models.heads.attention import Attention
from avrobust.models.heads.linear import Linear
from avrobust.models.task import TASKS

LOGITS = torch.tensor([[0.0, math.log(3.0)]])


def test_losses_and_activations_by_hand():
    """Softmax of (0, ln 3) is (1/4, 3/4); sigmoid is (1/2, 3/4)."""
    single, multiple = TASKS["single"], TASKS["multiple"]
    assert single.activation(LOGITS)[0].tolist() == pytest.approx([0.25, 0.75])
    assert multiple.activation(LOGITS)[0].tolist() == pytest.approx([0.5, 0.75])
    assert single.loss(LOGITS, torch.tensor([0])).tolist() == pytest.approx([math.log(4)])
    assert multiple.loss(LOGITS, torch.tensor([[1, 0]])).tolist() == pytest.approx([(math.log(2) + math.log(4)) / 2])
    for task in (single, multiple):
        assert task.activation(task.logits(torch.tensor([[0.2, 0.8]])))[0].tolist() == pytest.approx([0.2, 0.8])


def test_accuracy_by_hand():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert TASKS["single"].metric(logits, torch.tensor([1, 0, 1, 0])) == 75.0


@given(st.data())
def test_mean_average_precision_is_scikit_learns_with_ties_and_without_empty_classes(data):
    clips, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    table = st.lists(st.lists(st.integers(0, 3), min_size=classes, max_size=classes), min_size=clips, max_size=clips)
    scores = torch.tensor(data.draw(table), dtype=torch.float32)
    targets = (torch.tensor(data.draw(table)) == 0).int()
    full = [c for c in range(classes) if targets[:, c].any()]
    got = TASKS["multiple"].metric(scores, targets)
    if not full:
        assert math.isnan(got)
        return
    wanted = [average_precision_score(targets[:, c].numpy(), scores[:, c].numpy()) for c in full]
    assert got == pytest.approx(100 * sum(wanted) / len(wanted))


@pytest.mark.parametrize("task", TASKS)
def test_attention_weighs_what_each_step_says(task):
    """Two steps; attention 3 : 1 for class 0 by hand, equal for class 1."""
    head = Attention(1, 2, task)
    with torch.no_grad():
        head.probability.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.attention.weight.copy_(torch.tensor([[math.log(3.0)], [0.0]]))
        head.probability.bias.zero_()
        head.attention.bias.zero_()
    steps = torch.tensor([[[1.0], [0.0]]])
    said = TASKS[task].activation(torch.tensor([[[1.0, -1.0], [0.0, 0.0]]]))[0]
    wanted = torch.stack([0.75 * said[0, 0] + 0.25 * said[1, 0], 0.5 * said[0, 1] + 0.5 * said[1, 1]])
    if task == "single":
        wanted = wanted / wanted.sum()
    torch.testing.assert_close(TASKS[task].activation(head(steps))[0], wanted)


@pytest.mark.parametrize("head", [Attention, Linear])
def test_a_feature_without_steps_is_one_step(head):
    made, feature = head(4, 3, "multiple"), torch.randn(2, 4)
    torch.testing.assert_close(made(feature), made(feature[:, None]))
    torch.testing.assert_close(made(feature), made(feature[:, None].expand(-1, 5, -1)))


def test_logits_of_certain_steps_are_finite():
    head = Attention(1, 1, "multiple")
    x = torch.full((1, 3, 1), 1e4, requires_grad=True)
    logits = head(x)
    logits.sum().backward()
    assert logits.isfinite().all() and x.grad.isfinite().all()


def test_how_wide_the_first_weights_of_a_linear_head_lie_is_an_option():
    torch.manual_seed(0)
    assert Linear(512, 20, "single").weight.std().item() == pytest.approx(1e-4, rel=0.05)
    assert Linear(512, 20, "single", deviation=0.3).weight.std().item() == pytest.approx(0.3, rel=0.05)
    # torch's own: uniform up to 1 / sqrt(512).
    assert Linear(512, 20, "single", deviation=None).weight.std().item() == pytest.approx(0.0255, rel=0.05)
