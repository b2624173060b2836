"""Several nets attacked as one: means of their logits, one alone to the bit, nothing of a neighbour in the batch."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from nets import (
    CROSS_ENTROPY,
    batches,
    budgets,
    build_attack,
    clips,
    linear_net,
    narrow_net,
    net_with_memory,
    shallow_net,
)

from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.threat import Threat, bind
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.metrics.schema import in_order
from avrobust.models.ensemble import Ensemble
from avrobust.models.files import Trained
from avrobust.models.mean_losses import MeanLosses
from avrobust.program import UserError
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.conditions import Condition

CPU = torch.device("cpu")
GIVEN = budgets(weak=0.01)
BOTH = Condition("both", "weak")


def rows(surrogate, name: str = "mi_fgsm", size: int = 6, victims=None):
    victims = victims or {"victim": shallow_net(seed=9)}
    threat = Threat(build_attack(name), surrogate, CROSS_ENTROPY, name=name)
    cell = Cell("surrogate", name, threat, victims, dict.fromkeys(victims, (BOTH,)))
    return in_order([part.rows for part in evaluate([cell], batches(size), GIVEN, CPU)])


def in_steps(net, steps: int = 3):
    """A net whose features have steps: those of one, once more and twice as large."""
    encode = net.encode
    net.encode = lambda modality, x: torch.stack([(1 + n) * encode(modality, x) for n in range(steps)], 1)
    return net


def test_logits_are_the_mean_and_features_stand_side_by_side():
    nets, inputs = [in_steps(shallow_net(seed=seed)) for seed in (0, 1, 2)], clips(2)
    many = Ensemble(nets)
    with torch.no_grad():
        features = {name: many.encode(name, inputs[name]) for name in many.modalities}
        assert features["audio"].shape == (2, 3, 3, many.dimensions["audio"])
        for number, net in enumerate(nets):
            assert torch.equal(features["visual"][:, number], net.encode("visual", inputs["visual"]))
        wanted = sum(net(inputs) for net in nets) / 3
        assert torch.allclose(many.head(features), wanted, atol=1e-5)
        assert torch.equal(many(inputs), many.head(features))


@pytest.mark.parametrize("name", ["fgsm", "mi_fgsm", "ni_fgsm", "pgd_shifted", "pgd_random"])
@pytest.mark.parametrize("steps", [None, 4])
def test_one_net_alone_is_that_net_to_the_bit(name, steps):
    def net():
        return in_steps(shallow_net(seed=3), steps) if steps else shallow_net(seed=3)

    assert rows(Ensemble([net()]), name).equals(rows(net(), name))


@pytest.mark.parametrize("name", ["tia", "mma", "tma", "mig", "pam"])
def test_an_objective_of_features_is_that_of_one_net_alone_and_the_mean_over_several(name):
    """Twice the same net is that net, but for rounding; another beside it is not."""
    few = {"mig": {"points": 2}, "pam": {"paths": 2, "scales": 1}}
    options = {"steps": 2} | few.get(name, {"copies": 2, "transforms": ["identity", "masking"]})

    def made(net):
        surrogate = Trained(net, CROSS_ENTROPY, list("abcde"), {})
        threat, victims = (
            bind(AttackSpec(name, options=options), surrogate, name),
            {"victim": in_steps(shallow_net(seed=9))},
        )
        cell = Cell("surrogate", name, threat, victims, {"victim": [BOTH]})
        return in_order([part.rows for part in evaluate([cell], batches(6), GIVEN, CPU)]).to_pandas()

    def net(seed):
        return in_steps(shallow_net(seed=seed))

    alone = made(net(3))
    assert made(Ensemble([net(3)])).equals(alone)
    moved = alone.modality == "both"
    twice, other = made(Ensemble([net(3), net(3)])), made(Ensemble([net(3), net(4)]))
    # Hardly a sign differs, and so hardly what the victim makes of the clip.
    far, near = ((one.cosine[moved] - alone.cosine[moved]).abs().max() for one in (other, twice))
    assert near < far / 3


def test_the_gradient_is_that_of_cross_entropy_of_the_mean_logits():
    """By hand, of linear nets in float64: the mean weights are the weights of the ensemble."""
    nets = [linear_net(6, 3, seed) for seed in (0, 1)]
    generator = torch.Generator().manual_seed(5)
    inputs = {name: torch.rand(4, 6, generator=generator, dtype=torch.float64) for name in ("audio", "visual")}
    labels = torch.tensor([0, 1, 2, 0])
    found = Loss(Ensemble(nets), CROSS_ENTROPY, inputs, labels).gradients(inputs, ("audio", "visual"))
    weight = sum(net.classifier.weight for net in nets) / 2
    bias = sum(net.classifier.bias for net in nets) / 2
    both = torch.cat([inputs["visual"], inputs["audio"]], 1)
    error = F.softmax(both @ weight.T + bias, dim=1) - F.one_hot(labels, 3)
    wanted = (error @ weight).split(6, dim=1)
    assert torch.allclose(found["visual"], wanted[0], atol=1e-12)
    assert torch.allclose(found["audio"], wanted[1], atol=1e-12)


def test_the_gradient_of_mean_losses_is_the_mean_of_the_nets_own():
    """By hand, of linear nets in float64: each by its own probabilities; not that of the mean logits."""
    nets = [linear_net(6, 3, seed) for seed in (0, 1, 2)]
    generator = torch.Generator().manual_seed(5)
    inputs = {name: torch.rand(4, 6, generator=generator, dtype=torch.float64) for name in ("audio", "visual")}
    labels, both = torch.tensor([0, 1, 2, 0]), ("audio", "visual")
    loss = Loss(MeanLosses(nets), CROSS_ENTROPY, inputs, labels)
    found, joined = loss.gradients(inputs, both), torch.cat([inputs["visual"], inputs["audio"]], 1)
    errors, losses = [], []
    for net in nets:
        logits = joined @ net.classifier.weight.T + net.classifier.bias
        errors.append((F.softmax(logits, dim=1) - F.one_hot(labels, 3)) @ net.classifier.weight)
        losses.append(logits.exp().sum(dim=1).log() - logits[torch.arange(4), labels])
    visual, audio = (sum(errors) / 3).split(6, dim=1)
    assert torch.allclose(found["visual"], visual, atol=1e-12) and torch.allclose(found["audio"], audio, atol=1e-12)
    assert torch.allclose(loss.value({**inputs, "audio": inputs["audio"] + 0}), sum(losses) / 3, atol=1e-12)
    other = Loss(Ensemble(nets), CROSS_ENTROPY, inputs, labels).gradients(inputs, both)
    assert not torch.allclose(found["visual"], other["visual"], atol=1e-3)


def test_the_mean_of_one_nets_losses_is_its_own_and_mig_has_none():
    assert rows(MeanLosses([shallow_net(seed=3)])).equals(rows(shallow_net(seed=3)))
    surrogate = Trained(MeanLosses([shallow_net(), shallow_net(seed=1)]), CROSS_ENTROPY, list("abcde"), {})
    for name in ("mi_fgsm", "pam", "tma"):
        assert bind(AttackSpec(name), surrogate).model is surrogate.model
    with pytest.raises(UserError, match="attack mig: MinusProbability is of one net's logits, not of several nets'"):
        bind(AttackSpec("mig"), surrogate)


def test_no_clip_depends_on_its_batch():
    many = Ensemble([shallow_net(seed=seed) for seed in (0, 1)])
    one, six = (rows(many, size=size).to_pandas() for size in (1, 6))
    assert one.prediction.tolist() == six.prediction.tolist()
    assert (one.loss - six.loss).abs().max() < 1e-3


def test_no_parameter_of_a_net_gets_a_gradient_and_the_nets_stay_as_they_were():
    nets = [shallow_net(seed=seed) for seed in (0, 1)]
    before = [net.classifier.weight.clone() for net in nets]
    rows(Ensemble(nets))
    for net, weight in zip(nets, before, strict=True):
        assert torch.equal(net.classifier.weight, weight)
        assert all(parameter.grad is None for parameter in net.parameters())


def test_past_the_defences_is_past_those_of_every_net():
    defended, plain = net_with_memory(4), narrow_net(seed=1)
    many = Trained(Ensemble([defended, plain]), CROSS_ENTROPY, list("abcde"), {})
    bare = bind(AttackSpec("fgsm", without_defences=True), many).model
    assert isinstance(bare, Ensemble) and not any(net.defences for net in bare.nets)
    with torch.no_grad():
        wanted = (defended.without_defences()(clips(4)) + plain(clips(4))) / 2
        assert torch.allclose(bare(clips(4)), wanted, atol=1e-5)
        assert not torch.allclose(many.model(clips(4)), wanted, atol=1e-3)
    # Batches may be cut at whole groups of the one that needs them.
    assert (many.model.clips_together, Ensemble([plain]).clips_together) == (4, 1)
    assert Threat(build_attack("pgd"), many.model, CROSS_ENTROPY).clips_together(net_with_memory(6)) == 12


def test_the_precision_is_that_of_every_net():
    many = Ensemble([shallow_net(seed=seed) for seed in (0, 1)])
    lower = many.in_precision("bfloat16")
    assert many.in_precision("float32") is many and many.precision == "float32"
    assert lower.precision == "bfloat16" and {net.precision for net in lower.nets} == {"bfloat16"}
    assert lower.nets[0].classifier is many.nets[0].classifier


def test_nets_that_are_no_ensemble_are_refused():
    with pytest.raises(UserError, match="take the same modalities, and clips of a single label"):
        Ensemble([shallow_net(), shallow_net("visual")])
    several = shallow_net()
    several.task = "multiple"
    with pytest.raises(UserError, match=r"audio, visual \(multiple\)"):
        Ensemble([several])
    shapes = Ensemble([in_steps(shallow_net(), 2), in_steps(shallow_net(), 3)])
    with pytest.raises(UserError, match="features of one shape, steps x size, not 2x8, 3x8 of audio"):
        shapes(clips(1))
    maps = shallow_net()
    encode = maps.encode
    maps.encode = lambda modality, x: encode(modality, x)[:, :, None, None]
    with pytest.raises(UserError, match="not 8x1x1 of audio"):
        Ensemble([maps])(clips(1))


@pytest.mark.parametrize("count", [1, 3])
def test_a_surrogate_is_crafted_on_once_and_answered_by_every_victim(count, monkeypatch):
    """Gradients are counted, of each net: as many as the attack has steps, whatever number of victims answers."""
    taken = []
    gradients = Loss.gradients

    def counting(loss, inputs, attacked, points=None, context=None):
        taken.append(loss.model)
        return gradients(loss, inputs, attacked, points, context)

    monkeypatch.setattr(Loss, "gradients", counting)
    nets = {f"net{seed}": shallow_net(seed=seed) for seed in range(3)}
    many = Ensemble(list(nets.values())[:2])
    victims = {name: nets[name] for name in list(nets)[:count]}
    made = rows(many, "mi_fgsm", victims=victims).to_pandas()
    assert set(made.victim) == set(victims) and len(made) == 6 * 2 * count
    assert taken == [many] * build_attack("mi_fgsm").steps


def test_attacks_of_one_surrogate_share_its_first_gradients(monkeypatch):
    taken = []
    gradients = Loss.gradients
    monkeypatch.setattr(Loss, "gradients", lambda loss, *given: taken.append(1) or gradients(loss, *given))
    many = Ensemble([shallow_net(seed=seed) for seed in (0, 1)])
    attacks = {name: replace(build_attack(name), steps=1) for name in ("fgsm", "i_fgsm", "mi_fgsm", "ni_fgsm")}
    victims = {"victim": shallow_net(seed=9)}
    cells = [
        Cell("all", name, Threat(attack, many, CROSS_ENTROPY), victims, {"victim": [BOTH]})
        for name, attack in attacks.items()
    ]
    made = in_order([part.rows for part in evaluate(cells, batches(6), GIVEN, CPU)]).to_pandas()
    assert len(taken) == 1
    losses = [made[(made.attack == name) & (made.modality == "both")].loss.tolist() for name in attacks]
    assert all(one == losses[0] for one in losses)


def test_it_moves_every_net_that_it_is_made_of():
    nets = [shallow_net(seed=seed) for seed in (0, 1, 2)]
    inputs, labels = clips(6), torch.arange(6) % 5
    loss = Loss(Ensemble(nets), CROSS_ENTROPY, inputs, labels)
    made = perturb(loss, GIVEN.under(BOTH, inputs), build_attack("mi_fgsm"))
    with torch.no_grad():
        for net in nets:
            before, after = (F.cross_entropy(net(x), labels) for x in (inputs, made))
            assert after > before
