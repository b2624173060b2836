"""The attacks: closed forms on a linear net, and the rules that hold for every attack."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import CROSS_ENTROPY, UNITS, clips, linear_net, narrow_net
from torch import Tensor

from avrobust.attacks.budget import Budget, units
from avrobust.attacks.loop import Attack, input_gradients, perturb
from avrobust.attacks.mim import momentum_sign
from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import load

TEXTBOOK = ("fgsm", "pgd", "mim")
EVERY = tuple(ATTACKS)
LABELS = torch.tensor([0, 1, 2, 3])


def test_an_epsilon_in_natural_units():
    """0.006 on normalised pixels is 0.006 standard deviations: 0.35, 0.34 and 0.34 of 255 grey levels."""
    normalised, pixel = units("normalised"), units("pixel")
    levels = 255 * normalised["visual"].budget(0.006).epsilon.flatten()
    assert levels.tolist() == pytest.approx([0.35037, 0.34272, 0.34425])
    assert pixel["visual"].budget(0.006).epsilon.flatten().tolist() == pytest.approx([0.006] * 3)
    assert normalised["audio"].budget(0.006).epsilon.item() == pytest.approx(0.006)
    assert (normalised["audio"].low, normalised["audio"].high) == (-1, 1)
    assert (normalised["visual"].low, normalised["visual"].high) == (0, 1)


def attacked(net, inputs, labels, epsilons: dict[str, float], name: str) -> dict[str, Tensor]:
    """Attack with a paper's epsilons, everything computed from scratch."""
    with torch.no_grad():
        features = {key: net.encode(key, inputs[key]) for key in net.modalities}
    budgets = {key: UNITS[key].budget(epsilon) for key, epsilon in epsilons.items()}
    return perturb(net, inputs, labels, budgets, load(ATTACKS, name), CROSS_ENTROPY, features)


def plain_budget(epsilon: float) -> Budget:
    return Budget(torch.tensor(epsilon, dtype=torch.float64), -1e9, 1e9, torch.zeros(()))


# With two classes and a linear net, logit margins are linear in the input: the worst perturbation in an l-infinity
# ball is epsilon * sign(w_other - w_true), and it lowers the margin by exactly epsilon * ||w_other - w_true||_1.


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(1e-4, 0.2))
def test_the_linear_optimum_is_reached(name, seed, epsilon):
    net = linear_net(6, 2, seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = {key: torch.rand(4, 6, generator=generator, dtype=torch.float64) for key in ("audio", "visual")}
    labels = torch.tensor([0, 1, 0, 1])
    attack: Attack = load(ATTACKS, name)
    budgets = dict.fromkeys(inputs, plain_budget(epsilon))
    result = perturb(net, inputs, labels, budgets, attack, CROSS_ENTROPY, {})

    weight = net.classifier.weight.detach()
    towards_other = weight[1 - labels] - weight[labels]
    visual, audio = towards_other[:, :6], towards_other[:, 6:]
    moved = {key: (result[key] - inputs[key]) for key in inputs}
    reach = {"audio": epsilon, "visual": epsilon}
    if name == "mim_official":
        # Ten steps of epsilon / 8, never projected. The frames' origin is 0 here and the inputs are positive.
        reach = {"audio": 1.25 * epsilon, "visual": None}
    assert torch.allclose(moved["audio"], reach["audio"] * audio.sign())
    if reach["visual"] is not None:
        assert torch.allclose(moved["visual"], epsilon * visual.sign())
        clean = net({key: inputs[key] for key in inputs})
        after = net(result)
        margin = lambda logits: logits[range(4), 1 - labels] - logits[range(4), labels]  # noqa: E731
        gained = epsilon * towards_other.abs().sum(dim=1)
        assert torch.allclose(margin(after) - margin(clean), gained)


def test_fgsm_by_hand():
    """Two classes, weights (1, -2) against (0, 0), label 0: the loss rises where the logit of class 0 falls."""
    net = linear_net(1, 2)
    with torch.no_grad():
        net.classifier.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))  # columns: visual, audio
    inputs = {
        "audio": torch.tensor([[0.5], [0.999]], dtype=torch.float64),
        "visual": torch.tensor([[0.5], [0.001]], dtype=torch.float64),
    }
    budgets = {
        "audio": Budget(torch.tensor(0.01), -1.0, 1.0, torch.zeros(())),
        "visual": Budget(torch.tensor(0.02), 0.0, 1.0, torch.zeros(())),
    }
    labels = torch.tensor([0, 0])
    result = perturb(net, inputs, labels, budgets, load(ATTACKS, "fgsm"), CROSS_ENTROPY, {})
    torch.testing.assert_close(result["audio"], torch.tensor([[0.51], [1.0]], dtype=torch.float64))
    torch.testing.assert_close(result["visual"], torch.tensor([[0.48], [0.0]], dtype=torch.float64))
    official = perturb(net, inputs, labels, budgets, load(ATTACKS, "fgsm_official"), CROSS_ENTROPY, {})
    torch.testing.assert_close(official["audio"], torch.tensor([[0.51], [1.009]], dtype=torch.float64))
    torch.testing.assert_close(official["visual"], result["visual"])


