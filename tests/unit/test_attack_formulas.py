"""Every attack beyond those of Tian & Xu against its formula, written out in float64 on a net of two inputs.

Where torchattacks 3.5.1 has the attack, the formula is that of its code, line by line.
"""

import hashlib
import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from nets import CROSS_ENTROPY, UNITS, build_attack, build_objective, clips, linear_net, narrow_net
from torch import Tensor

from avrobust.attacks.budget import Budget, units
from avrobust.attacks.context import Context
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.norms import L2, LINF, Norm
from avrobust.views.view import Input

NET = narrow_net().double()
INPUTS = {key: value.double() for key, value in clips(3).items()}
LABELS = torch.tensor([0, 1, 2])
CONTEXT = Context(["a", "b", "c"], seed=7, attack="mine")
EPSILON = 0.03
RANGES = {"audio": (-1, 1), "visual": (0, 1)}


def budgets(epsilon: float = EPSILON, norm: Norm = LINF) -> dict[str, Budget]:
    size = torch.tensor(epsilon, dtype=torch.float64)
    return {key: Budget(size, *bounds, torch.zeros(()), norm) for key, bounds in RANGES.items()}


def ours(name: str, objective=CROSS_ENTROPY, balls: dict | None = None, **options: object) -> dict[str, Tensor]:
    loss = Loss(NET, objective, INPUTS, LABELS)
    return perturb(loss, balls or budgets(), build_attack(name, options), CONTEXT)


def gradients(inputs: dict, objective=F.cross_entropy, labels: Tensor = LABELS) -> dict[str, Tensor]:
    leaves = {key: value.detach().requires_grad_() for key, value in inputs.items()}
    loss = objective(NET(leaves), labels, reduction="none").sum()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def mean(values: Tensor) -> Tensor:
    """One number for each clip."""
    return values.mean(dim=tuple(range(1, values.dim())), keepdim=True)


def back(moved: dict) -> dict[str, Tensor]:
    """What torchattacks does at the end of a step in l-infinity."""
    made = {}
    for key, value in moved.items():
        delta = torch.clamp(value - INPUTS[key], min=-EPSILON, max=EPSILON)
        made[key] = torch.clamp(INPUTS[key] + delta, *RANGES[key])
    return made


def assert_same(one: dict, other: dict) -> None:
    for key in INPUTS:
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=1e-9)


def momentum_attack(steps: int, decay: float, ahead: float) -> dict[str, Tensor]:
    """torchattacks' MIFGSM, and with `ahead` = 1 its NIFGSM."""
    alpha, adversarial = EPSILON / steps, dict(INPUTS)
    momentum = {key: torch.zeros_like(value) for key, value in INPUTS.items()}
    for _ in range(steps):
        found = gradients({key: adversarial[key] + ahead * decay * alpha * momentum[key] for key in INPUTS})
        momentum = {key: decay * momentum[key] + found[key] / mean(found[key].abs()) for key in INPUTS}
        adversarial = back({key: adversarial[key] + alpha * momentum[key].sign() for key in INPUTS})
    return adversarial


def test_i_fgsm_and_pgd_are_those_of_torchattacks():
    for name, steps, alpha in (("i_fgsm", 5, EPSILON / 5), ("pgd", 7, EPSILON / 4)):
        adversarial = dict(INPUTS)
        for _ in range(steps):
            found = gradients(adversarial)
            adversarial = back({key: adversarial[key] + alpha * found[key].sign() for key in INPUTS})
        options = {"step_size": 0.25} if name == "pgd" else {}
        assert_same(ours(name, steps=steps, **options), adversarial)


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_mi_fgsm_is_that_of_torchattacks(decay):
    assert_same(ours("mi_fgsm", steps=5, decay=decay), momentum_attack(5, decay, ahead=0))


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_ni_fgsm_is_that_of_torchattacks(decay):
    assert_same(ours("ni_fgsm", steps=5, decay=decay), momentum_attack(5, decay, ahead=1))


def test_the_printed_norm_of_ni_fgsm_hardly_looks_ahead():
    mi, ni, printed = ours("mi_fgsm"), ours("ni_fgsm"), ours("ni_fgsm", norm="l1")
    differ = [
        sum((one[key] - mi[key]).abs().gt(1e-9).double().mean().item() for key in INPUTS) / 2 for one in (ni, printed)
    ]
    assert differ[0] > 3 * differ[1]


def random_run(restart: int, steps: int) -> dict[str, Tensor]:
    """torchattacks' PGD with `random_start`, from the points that our keys draw."""
    adversarial = {}
    for key, clean in INPUTS.items():
        rows = []
        for number, clip in enumerate(CONTEXT.clip_ids):
            text = json.dumps([7, "mine", restart, 0, clip, key])
            generator = torch.Generator().manual_seed(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))
            rows.append(clean[number] + EPSILON * (2 * torch.rand(clean.shape[1:], generator=generator) - 1).double())
        adversarial[key] = torch.stack(rows).clamp(*RANGES[key])
    for _ in range(steps):
        found = gradients(adversarial)
        adversarial = back({key: adversarial[key] + EPSILON / 4 * found[key].sign() for key in INPUTS})
    return adversarial


