"""The attacks: closed forms on a linear net, and the rules that hold for every attack."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import (
    CROSS_ENTROPY,
    FORMS,
    UNITS,
    build_attack,
    clips,
    clips_in_time,
    linear_net,
    narrow_net,
    net_in_time,
    objective_of,
    partners_of,
    shallow_net,
)
from torch import Tensor

from avrobust.attacks.budget import Budget, units
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack, perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.mim_official import batch_momentum
from avrobust.attacks.momentum import Momentum
from avrobust.attacks.norms import NORMS
from avrobust.attacks.registry import ATTACKS
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError

TEXTBOOK = ("fgsm", "pgd", "mim", "i_fgsm", "mi_fgsm", "ni_fgsm")
EVERY = tuple(ATTACKS)
# All but noise, and of these those whose gradients are taken at the iterate itself: on a linear net they are the same
# everywhere.
# Of fewer points than there are by default, and with options that must be given.
SMALL = {"mig": {"points": 3}, "pam": {"paths": 2, "scales": 1}, "universal_random": {"as_long_as": "universal"}}
MADE = {name: build_attack(name, SMALL.get(name)) for name in EVERY}
CLIMBING = tuple(name for name in EVERY if MADE[name].steps)
STRAIGHT = tuple(name for name in CLIMBING if MADE[name].points is None)
LABELS = torch.tensor([0, 1, 2, 3])
IDS = ["a", "b", "c", "d"]
# Their objectives look at how features change in time.
IN_TIME = ("tia", "mma", "tma")


def test_an_epsilon_in_natural_units():
    """0.006 on normalised pixels is 0.006 standard deviations: 0.35, 0.34 and 0.34 of 255 grey levels."""
    normalised, pixel = UNITS, units("pixel", FORMS)
    levels = 255 * normalised["visual"].budget(0.006).epsilon.flatten()
    assert levels.tolist() == pytest.approx([0.35037, 0.34272, 0.34425])
    assert pixel["visual"].budget(0.006).epsilon.flatten().tolist() == pytest.approx([0.006] * 3)
    assert normalised["audio"].budget(0.006).epsilon.item() == pytest.approx(0.006)
    assert (normalised["audio"].low, normalised["audio"].high) == (-1, 1)
    assert (normalised["visual"].low, normalised["visual"].high) == (0, 1)


def attacked(
    net, inputs, labels, epsilons: dict[str, float], name: str, clip_ids=IDS, seed: int = 0, norm: str = "linf"
) -> dict[str, Tensor]:
    """Attack with a paper's epsilons, everything computed from scratch."""
    budgets, attack = {key: UNITS[key].budget(epsilon, norm) for key, epsilon in epsilons.items()}, MADE[name]
    loss = Loss(net, objective_of(attack, net), inputs, labels, partner=partners_of(inputs))
    return perturb(loss, budgets, attack, context(name, inputs, budgets, clip_ids, seed))


def context(name: str, inputs: dict[str, Tensor], budgets: dict[str, Budget], clip_ids=IDS, seed: int = 0) -> Context:
    """What an attack is told, with what may have been fitted for it: on the ball's surface, or as far again beyond."""
    generator, far, fitted = torch.Generator().manual_seed(5), 1 if MADE[name].keeps_ball else 2, {}
    for key, budget in budgets.items():
        noise = torch.randn(inputs[key].shape[1:], generator=generator).to(inputs[key])
        fitted[key] = far * budget.epsilon * budget.norm.steepest(noise[None], torch.ones_like(budget.epsilon))[0]
    return Context(clip_ids, seed, name, condition="both at strong", fitted=fitted)


def fitting(name: str, fusion: str = "concat") -> tuple[LateFusion, dict[str, Tensor]]:
    """A net that an attack is at home on, and four clips."""
    return (net_in_time(fusion), clips_in_time(4)) if name in IN_TIME else (shallow_net(fusion), clips(4))


