"""TIA, MMA and TMA: their terms by hand, what they are without them, and that a term is there at all."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import UNITS, build_attack, clips_in_time, net_in_time, objective_of, partners_of

from avrobust.attacks.context import Context
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.threat import Threat
from avrobust.evaluation.terms import mean_shares, term_shares
from avrobust.models.build import ModelSpec, Part, build
from avrobust.objectives.cross_entropy_less import CrossEntropyLess
from avrobust.objectives.similarity import absolute_similarity, audio_visual_similarity, similarity
from avrobust.objectives.temporal_variance import TemporalVariance
from avrobust.program import UserError

IDS, LABELS = ["a", "b", "c", "d"], torch.tensor([0, 1, 2, 3])
NAMES = ("tia", "mma", "tma")
PLAIN = {"copies": 1, "transforms": ["identity"]}


def on(name: str, net=None, inputs=None, seed: int = 0, called: str = "one", **options) -> dict[str, torch.Tensor]:
    net, inputs = net or net_in_time(), inputs or clips_in_time(4)
    attack, count = build_attack(name, options), len(inputs["audio"])
    loss = Loss(net, objective_of(attack, net), inputs, LABELS[:count], partner=partners_of(inputs))
    budgets = {key: UNITS[key].budget(0.02) for key in inputs}
    return perturb(loss, budgets, attack, Context(IDS[:count], seed, called))


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


# Two clips of three steps with features of two values: means over the values (1, 3, 2) and (0, 0, 6), whose variances
# over the steps are 2/3 and 8.
SOUND = torch.tensor([[[0.0, 2.0], [2.0, 4.0], [2.0, 2.0]], [[0.0, 0.0], [1.0, -1.0], [6.0, 6.0]]]).double()


def test_the_variance_in_time_by_hand_is_a_multiple_of_the_clips_own():
    """Twice the feature has four times the variance; of frames that never change the floor is divided by."""
    still = torch.ones(2, 3, 2).double()
    term = TemporalVariance(1e-3).relative_to({"audio": SOUND, "visual": still})
    assert term.clean["audio"].tolist() == pytest.approx([2 / 3, 8])
    assert term({"audio": SOUND, "visual": still}).tolist() == pytest.approx([1, 1])
    assert term({"audio": 2 * SOUND, "visual": still}).tolist() == pytest.approx([4, 4])
    assert term({"audio": 2 * SOUND[[1, 0]], "visual": still}).tolist() == pytest.approx([48, 1 / 3])
    assert term({"audio": still, "visual": SOUND}).tolist() == pytest.approx([2 / 3 / 1e-3, 8 / 1e-3])


def test_what_is_divided_by_has_no_gradient():
    """Else a multiple of what it is itself would be 1 for ever."""
    sound = SOUND.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(TemporalVariance().relative_to({"audio": sound})({"audio": sound}).sum(), sound)
    assert gradient[0].flatten().tolist() == pytest.approx([-0.5, -0.5, 0.5, 0.5, 0, 0])


def test_the_cosine_by_hand_signed_and_absolute():
    """Means over the steps (1, 0) and (-3, 4): -0.6."""
    features = {"audio": torch.tensor([[[2.0, 1.0], [0.0, -1.0]]]), "visual": torch.tensor([[[-6.0, 8.0], [0.0, 0.0]]])}
    assert audio_visual_similarity(features).tolist() == pytest.approx([-0.6])
    assert absolute_similarity(features).tolist() == pytest.approx([0.6])
    assert similarity("signed")(features) == audio_visual_similarity(features)
    with pytest.raises(UserError, match="cosine 'squared' is none of signed, absolute"):
        similarity("squared")


def test_the_terms_of_several_nets_are_means_over_them():
    """(N, M, T, D): each net by its own clean variance and cosine, not those of a mean feature."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda: {key: torch.rand(3, 2, 4, 5, generator=generator).double() for key in ("audio", "visual")}  # noqa: E731
    clean, moved = draw(), draw()
    for term in (TemporalVariance(), audio_visual_similarity):
        told = term.relative_to(clean) if term is not audio_visual_similarity else term
        single = []
        for net in range(2):
            of_net = lambda features, net=net: {key: x[:, net] for key, x in features.items()}  # noqa: E731
            alone = term.relative_to(of_net(clean)) if term is not audio_visual_similarity else term
            single.append(alone(of_net(moved)))
        torch.testing.assert_close(told(moved), (single[0] + single[1]) / 2)
        assert told(moved).shape == (3,)