def test_an_attack_on_the_margin_is_pgd_of_carlinis_loss():
    """torchattacks' CW: the largest of the other logits less that of the label, here ascended by PGD."""

    def carlini(logits: Tensor, labels: Tensor, reduction: str) -> Tensor:
        one_hot = torch.eye(logits.shape[1], dtype=torch.float64)[labels]
        other = torch.max((1 - one_hot) * logits - 1e9 * one_hot, dim=1)[0]
        return other - torch.max(one_hot * logits - 1e9 * (1 - one_hot), dim=1)[0]

    adversarial = dict(INPUTS)
    for _ in range(4):
        found = gradients(adversarial, carlini)
        adversarial = back({key: adversarial[key] + EPSILON / 8 * found[key].sign() for key in INPUTS})
    made = ours("pgd", build_objective("margin", {}, 5), steps=4)
    assert_same(made, adversarial)
    by_cross_entropy = ours("pgd", steps=4)
    assert any((made[key] - by_cross_entropy[key]).abs().max() > EPSILON / 10 for key in INPUTS)


def test_a_targeted_attack_is_that_of_torchattacks():
    """Its cost is -loss(outputs, target_labels) and every clip comes nearer to its target."""
    target, adversarial = (LABELS + 2) % 5, dict(INPUTS)
    for _ in range(4):
        found = gradients(adversarial, lambda *given, **named: -F.cross_entropy(*given, **named), target)
        adversarial = back({key: adversarial[key] + EPSILON / 8 * found[key].sign() for key in INPUTS})
    objective = build_objective("targeted", {}, 5, shift=2)
    assert_same(ours("pgd", objective, steps=4), adversarial)
    before, after = (F.cross_entropy(NET(inputs), target, reduction="none") for inputs in (INPUTS, adversarial))
    assert (after < before - 0.5).all()


def test_pgd_random_is_that_of_torchattacks_and_keeps_the_worst_of_its_restarts():
    runs = [random_run(restart, 2) for restart in range(3)]
    assert_same(ours("pgd_random", steps=2), runs[0])
    losses = torch.stack([F.cross_entropy(NET(run), LABELS, reduction="none") for run in runs])
    worst = losses.argmax(dim=0).tolist()
    assert len(set(worst)) > 1, "no clip tells the restarts apart"
    kept = {key: torch.stack([runs[run][key][clip] for clip, run in enumerate(worst)]) for key in INPUTS}
    assert_same(ours("pgd_random", steps=2, restarts=3), kept)


@pytest.mark.parametrize("attacked", [("audio", "visual"), ("audio",)])
def test_the_gradient_of_pgd_shifted_is_the_mean_over_copies_that_are_shifted_back(attacked):
    """A modality that is not attacked is shifted along with the other."""
    adversarial = dict(INPUTS)
    for step in range(2):
        context = replace(CONTEXT, step=step)
        summed = {key: torch.zeros_like(value) for key, value in INPUTS.items()}
        for copy in range(3):
            shares = 0.1 * (2 * context.uniform(f"shift {copy}") - 1)
            places = {key: (shares * value.shape[-1]).round().int().tolist() for key, value in INPUTS.items()}
            moved = {
                key: torch.stack([one.roll(places[key][clip], -1) for clip, one in enumerate(adversarial[key])])
                for key in INPUTS
            }
            assert len(set(places["audio"])) == 3
            for key, found in gradients(moved).items():
                summed[key] += torch.stack([one.roll(-places[key][clip], -1) for clip, one in enumerate(found)]) / 3
        moved = {key: adversarial[key] + EPSILON / 8 * summed[key].sign() for key in attacked}
        adversarial |= {key: value for key, value in back(adversarial | moved).items() if key in attacked}
    balls = {key: ball for key, ball in budgets().items() if key in attacked}
    made = ours("pgd_shifted", balls=balls, steps=2, copies=3, most=0.1)
    assert_same(made, adversarial)
    assert attacked == ("audio", "visual") or made["visual"] is INPUTS["visual"]


def test_pgd_in_l2_is_that_of_torchattacks():
    """Its PGDL2: unit gradients, back to the sphere, then to the range."""
    epsilon, adversarial = 2.0, dict(INPUTS)
    for _ in range(5):
        found, moved = gradients(adversarial), {}
        for key, clean in INPUTS.items():
            shape = (-1, *[1] * (clean.dim() - 1))
            norms = torch.norm(found[key].flatten(1), p=2, dim=1) + 1e-10
            delta = adversarial[key] + epsilon / 4 * found[key] / norms.view(shape) - clean
            factor = (epsilon / torch.norm(delta.flatten(1), p=2, dim=1)).clamp_max(1)
            moved[key] = torch.clamp(clean + delta * factor.view(shape), *RANGES[key])
        adversarial = moved
    made = ours("pgd", balls=budgets(epsilon, L2(None)), steps=5, step_size=0.25)
    assert_same(made, adversarial)
    lengths = {key: (made[key] - INPUTS[key]).flatten(1).norm(dim=1) for key in INPUTS}
    assert all((length > 0.5 * epsilon).all() for length in lengths.values())