# Released code: "alpha_v = epsilon[0] / 8", "for t in range(10)", no random start (main_attack.py, PGD and MIM).
# In units of epsilon: where each gradient is taken, and the end. Released MIM looks at no ball.
EIGHTHS = [k / 8 for k in range(11)]
WAYS = {
    "fgsm": [0, 1],
    "fgsm_official": [0, 1],
    "pgd": [min(k, 1) for k in EIGHTHS],
    "pgd_official": [min(k, 1) for k in EIGHTHS],
    "mim": [min(k, 1) for k in EIGHTHS],
    "mim_official": EIGHTHS,
}


@pytest.mark.parametrize("name", EVERY)
def test_the_way_of_an_attack_has_these_steps(name):
    """A linear net of two classes, whose gradient has the same signs everywhere; the objective sees every iterate."""
    net = linear_net(3, 2)
    inputs = {key: torch.full((2, 3), 0.5, dtype=torch.float64) for key in ("audio", "visual")}
    labels, seen = torch.tensor([0, 1]), []

    def watched(features, logits, labels):
        seen.append(features["audio"].detach())
        return CROSS_ENTROPY(features, logits, labels)

    budgets = {"audio": plain_budget(0.1), "visual": plain_budget(0.1)}
    end = perturb(net, inputs, labels, budgets, load(ATTACKS, name), watched, {})["audio"]
    signs = (end - inputs["audio"]).sign()
    for iterate, moved in zip([*seen, end], WAYS[name], strict=True):
        torch.testing.assert_close(iterate, inputs["audio"] + 0.1 * moved * signs)


@pytest.mark.parametrize("name", ["mim", "mim_official"])
def test_the_momentum_neither_fades_nor_grows(name):
    """ "momentum_v * 1.0" in the released code: 1 - 0.95 > 0 > 0.9 - 0.95, and 0.5 - 0.55 < 0 < 1.2 * 0.5 - 0.55."""
    for first, second, sign in (([1.0, 0.0], [-0.95, 0.05], 1), ([0.5, 0.5], [-0.55, 0.45], -1)):
        direction = load(ATTACKS, name).direction()
        direction("audio", torch.tensor([first]))
        assert direction("audio", torch.tensor([second]))[0, 0].item() == sign


def test_momentum_by_hand():
    """g1 = (3, -1) / 4, g2 = g1 + (-1, -1) / 2 = (0.25, -0.75), g3 = g2 + (-4, 1) / 5 = (-0.55, -0.55)."""
    direction = momentum_sign()
    gradients = [torch.tensor([[3.0, -1.0]]), torch.tensor([[-1.0, -1.0]]), torch.tensor([[-4.0, 1.0]])]
    signs = [direction("audio", gradient).tolist() for gradient in gradients]
    assert signs == [[[1, -1]], [[1, -1]], [[-1, -1]]]


def test_a_zero_gradient_keeps_the_momentum_and_makes_no_nan():
    direction = momentum_sign()
    assert direction("audio", torch.zeros(1, 2)).tolist() == [[0, 0]]
    assert direction("audio", torch.tensor([[2.0, -2.0]])).tolist() == [[1, -1]]
    assert direction("audio", torch.zeros(1, 2)).tolist() == [[1, -1]]


def test_official_mim_leaves_the_ball_as_the_released_code_does():
    """A dark pixel (below the origin) drifts up by epsilon each step, plus or minus the steps themselves."""
    net = linear_net(2, 2)
    with torch.no_grad():
        net.classifier.weight.zero_()
        net.classifier.weight[0] = torch.tensor([-1.0, 1.0, 1.0, 1.0])  # visual: up, down; audio: down, down
    inputs = {name: torch.full((1, 2), -0.9, dtype=torch.float64) for name in ("audio", "visual")}
    budget = Budget(torch.tensor(0.01, dtype=torch.float64), -5.0, 5.0, torch.zeros((), dtype=torch.float64))
    result = perturb(
        net,
        inputs,
        torch.tensor([0]),
        {"audio": budget, "visual": budget},
        load(ATTACKS, "mim_official"),
        CROSS_ENTROPY,
        {},
    )
    moved = {name: ((result[name] - inputs[name]) / 0.01).flatten().tolist() for name in inputs}
    assert moved["audio"] == pytest.approx([-1.25, -1.25])
    assert moved["visual"] == pytest.approx([11.25, 8.75])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("fusion", ["concat", "film", "gated_sum"])
def test_ball_range_and_untouched_modality(name, fusion):
    net, inputs = narrow_net(fusion), clips(4)
    attack = load(ATTACKS, name)
    for epsilons in ({"audio": 0.012}, {"visual": 0.012}, {"audio": 0.3, "visual": 0.3}):
        result = attacked(net, inputs, LABELS, epsilons, name)
        for key in inputs:
            if key not in epsilons:
                assert result[key] is inputs[key]
                continue
            norm = UNITS[key].linf(result[key].double() - inputs[key].double())
            assert (norm > 0.5 * epsilons[key]).all(), "the attack does not use its budget"
            if attack.keeps_ball:
                assert norm.max() <= epsilons[key] + 1e-6
            if attack.keeps_range:
                assert result[key].min() >= UNITS[key].low and result[key].max() <= UNITS[key].high


