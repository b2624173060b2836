"""Attacks against programs of their own in numpy, on a net of one input whose gradients are written out by hand.

Of the papers' formulas: FGSM (Goodfellow et al., ICLR 2015), I-FGSM (Kurakin et al., ICLR 2017 workshop), MI-FGSM (Dong
et al., CVPR 2018), NI-FGSM (Lin et al., ICLR 2020, with the mean norm of the authors' code), MIG (Ma et al., ICCV 2023)
and PAM (Zhang et al., CVPR 2023, r = 1).
"""

import numpy as np
import pytest
import torch
from nets import Flatten, build_attack, objective_of
from torch import nn

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.lazy import load
from avrobust.models.late_fusion import LateFusion
from avrobust.models.registry import FUSIONS

EPSILON, STEPS = 0.07, 4
LOWEST = {"audio": -1.0, "visual": 0.0}
SHAPES = {"audio": (1, 12), "visual": (3, 2, 2)}
RANDOM = np.random.default_rng(3)
FIRST, SECOND, BIAS = RANDOM.normal(size=(5, 12)), 2 * RANDOM.normal(size=(3, 5)), RANDOM.normal(size=5)
LABELS = np.array([0, 1, 2, 0])
CLEAN = {name: RANDOM.uniform(low, 1, size=(4, 12)) for name, low in LOWEST.items()}


def one_input_net(modality: str) -> LateFusion:
    hidden, last = nn.Linear(12, 5), nn.Linear(5, 3, bias=False)
    for layer, weight in ((hidden, FIRST), (last, SECOND)):
        layer.weight.data = torch.from_numpy(weight)
    hidden.bias.data = torch.from_numpy(BIAS)
    encoder, fusion = Flatten(), load(FUSIONS, modality)(12)
    encoder.out_features = 12
    return LateFusion({modality: encoder}, fusion, nn.Sequential(hidden, nn.Tanh(), last)).eval()


def probabilities(x):
    hidden = np.tanh(x @ FIRST.T + BIAS)
    odds = np.exp(hidden @ SECOND.T)
    return hidden, odds / odds.sum(axis=1, keepdims=True)


def backwards(hidden, of_logits):
    return (of_logits @ SECOND * (1 - hidden**2)) @ FIRST


def of_cross_entropy(x):
    hidden, p = probabilities(x)
    return backwards(hidden, p - np.eye(3)[LABELS])


def of_minus_probability(x):
    hidden, p = probabilities(x)
    own = p[range(4), LABELS][:, None]
    return backwards(hidden, -own * (np.eye(3)[LABELS] - p))


def ascended(modality, gradient_at, steps=STEPS, length=None, decay=None, ahead=0.0):
    """Projected steps along signs, of the momentum where there is a decay."""
    clean, low = CLEAN[modality], LOWEST[modality]
    alpha, x, momentum = length or EPSILON / steps, clean, np.zeros_like(clean)
    for _ in range(steps):
        found = gradient_at(x + ahead * alpha * (decay or 0) * momentum)
        if decay is not None:
            momentum = decay * momentum + found / np.abs(found).mean(axis=1, keepdims=True)
            found = momentum
        x = np.clip(np.clip(x + alpha * np.sign(found), clean - EPSILON, clean + EPSILON), low, 1)
    return x


def ours(name, modality, **options):
    net, attack = one_input_net(modality), build_attack(name, options)
    inputs = {modality: torch.from_numpy(CLEAN[modality]).reshape(4, *SHAPES[modality])}
    ball = Budget(torch.tensor(EPSILON, dtype=torch.float64), LOWEST[modality], 1.0, torch.zeros(()))
    loss = Loss(net, objective_of(attack, net, 3), inputs, torch.from_numpy(LABELS))
    return perturb(loss, {modality: ball}, attack, Context(list("abcd")))[modality].flatten(1).numpy()


def test_the_gradients_by_hand_are_those_of_finite_differences():
    for of, gradient in ((lambda p: -np.log(p), of_cross_entropy), (lambda p: -p, of_minus_probability)):
        x, size = CLEAN["audio"], 1e-6
        for value in (0, 7):
            step = size * np.eye(12)[value]
            up, down = (of(probabilities(at)[1][range(4), LABELS]) for at in (x + step, x - step))
            np.testing.assert_allclose(gradient(x)[:, value], (up - down) / 2 / size, atol=1e-7)