def test_momentum_in_l2_steps_along_the_unit_vector_of_the_momentum():
    alpha, adversarial, momentum = 0.25, dict(INPUTS), dict.fromkeys(INPUTS, 0)
    for _ in range(4):
        found = gradients(adversarial)
        for key in INPUTS:
            momentum[key] = momentum[key] + found[key] / mean(found[key].abs())
            unit = F.normalize(momentum[key].flatten(1), dim=1).view_as(momentum[key])
            adversarial[key] = (adversarial[key] + alpha * unit).clamp(*RANGES[key])
    assert_same(ours("mi_fgsm", balls=budgets(1.0, L2(None)), steps=4), adversarial)


def test_on_a_linear_net_pgd_in_l2_ends_at_the_optimum():
    """Of two classes the worst perturbation of the ball is epsilon * unit(w_other - w_true), one ball a modality."""
    net = linear_net(6, 2)
    inputs = {key: torch.rand(2, 6, generator=torch.Generator().manual_seed(0)).double() for key in INPUTS}
    ball = Budget(torch.tensor(0.3).double(), -9.0, 9.0, torch.zeros(()), L2(None))
    labels = torch.tensor([0, 1])
    made = perturb(Loss(net, CROSS_ENTROPY, inputs, labels), dict.fromkeys(inputs, ball), build_attack("pgd"))
    towards = net.classifier.weight.detach()[1 - labels] - net.classifier.weight.detach()[labels]
    for key, part in (("visual", towards[:, :6]), ("audio", towards[:, 6:])):
        torch.testing.assert_close(made[key] - inputs[key], 0.3 * F.normalize(part, dim=1))


@pytest.mark.parametrize(("name", "steps"), [("l2_step", 2), ("l2_clip", 1)])
def test_of_standardised_features_pgd_in_l2_ends_at_the_optimum_of_each_step_or_clip(name, steps):
    """Features of 2 steps x 3 values, whose deviations are d: epsilon * d * unit(d * w), w = w_other - w_true.

    A step of no weight stays where the others' ball is not its own.
    """
    net, deviations = linear_net(6, 2), torch.tensor([0.5, 1.0, 12.0]).double()
    with torch.no_grad():
        net.classifier.weight[:, 6:9] = 0  # the first step of the sound
    forms = {key: Input((2, 3), "float16", -math.inf, math.inf, 1) for key in INPUTS}
    of = units("pixel", forms, dict.fromkeys(INPUTS, deviations))
    inputs = {key: 9 * torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0)).double() for key in INPUTS}
    labels = torch.tensor([0, 1])
    balls = {key: of[key].budget(0.1, name) for key in INPUTS}
    made = perturb(Loss(net, CROSS_ENTROPY, inputs, labels), balls, build_attack("pgd", {"steps": 20}))
    towards = net.classifier.weight.detach()[1 - labels] - net.classifier.weight.detach()[labels]
    for key, part in (("visual", towards[:, :6]), ("audio", towards[:, 6:])):
        scaled = (part.view(2, 2, 3) * deviations).view(2, steps, -1)
        wanted = 0.1 * deviations * F.normalize(scaled, dim=2).view(2, 2, 3)
        torch.testing.assert_close(made[key] - inputs[key], wanted, rtol=1e-6, atol=1e-12)
        used = of[key].norm(made[key] - inputs[key], name)
        torch.testing.assert_close(used, torch.full((2,), 0.1).double(), rtol=1e-6, atol=0)


def test_a_sound_is_attacked_down_to_a_signal_to_noise_ratio():
    """30 dB for the sound, l-infinity for the frame; the quieter clip has the smaller ball, the silent one none."""
    inputs = {**INPUTS, "audio": INPUTS["audio"] * torch.tensor([1.0, 0.1, 0.0]).view(3, 1, 1)}
    balls = {
        "audio": UNITS["audio"].budget(norm="l2_clip", snr=30, clean=inputs["audio"]),
        "visual": UNITS["visual"].budget(0.01),
    }
    made = perturb(Loss(NET, CROSS_ENTROPY, inputs, LABELS), balls, build_attack("pgd"))
    noise = (made["audio"] - inputs["audio"]).flatten(1).norm(dim=1)
    signal = inputs["audio"].flatten(1).norm(dim=1)
    ratio = 20 * (signal[:2] / noise[:2]).log10()
    assert ratio.tolist() == pytest.approx([30, 30], abs=0.5) and (ratio > 30 - 1e-6).all()
    assert torch.equal(made["audio"][2], inputs["audio"][2])
    assert (balls["visual"].used(made["visual"] - inputs["visual"]) > 0.9).all()