def test_the_objective_is_equation_4_and_the_sum_of_its_terms():
    """Against numpy, at other inputs than the clean ones."""
    net, inputs = net_in_time().double(), {key: x.double() for key, x in clips_in_time(4).items()}
    attack = build_attack("tma", {"lambda1": 0.3, "lambda2": 2.0})
    loss = Loss(net, objective_of(attack, net), inputs, LABELS)
    moved = {key: 0.7 * x for key, x in inputs.items()}
    with torch.no_grad():
        clean, now = ({key: net.encode(key, x[key]).numpy() for key in x} for x in (inputs, moved))
        logits = net(moved).numpy()
    entropy = np.log(np.exp(logits).sum(axis=1)) - logits[range(4), LABELS]
    variance = sum(now[key].mean(axis=2).var(axis=1) / clean[key].mean(axis=2).var(axis=1) for key in now)
    audio, visual = now["audio"].mean(axis=1), now["visual"].mean(axis=1)
    cosine = (audio * visual).sum(axis=1) / np.linalg.norm(audio, axis=1) / np.linalg.norm(visual, axis=1)
    np.testing.assert_allclose(loss.value(moved).numpy(), entropy - 0.3 * variance - 2 * cosine, rtol=1e-12)
    parts = loss.by_term()
    assert list(parts) == ["cross_entropy", "temporal_variance", "similarity"]
    for name, expected in (
        ("cross_entropy", entropy),
        ("temporal_variance", -0.3 * variance),
        ("similarity", -2 * cosine),
    ):
        np.testing.assert_allclose(parts[name].value(moved).numpy(), expected, rtol=1e-12)


def test_gradients_are_those_of_finite_differences():
    clean = {"audio": SOUND, "visual": SOUND.flip(0) + 1}
    objective = CrossEntropyLess(
        {}, 0, {"variance": (0.5, TemporalVariance()), "cosine": (0.7, audio_visual_similarity)}
    ).relative_to(clean)
    logits, labels = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([0, 2])

    def value(audio, visual, logits):
        return objective({"audio": audio, "visual": visual}, logits, labels)

    leaves = [(1.3 * x).requires_grad_() for x in (*clean.values(), logits)]
    assert torch.autograd.gradcheck(value, leaves)


@pytest.mark.parametrize("name", NAMES)
def test_without_terms_on_the_clip_itself_it_is_mi_fgsm_to_the_bit(name):
    weights = {"tia": {"lambda1": 0.0}, "mma": {"lambda2": 0.0}, "tma": {"lambda1": 0.0, "lambda2": 0.0}}[name]
    assert same(on(name, **weights, **PLAIN, steps=5, decay=0.9), on("mi_fgsm", steps=5, decay=0.9))
    assert not same(on(name, **PLAIN, steps=5), on("mi_fgsm", steps=5))


def test_tma_is_tia_and_mma_to_the_bit_where_a_weight_is_0():
    """The same copies, drawn by the name that a paper gives the attack."""
    sizes = {"steps": 3, "copies": 3, "transforms": ["masking", "blurring"]}
    assert same(on("tma", lambda2=0.0, lambda1=0.5, **sizes), on("tia", lambda1=0.5, **sizes))
    assert same(on("tma", lambda1=0.0, lambda2=0.5, **sizes), on("mma", lambda2=0.5, **sizes))


@pytest.mark.parametrize("name", NAMES)
def test_one_step_on_the_clip_itself_is_one_of_its_objective(name):
    """FGSM of the loss that it maximises."""
    net, inputs, attack = net_in_time(), clips_in_time(4), build_attack("fgsm")
    loss = Loss(net, objective_of(build_attack(name), net), inputs, LABELS)
    fgsm = perturb(loss, {key: UNITS[key].budget(0.02) for key in inputs}, attack)
    assert same(on(name, net, inputs, **PLAIN, steps=1), fgsm)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2])
def test_clips_of_one_step_in_time_move_without_nan(name, steps):
    """The unbiased variance of one value is NaN, and the sign of NaN 0: the clip would stay where it is."""
    net, inputs = net_in_time(steps=steps), clips_in_time(4, steps=steps)
    made = on(name, net, inputs, steps=3)
    for key, x in inputs.items():
        assert made[key].isfinite().all() and ((made[key] != x).flatten(1).sum(dim=1) > 0.3 * x[0].numel()).all()


def test_the_objectives_do_what_they_are_for():
    """TIA leaves less variance in time than MI-FGSM, MMA a smaller cosine, TMA both; of all clips together."""
    net, inputs = net_in_time(seed=2), clips_in_time(4, seed=1)
    with torch.no_grad():
        clean = {key: net.encode(key, x) for key, x in inputs.items()}
        variance = TemporalVariance().relative_to(clean)

        def measured(name: str, **options) -> tuple[float, float]:
            weight = {"lambda1": 1.0} if name in ("tia", "tma") else {}
            made = on(name, net, inputs, steps=10, **options, **weight)
            features = {key: net.encode(key, x) for key, x in made.items()}
            return variance(features).mean().item(), audio_visual_similarity(features).mean().item()

        plain, tia, mma, tma = measured("mi_fgsm"), *(measured(name, **PLAIN) for name in ("tia", "mma", "tma"))
    assert tia[0] < plain[0] - 0.05 and mma[1] < plain[1] - 0.05
    assert tma[0] < plain[0] and tma[1] < plain[1]