def on(net, inputs, labels, budgets, attack: Attack, objective=CROSS_ENTROPY) -> dict[str, Tensor]:
    """Attack with these budgets, everything computed from scratch."""
    loss = Loss(net, objective, inputs, labels, partner=partners_of(inputs))
    return perturb(loss, budgets, attack, Context(IDS[: len(labels)]))


def plain_budget(epsilon: float) -> Budget:
    return Budget(torch.tensor(epsilon, dtype=torch.float64), -1e9, 1e9, torch.zeros(()))


# With two classes and a linear net, logit margins are linear in the input: the worst perturbation in an l-infinity
# ball is epsilon * sign(w_other - w_true), and it lowers the margin by exactly epsilon * ||w_other - w_true||_1.


@pytest.mark.parametrize("name", STRAIGHT)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(1e-4, 0.2))
def test_the_linear_optimum_is_reached(name, seed, epsilon):
    net = linear_net(6, 2, seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = {key: torch.rand(4, 6, generator=generator, dtype=torch.float64) for key in ("audio", "visual")}
    labels = torch.tensor([0, 1, 0, 1])
    attack = MADE[name]
    budgets = dict.fromkeys(inputs, plain_budget(epsilon))
    result = on(net, inputs, labels, budgets, attack)

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
    result = on(net, inputs, labels, budgets, build_attack("fgsm"))
    torch.testing.assert_close(result["audio"], torch.tensor([[0.51], [1.0]], dtype=torch.float64))
    torch.testing.assert_close(result["visual"], torch.tensor([[0.48], [0.0]], dtype=torch.float64))
    official = on(net, inputs, labels, budgets, build_attack("fgsm_official"))
    torch.testing.assert_close(official["audio"], torch.tensor([[0.51], [1.009]], dtype=torch.float64))
    torch.testing.assert_close(official["visual"], result["visual"])


# Released code: "alpha_v = epsilon[0] / 8", "for t in range(10)", no random start (main_attack.py, PGD and MIM).
# In units of epsilon: where each gradient is taken, and the end. Released MIM looks at no ball.
EIGHTHS = [k / 8 for k in range(11)]
WAYS = {
    "fgsm": [0, 1],
    "fgsm_official": [0, 1],
    "pgd": [min(k, 1) for k in EIGHTHS],
    "mim": [min(k, 1) for k in EIGHTHS],
    "mim_official": EIGHTHS,
    "i_fgsm": [k / 10 for k in range(11)],
    "mi_fgsm": [k / 10 for k in range(11)],
}


@pytest.mark.parametrize("name", WAYS)
def test_the_way_of_an_attack_has_these_steps(name):
    """A linear net of two classes, whose gradient has the same signs everywhere; the objective sees every iterate."""
    net = linear_net(3, 2)
    inputs = {key: torch.full((2, 3), 0.5, dtype=torch.float64) for key in ("audio", "visual")}
    labels, seen = torch.tensor([0, 1]), []

    def watched(features, logits, labels):
        seen.append(features["audio"].detach())
        return CROSS_ENTROPY(features, logits, labels)

    budgets = {"audio": plain_budget(0.1), "visual": plain_budget(0.1)}
    end = on(net, inputs, labels, budgets, build_attack(name), watched)["audio"]
    signs = (end - inputs["audio"]).sign()
    for iterate, moved in zip([*seen, end], WAYS[name], strict=True):
        torch.testing.assert_close(iterate, inputs["audio"] + 0.1 * moved * signs)


@pytest.mark.parametrize("name", ["mim", "mi_fgsm", "ni_fgsm", "mim_official"])
def test_the_momentum_neither_fades_nor_grows(name):
    """ "momentum_v * 1.0" in the released code: 1 - 0.95 > 0 > 0.9 - 0.95, and 0.5 - 0.55 < 0 < 1.2 * 0.5 - 0.55."""
    for first, second, sign in (([1.0, 0.0], [-0.95, 0.05], 1), ([0.5, 0.5], [-0.55, 0.45], -1)):
        direction = build_attack(name).direction()
        direction("audio", torch.tensor([first]))
        assert direction("audio", torch.tensor([second]))[0, 0].sign().item() == sign


def test_momentum_by_hand():
    """g1 = (3, -1) / 4, g2 = g1 + (-1, -1) / 2 = (0.25, -0.75), g3 = g2 + (-4, 1) / 5 = (-0.55, -0.55).

    Divided by the mean of two values instead of their sum, all are twice that; with a decay of 0.5, g2 is (-1/8, -5/8).
    """
    gradients = [torch.tensor([[3.0, -1.0]]), torch.tensor([[-1.0, -1.0]]), torch.tensor([[-4.0, 1.0]])]
    sums = [[0.75, -0.25], [0.25, -0.75], [-0.55, -0.55]]
    for norm, factor in (("l1", 1), ("mean", 2)):
        direction = Momentum(norm=norm)
        for gradient, expected in zip(gradients, sums, strict=True):
            assert direction("audio", gradient)[0].tolist() == pytest.approx([factor * value for value in expected])
    halved = Momentum(0.5)
    halved("audio", gradients[0])
    assert halved("audio", gradients[1])[0].tolist() == pytest.approx([-0.125, -0.625])


def test_a_zero_gradient_keeps_the_momentum_and_makes_no_nan():
    direction = Momentum()
    assert direction("audio", torch.zeros(1, 2)).tolist() == [[0, 0]]
    assert direction("audio", torch.tensor([[2.0, -2.0]])).tolist() == [[0.5, -0.5]]
    assert direction("audio", torch.zeros(1, 2)).tolist() == [[0.5, -0.5]]


def test_official_mim_leaves_the_ball_as_the_released_code_does():
    """A dark pixel (below the origin) drifts up by epsilon each step, plus or minus the steps themselves."""
    net = linear_net(2, 2)
    with torch.no_grad():
        net.classifier.weight.zero_()
        net.classifier.weight[0] = torch.tensor([-1.0, 1.0, 1.0, 1.0])  # visual: up, down; audio: down, down
    inputs = {name: torch.full((1, 2), -0.9, dtype=torch.float64) for name in ("audio", "visual")}
    budget = Budget(torch.tensor(0.01, dtype=torch.float64), -5.0, 5.0, torch.zeros((), dtype=torch.float64))
    result = on(net, inputs, torch.tensor([0]), dict.fromkeys(inputs, budget), build_attack("mim_official"))
    moved = {name: ((result[name] - inputs[name]) / 0.01).flatten().tolist() for name in inputs}
    assert moved["audio"] == pytest.approx([-1.25, -1.25])
    assert moved["visual"] == pytest.approx([11.25, 8.75])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("fusion", ["concat", "film", "gated_sum"])
def test_ball_range_and_untouched_modality(name, fusion):
    net, inputs = fitting(name, fusion)
    attack, kept = MADE[name], {"ball": True, "range": True}
    for epsilons in ({"audio": 0.012}, {"visual": 0.012}, {"audio": 0.3, "visual": 0.3}):
        result = attacked(net, inputs, LABELS, epsilons, name)
        for key in inputs:
            if key not in epsilons:
                assert result[key] is inputs[key]
                continue
            norm = UNITS[key].norm(result[key].double() - inputs[key].double())
            assert (norm > 0.5 * epsilons[key]).all(), "the attack does not use its budget"
            kept["ball"] &= bool(norm.max() <= epsilons[key] + 1e-6)
            kept["range"] &= bool(result[key].min() >= UNITS[key].low and result[key].max() <= UNITS[key].high)
    assert kept == {"ball": attack.keeps_ball, "range": attack.keeps_range}, "what it promises, and no less"


def test_random_signs_move_every_value_by_epsilon_up_and_down_alike_and_end_at_the_range():
    """Of 16,384 signs half are up, ± 2 % (five deviations); both modalities and all clips have their own."""
    inputs = {"audio": torch.zeros(4, 1, 4096), "visual": torch.full((4, 3, 32, 32), 0.5)}
    made = attacked(shallow_net(), inputs, LABELS, {"audio": 0.01, "visual": 0.01}, "random_sign")
    for key, size in (("audio", torch.tensor(0.01)), ("visual", UNITS["visual"].budget(0.01).epsilon)):
        signs = (made[key] - inputs[key]) / size
        torch.testing.assert_close(signs.abs(), torch.ones_like(signs), rtol=0, atol=1e-4)
        assert abs((signs > 0).double().mean().item() - 0.5) < 0.02
        assert not torch.equal(signs[0].sign(), signs[1].sign())
    assert not torch.equal((made["audio"] > 0).flatten()[:3072], (made["visual"] > 0.5).flatten()[:3072])
    loud = {name: torch.ones_like(value) for name, value in inputs.items()}
    ended = attacked(shallow_net(), loud, LABELS, {"audio": 0.01, "visual": 0.01}, "random_sign")
    for key, moved in made.items():
        assert torch.equal(ended[key] == 1, moved > inputs[key])


@pytest.mark.parametrize("norm", NORMS)
def test_random_signs_fill_the_ball_of_every_norm_by_one_way_for_all_budgets(norm):
    """Twice the budget is twice the noise, whichever net: a sweep of it is one way, as far as each point allows."""
    inputs = {"audio": torch.zeros(4, 1, 4096), "visual": torch.full((4, 3, 32, 32), 0.5)}
    nets = shallow_net(), shallow_net("film", seed=3)
    near, far = (
        attacked(net, inputs, LABELS, {"audio": size, "visual": size}, "random_sign", norm=norm)
        for net, size in zip(nets, (0.1, 0.2), strict=True)
    )
    for key, clean in inputs.items():
        used = UNITS[key].budget(0.2, norm).used(far[key].double() - clean.double())
        torch.testing.assert_close(used, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-4)
        torch.testing.assert_close(far[key] - clean, 2 * (near[key] - clean), rtol=1e-4, atol=1e-6)


def test_random_signs_take_no_gradient_and_no_step():
    def forbidden(features, logits, labels):
        raise AssertionError("the objective was looked at")

    inputs = clips(4)
    budgets = {key: UNITS[key].budget(0.01) for key in inputs}
    made = on(shallow_net(), inputs, LABELS, budgets, build_attack("random_sign"), forbidden)
    assert all(not torch.equal(made[key], inputs[key]) for key in inputs)
    with pytest.raises(UserError, match="an attack that takes no step cannot take 5"):
        build_attack("random_sign").in_steps(5)
    assert build_attack("random_sign").step_length == 0


@pytest.mark.parametrize("name", EVERY)
def test_epsilon_zero_is_the_identity(name):
    net, inputs = fitting(name)
    result = attacked(net, inputs, LABELS, {"audio": 0.0, "visual": 0.0}, name)
    assert all(result[key] is inputs[key] for key in inputs)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_left_behind_in_the_net(name):
    net, inputs = fitting(name)
    before = copy.deepcopy(net.state_dict())
    attacked(net, inputs, LABELS, {"audio": 0.01, "visual": 0.01}, name)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", [name for name in EVERY if not MADE[name].mixes_clips])
def test_no_clip_depends_on_its_batch(name):
    """In float64, where the order of a sum cannot turn the sign of a gradient."""
    net, inputs = fitting(name)
    net, inputs = net.double(), {key: value.double() for key, value in inputs.items()}
    epsilons = {"audio": 0.01, "visual": 0.01}
    whole = attacked(net, inputs, LABELS, epsilons, name)
    order = torch.tensor([2, 0, 3, 1])
    ids = [IDS[i] for i in order]
    shuffled = attacked(net, {k: v[order] for k, v in inputs.items()}, LABELS[order], epsilons, name, ids)
    for key in inputs:
        single = [
            attacked(
                net, {k: v[i : i + 1] for k, v in inputs.items()}, LABELS[i : i + 1], epsilons, name, IDS[i : i + 1]
            )[key]
            for i in range(4)
        ]
        torch.testing.assert_close(torch.cat(single), whole[key], rtol=0, atol=1e-12)
        torch.testing.assert_close(shuffled[key], whole[key][order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in EVERY if not MADE[name].mixes_clips])
def test_sixteen_clips_are_four_times_four_to_the_bit(name):
    """Of a linear net of small whole numbers, whose sums are exact in any order."""
    net = linear_net(6, 3)
    with torch.no_grad():
        net.classifier.weight.copy_(torch.randint(-4, 5, net.classifier.weight.shape))
        net.classifier.bias.zero_()
    generator = torch.Generator().manual_seed(1)
    inputs = {key: torch.randint(0, 8, (16, 6), generator=generator).double() / 8 for key in ("audio", "visual")}
    labels, ids = torch.arange(16) % 3, [f"clip{number}" for number in range(16)]
    budgets = dict.fromkeys(inputs, Budget(torch.tensor(0.25, dtype=torch.float64), 0.0, 1.0, torch.zeros(())))

    def made(part: slice) -> dict[str, Tensor]:
        some = {k: v[part] for k, v in inputs.items()}
        loss = Loss(net, CROSS_ENTROPY, some, labels[part], partner=partners_of(some))
        return perturb(loss, budgets, MADE[name], context(name, some, budgets, ids[part]))

    whole, parts = made(slice(0, 16)), [made(slice(start, start + 4)) for start in range(0, 16, 4)]
    for key in inputs:
        assert torch.equal(whole[key], torch.cat([part[key] for part in parts]))
        assert not torch.equal(whole[key], inputs[key])


@pytest.mark.parametrize("name", EVERY)
def test_a_seed_gives_the_same_bits_and_another_one_others_if_the_attack_is_random(name):
    net, inputs = fitting(name)
    one, again, other = (
        attacked(net, inputs, LABELS, {"audio": 0.01, "visual": 0.01}, name, seed=seed) for seed in (1, 1, 2)
    )
    for key in inputs:
        assert torch.equal(one[key], again[key])
        assert torch.equal(one[key], other[key]) != MADE[name].random


@pytest.mark.parametrize("name", [name for name in EVERY if MADE[name].keeps_ball])
@pytest.mark.parametrize("norm", NORMS)
def test_every_attack_keeps_to_the_ball_of_any_norm(name, norm):
    net, inputs = fitting(name)
    epsilons = {"audio": 0.1, "visual": 0.3} if norm == "linf" else {"audio": 2.0, "visual": 3.0}
    result = attacked(net, inputs, LABELS, epsilons, name, norm=norm)
    for key, epsilon in epsilons.items():
        used = UNITS[key].budget(epsilon, norm).used(result[key].double() - inputs[key].double())
        assert (used > 0.3).all() and used.max() <= 1 + 1e-5
        if MADE[name].keeps_range:
            assert result[key].min() >= UNITS[key].low and result[key].max() <= UNITS[key].high


@pytest.mark.parametrize("name", [name for name in EVERY if MADE[name].mixes_clips])
def test_who_says_that_clips_mix_means_it(name):
    """In float64, where a sum in another order turns no sign: beside others a clip goes another way."""
    net, inputs = shallow_net().double(), {key: value.double() for key, value in clips(4).items()}
    epsilons, one = {"audio": 0.01, "visual": 0.01}, {key: value[:1] for key, value in inputs.items()}
    beside, alone = (attacked(net, some, LABELS[: len(some["audio"])], epsilons, name) for some in (inputs, one))
    assert any((beside[key][:1] - alone[key]).abs().max() > 1e-4 for key in inputs)


@pytest.mark.parametrize("name", [name for name in EVERY if MADE[name].steps > 1])
def test_the_steps_of_an_attack_are_an_option(name):
    """A size of a scale, or `{update: pgd, steps: 40}` of a paper."""
    assert build_attack(name, {"steps": 3}).steps == 3


def test_official_mim_depends_on_its_batch():
    """The released l1 norm is the batch's: a neighbour with a large gradient lets the first steps count for less."""
    steps = [torch.tensor([[1.0], [99.0]]), torch.tensor([[-1.5], [0.0]])]
    in_batch, alone = batch_momentum(), batch_momentum()
    together = [in_batch("audio", step)[0].sign().item() for step in steps]
    apart = [alone("audio", step[:1])[0].sign().item() for step in steps]
    assert together == [1, -1] and apart == [1, 0]


@pytest.mark.parametrize("name", EVERY)
def test_shared_first_gradients_and_features_change_nothing(name):
    net, inputs = fitting(name)
    with torch.no_grad():
        features = {key: net.encode(key, inputs[key]) for key in net.modalities}
    attack, told = MADE[name], context(name, inputs, {key: UNITS[key].budget(0.01) for key in inputs})
    objective, partner = objective_of(attack, net), partners_of(inputs)
    shared = Loss(net, objective, inputs, LABELS, features, partner)
    shared.first_gradients(net.modalities, attack.points, told)
    for epsilons in ({"audio": 0.01}, {"visual": 0.01}, {"audio": 0.01, "visual": 0.01}):
        budgets = {key: UNITS[key].budget(value) for key, value in epsilons.items()}
        together = perturb(shared, budgets, attack, told)
        own = perturb(Loss(net, objective, inputs, LABELS, partner=partner), budgets, attack, told)
        assert all(torch.equal(together[key], own[key]) for key in inputs)


def textbook(net, inputs: dict, epsilons: dict[str, float], name: str) -> dict[str, Tensor]:
    """The five attacks of Tian & Xu, written out: gradients of everything at every step, nothing shared."""
    size, momentum = {"audio": 1.0, "visual": torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)}, {}
    made = dict(inputs)
    for _ in range(1 if name.startswith("fgsm") else 10):
        leaves = {key: value.detach().requires_grad_() for key, value in made.items()}
        F.cross_entropy(net(leaves), LABELS, reduction="none").sum().backward()
        for key, leaf in leaves.items():
            if key not in epsilons:
                continue
            epsilon, gradient = torch.as_tensor(epsilons[key] * size[key], dtype=torch.float32), leaf.grad
            if name.startswith("mim"):
                whole = name == "mim_official"
                norm = gradient.abs().sum() if whole else gradient.abs().sum(tuple(range(1, gradient.dim())), True)
                momentum[key] = momentum.get(key, 0) + gradient / norm
                gradient = momentum[key]
            moved = made[key] + (1 if name.startswith("fgsm") else 1 / 8) * epsilon * gradient.sign()
            low, high = (-1, 1) if key == "audio" else (0, 1)
            if name == "mim_official" and key == "visual":
                mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
                moved = torch.minimum(torch.maximum(moved, torch.maximum(moved - epsilon, mean)), moved + epsilon)
            elif name != "mim_official":
                moved = moved.clamp(inputs[key] - epsilon, inputs[key] + epsilon)
            made[key] = moved if (name, key) == ("fgsm_official", "audio") else moved.clamp(low, high)
    return made


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mim", "fgsm_official", "mim_official"])
@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_the_attacks_of_tian2021_are_the_textbook_ones_to_the_bit(name, fusion):
    net, inputs = narrow_net(fusion), clips(4)
    for epsilons in ({"audio": 0.012}, {"visual": 0.012}, {"audio": 0.1, "visual": 0.1}):
        ours, theirs = attacked(net, inputs, LABELS, epsilons, name), textbook(net, inputs, epsilons, name)
        assert all(torch.equal(ours[key], theirs[key]) for key in inputs)