@pytest.mark.parametrize("name", EVERY)
def test_epsilon_zero_is_the_identity(name):
    net, inputs = narrow_net(), clips(4)
    result = attacked(net, inputs, LABELS, {"audio": 0.0, "visual": 0.0}, name)
    assert all(result[key] is inputs[key] for key in inputs)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_left_behind_in_the_net(name):
    net = narrow_net()
    before = copy.deepcopy(net.state_dict())
    attacked(net, clips(4), LABELS, {"audio": 0.01, "visual": 0.01}, name)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", [name for name in EVERY if not load(ATTACKS, name).mixes_clips])
def test_no_clip_depends_on_its_batch(name):
    """In float64, where the order of a sum cannot turn the sign of a gradient."""
    net = narrow_net().double()
    inputs = {key: value.double() for key, value in clips(4).items()}
    epsilons = {"audio": 0.01, "visual": 0.01}
    whole = attacked(net, inputs, LABELS, epsilons, name)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = attacked(net, {k: v[order] for k, v in inputs.items()}, LABELS[order], epsilons, name)
    for key in inputs:
        single = [
            attacked(net, {k: v[i : i + 1] for k, v in inputs.items()}, LABELS[i : i + 1], epsilons, name)[key]
            for i in range(4)
        ]
        torch.testing.assert_close(torch.cat(single), whole[key], rtol=0, atol=1e-12)
        torch.testing.assert_close(shuffled[key], whole[key][order], rtol=0, atol=1e-12)


def test_official_mim_depends_on_its_batch():
    """The released l1 norm is the batch's: a neighbour with a large gradient lets the first steps count for less."""
    direction = load(ATTACKS, "mim_official").direction
    steps = [torch.tensor([[1.0], [99.0]]), torch.tensor([[-1.5], [0.0]])]
    in_batch = direction()
    alone = direction()
    together = [in_batch("audio", step)[0].item() for step in steps]
    apart = [alone("audio", step[:1])[0].item() for step in steps]
    assert together == [1, -1] and apart == [1, 0]


@pytest.mark.parametrize("name", EVERY)
def test_shared_first_gradients_and_features_change_nothing(name):
    net, inputs = narrow_net(), clips(4)
    with torch.no_grad():
        features = {key: net.encode(key, inputs[key]) for key in net.modalities}
    gradients = input_gradients(net, inputs, LABELS, CROSS_ENTROPY, net.modalities, features)
    for epsilons in ({"audio": 0.01}, {"visual": 0.01}, {"audio": 0.01, "visual": 0.01}):
        budgets = {key: UNITS[key].budget(value) for key, value in epsilons.items()}
        attack = load(ATTACKS, name)
        shared = perturb(net, inputs, LABELS, budgets, attack, CROSS_ENTROPY, features, gradients)
        own = perturb(net, inputs, LABELS, budgets, attack, CROSS_ENTROPY, features)
        assert all(torch.equal(shared[key], own[key]) for key in inputs)


def test_gradients_are_those_of_the_textbook_loop():
    net, inputs = narrow_net(), clips(4)
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    F.cross_entropy(net(leaves), LABELS, reduction="sum").backward()
    ours = input_gradients(net, inputs, LABELS, CROSS_ENTROPY, net.modalities, {})
    for key in inputs:
        torch.testing.assert_close(ours[key], leaves[key].grad)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_attacks_raise_the_loss_and_more_budget_raises_it_more(name):
    net, inputs = narrow_net().double(), {key: value.double() for key, value in clips(4).items()}
    with torch.no_grad():
        labels = net(inputs).argmax(dim=1)

        def loss(epsilon: float) -> float:
            result = attacked(net, inputs, labels, {"audio": epsilon, "visual": epsilon}, name)
            return F.cross_entropy(net(result), labels).item()

        assert loss(0.0) < loss(0.002) < loss(0.01)


def test_iterating_beats_a_single_step():
    net, inputs = narrow_net(), clips(4)
    with torch.no_grad():
        labels = net(inputs).argmax(dim=1)
        losses = {
            name: F.cross_entropy(
                net(attacked(net, inputs, labels, {"audio": 0.03, "visual": 0.03}, name)), labels
            ).item()
            for name in TEXTBOOK
        }
    assert losses["pgd"] > losses["fgsm"] and losses["mim"] > losses["fgsm"]


def test_a_unimodal_net_is_only_touched_through_its_own_modality():
    net, inputs = narrow_net("audio"), clips(4)
    result = attacked(net, inputs, LABELS, {"audio": 0.01, "visual": 0.01}, "pgd")
    assert result["visual"] is inputs["visual"]
    assert not torch.equal(result["audio"], inputs["audio"])