@pytest.mark.parametrize("modality", LOWEST)
def test_gradient_signs_of_textbooks(modality):
    """One step, several, steps of another length, momentum, and gradients ahead of it."""
    made = {
        "fgsm": (ours("fgsm", modality), ascended(modality, of_cross_entropy, 1)),
        "i_fgsm": (ours("i_fgsm", modality, steps=STEPS), ascended(modality, of_cross_entropy)),
        "pgd": (
            ours("pgd", modality, steps=STEPS, step_size=0.4),
            ascended(modality, of_cross_entropy, length=0.4 * EPSILON),
        ),
        "mi_fgsm": (
            ours("mi_fgsm", modality, steps=STEPS, decay=0.8), ascended(modality, of_cross_entropy, decay=0.8)
        ),
        "ni_fgsm": (
            ours("ni_fgsm", modality, steps=STEPS, decay=0.8), ascended(modality, of_cross_entropy, decay=0.8, ahead=1)
        ),
    }  # fmt: skip
    for name, (one, other) in made.items():
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("gradient", ["point", "path"])
@pytest.mark.parametrize("modality", LOWEST)
def test_mig_is_momentum_on_integrated_gradients(modality, gradient):
    """Of a path in five points from the end of the range; through the path each has the factor k / s, too."""
    base, s = LOWEST[modality], 5

    def integrated(x):
        total = np.zeros_like(x)
        for k in range(1, s + 1):
            total += of_minus_probability(base + k / s * (x - base)) * (k / s if gradient == "path" else 1)
        return (x - base) * total / s

    made = ours("mig", modality, steps=STEPS, points=s, gradient=gradient)
    np.testing.assert_allclose(made, ascended(modality, integrated, decay=1.0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("gradient", ["point", "path"])
@pytest.mark.parametrize("modality", LOWEST)
def test_pam_is_momentum_on_the_clip_and_its_paths_to_baselines(modality, gradient):
    """Two halvings on each of three paths; a sound has none but silence, three times."""
    greys = [0.0, 0.5, 1.0] if modality == "visual" else [0.0] * 3

    def augmented(x):
        total = of_cross_entropy(x)
        for grey in greys:
            for i in (1, 2):
                factor = 1 / 2**i if gradient == "path" else 1
                total = total + factor * of_cross_entropy(x / 2**i + (1 - 1 / 2**i) * grey)
        return total

    made = ours("pam", modality, steps=STEPS, paths=3, scales=2, gradient=gradient)
    np.testing.assert_allclose(made, ascended(modality, augmented, decay=1.0), rtol=0, atol=1e-9)


def test_the_paths_of_pam_are_colours_by_channel():
    """The fourth is dark yellow, (0.5, 0.5, 0): of a picture its values come channel by channel."""
    dark_yellow = np.repeat([0.5, 0.5, 0.0], 4)

    def augmented(x):
        whole = [np.zeros(12), np.full(12, 0.5), np.ones(12), dark_yellow]
        return of_cross_entropy(x) + sum(0.5 * of_cross_entropy(0.5 * x + 0.5 * colour) for colour in whole)

    made = ours("pam", "visual", steps=1, paths=4, scales=1)
    np.testing.assert_array_equal(made, ascended("visual", augmented, 1, decay=1.0))


def test_both_forms_of_the_chain_factor_are_others():
    """A few signs in a hundred, of many random clips: neither is what the other is."""
    for name, options in (("mig", {"points": 4}), ("pam", {"paths": 2, "scales": 3})):
        point, path = (ours(name, "visual", steps=STEPS, gradient=one, **options) for one in ("point", "path"))
        assert 0 < (np.abs(point - path) > 1e-9).mean() < 0.5


@pytest.mark.parametrize(("base", "turned"), [(-1.0, 0.0), (0.0, 0.5)])
def test_the_step_of_mig_goes_against_the_probability_on_a_waveform_too(base, turned):
    """Of a net whose probability of the clip's class rises with every value; from a base of 0 half the signs turn."""
    net = one_input_net("audio")
    net.classifier = nn.Linear(12, 2, bias=False).double()
    net.classifier.weight.data = torch.stack([torch.ones(12), -torch.ones(12)]).double() / 12
    inputs = {"audio": torch.linspace(-0.9, 0.9, 12).double().view(1, 1, 12)}
    attack = build_attack("mig", {"audio_base": base})
    loss = Loss(net, objective_of(attack, net, 2), inputs, torch.tensor([0]))
    ball = Budget(torch.tensor(EPSILON).double(), -1.0, 1.0, torch.zeros(()))
    moved = perturb(loss, {"audio": ball}, attack)["audio"] - inputs["audio"]
    assert (moved > 0).double().mean().item() == turned