def test_tia_is_not_for_nets_without_steps_in_time():
    net = net_in_time()
    encode = net.encode
    net.encode = lambda name, x: encode(name, x).mean(dim=1)
    for name in ("tia", "tma"):
        with pytest.raises(UserError, match="the audio feature of a clip is one for all of its time"):
            on(name, net)
    assert not same(on("mma", net, **PLAIN), on("mi_fgsm", net))


def real_net(visual: str = "alexnet", audio: str = "vgg11_bn"):
    """AcV as small as the demo has it: eight steps of 0.3 s, pictures of 40 pixels."""
    torch.manual_seed(0)
    front = {"sample_rate": 8000, "n_fft": 512, "window": 480, "hop": 240, "mels": 32}
    net = {"name": audio, "options": {"width": 0.125, "stride": 8}}
    sound = Part("log_mel", {"net": net, "samples_per_step": 2400, "projection": 32, "front": front})
    frames = Part(visual, {"width": 0.125, "projection": 32, "stride": 16 if visual == "alexnet" else 8})
    net = build(ModelSpec("concat", audio=sound, visual=frames), 5)
    torch.nn.init.normal_(net.classifier.weight)
    return net.eval()


def real_clips(count: int) -> dict[str, torch.Tensor]:
    """Noise, and a picture that changes a little."""
    generator = torch.Generator().manual_seed(1)
    picture, change = (torch.rand(count, steps, 3, 40, 40, generator=generator) for steps in (1, 8))
    return {
        "audio": 0.3 * torch.randn(count, 1, 8 * 2400, generator=generator).clamp(-3, 3),
        "visual": 0.9 * picture + 0.1 * change,
    }


@pytest.mark.parametrize("name", ["fgsm", "mig", "pam", *NAMES, "fgsm_masked"])
def test_at_silence_in_black_nothing_is_nan_and_the_pictures_move(name):
    """Digital silence, where the log-mel has a gradient of 0, and black pictures, whose variance in time is 0, too.

    Black is where MIG's paths begin: its factor is 0 there, and what is black stays so.
    """
    inputs = {key: torch.zeros_like(x) for key, x in real_clips(2).items()}
    few = {"mig": {"steps": 2, "points": 2}, "pam": {"steps": 2, "paths": 1, "scales": 1}}
    options = few.get(name, {"steps": 2} if name in NAMES else {})
    made = on(name, real_net(), inputs, **options)
    for key, x in inputs.items():
        assert made[key].isfinite().all()
        assert (made[key] != x).flatten(1).any(dim=1).all() or key == "audio" or name == "mig"


def test_every_term_of_tma_is_a_part_of_the_gradient_as_the_printed_variance_is_not():
    """On real nets: the variance as printed makes less than a thousandth of the gradient of either modality."""
    net, inputs = real_net(), real_clips(4)
    threat = Threat(build_attack("tma", PLAIN), net, objective_of(build_attack("tma"), net))
    shares = mean_shares(term_shares(threat, Loss(net, threat.objective, inputs, LABELS), IDS))
    for modality in inputs:
        assert list(shares[modality]) == ["cross_entropy", "temporal_variance", "similarity"]
        assert all(0.01 < share < 0.99 for share in shares[modality].values()), shares

    def printed(features: dict[str, torch.Tensor]) -> torch.Tensor:
        return sum(x.mean(dim=2).var(dim=1, correction=0) for x in features.values())

    objective = CrossEntropyLess(net.dimensions, 5, {"variance": (1.0, printed)})
    threat = Threat(build_attack("i_fgsm"), net, objective)
    shares = mean_shares(term_shares(threat, Loss(net, objective, inputs, LABELS), IDS))
    assert all(of["variance"] < 0.001 for of in shares.values())


def test_cross_entropy_is_what_an_attack_on_a_defended_net_maximises_too():
    """Whatever the net was trained with: the terms are taken from cross-entropy."""
    logits = torch.tensor([[0.0, math.log(3)]])
    objective = CrossEntropyLess({}, 2, {"cosine": (0.0, audio_visual_similarity)})
    assert objective({}, logits, torch.tensor([0])).item() == pytest.approx(math.log(4))
    assert objective({}, logits, torch.tensor([0])) == F.cross_entropy(logits, torch.tensor([0]))
    assert objective.names == ("cross_entropy",)