@pytest.mark.parametrize("name", ["i_fgsm", "mi_fgsm", "ni_fgsm"])
def test_in_one_step_it_is_fgsm(name):
    net, inputs, budgets = shallow_net(), clips(4), {key: UNITS[key].budget(0.01) for key in ("audio", "visual")}
    one = on(net, inputs, LABELS, budgets, build_attack(name, {"steps": 1}))
    fgsm = on(net, inputs, LABELS, budgets, build_attack("fgsm"))
    assert all(torch.equal(one[key], fgsm[key]) for key in inputs)


def test_options_are_what_an_attack_is_made_with():
    assert (build_attack("pgd").steps, build_attack("pgd").step_length) == (10, 1 / 8)
    longer = build_attack("pgd", {"steps": 40, "step_size": 0.05})
    assert (longer.steps, longer.step_length) == (40, 0.05)
    assert build_attack("i_fgsm", {"steps": 4}).step_length == 0.25
    assert build_attack("mim", {"decay": 0.5}).direction().decay == 0.5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pgd", {"stesp": 4}, "pgd: got an unexpected keyword argument 'stesp'; its options are steps, step_size"),
        ("fgsm", {"steps": 4}, "fgsm: got an unexpected keyword argument 'steps'; its options are none"),
        ("pgd", {"steps": 0}, "steps of an attack are 1 or more, not 0"),
        ("pgdd", {}, "unknown name 'pgdd'"),
        ("mig", {"points": 0}, "mig: gradient 'point' of 0 points; give point or path, of 1 or more"),
        ("mig", {"gradient": "way"}, "mig: gradient 'way' of 20 points"),
        ("pam", {"paths": 0}, "pam: gradient 'path' of 0 paths of 4 points"),
        ("pam", {"paths": 9}, "pam: gradient 'path' of 9 paths of 4 points"),
        ("pam", {"scales": 0}, "pam: gradient 'path' of 8 paths of 0 points"),
        ("pam", {"gradient": "way"}, "pam: gradient 'way' of 8 paths"),
        ("universal", {"passes": 0}, "passes of a fitted attack are 1 or more, not 0"),
    ],
)
def test_an_option_that_means_nothing_is_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        build_attack(name, options)


def test_gradients_are_those_of_the_textbook_loop():
    net, inputs = narrow_net(), clips(4)
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    F.cross_entropy(net(leaves), LABELS, reduction="sum").backward()
    ours = Loss(net, CROSS_ENTROPY, inputs, LABELS).first_gradients(net.modalities)
    for key in inputs:
        torch.testing.assert_close(ours[key], leaves[key].grad)


@pytest.mark.parametrize("name", CLIMBING)
def test_attacks_raise_the_loss_and_more_budget_raises_it_more(name):
    net, inputs = fitting(name)
    net, inputs = net.double(), {key: value.double() for key, value in inputs.items()}
    with torch.no_grad():
        labels = net(inputs).argmax(dim=1)
        whole = Loss(net, objective_of(build_attack(name), net), inputs, labels)

        def loss(epsilon: float) -> float:
            result = attacked(net, inputs, labels, {"audio": epsilon, "visual": epsilon}, name)
            return whole.value(result).mean().item()

        assert loss(0.0) < loss(0.002) < loss(0.01)


def test_iterating_beats_a_single_step():
    net, inputs = shallow_net(), clips(4)
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
    net, inputs = shallow_net("audio"), clips(4)
    result = attacked(net, inputs, LABELS, {"audio": 0.01, "visual": 0.01}, "pgd")
    assert result["visual"] is inputs["visual"]
    assert not torch.equal(result["audio"], inputs["audio"])
