"""Whose gradients an attack takes and what it maximises; and the stages of a defence."""

import copy

import pytest
import torch
from nets import CROSS_ENTROPY, build_attack, clips, narrow_net, narrow_spec, net_with_memory

from avrobust.attacks.threat import Threat, bind
from avrobust.defences.registry import DEFENCES
from avrobust.models.build import Part
from avrobust.models.files import Trained
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.objectives.min_similarity import MinSimilarity
from avrobust.program import UserError
from avrobust.spec.attacks import AttackSpec
from avrobust.training.start import continued_model

MEMORY = {
    "mixing": 0.5, "penalty": 0.1, "iterations": 20, "tolerance": 0.0, "training_group": 2, "evaluation_group": 2,
}  # fmt: skip
# The sound's is shorter than any that is safe, the frame's longer.
STEPS = {"audio": 1e-4, "visual": 1.0}


def trained(seed: int = 0) -> Trained:
    """A net that was trained to keep its features apart, with what its last epoch saw."""
    net = narrow_net(seed=seed)
    features = torch.rand(9, 64, generator=torch.Generator().manual_seed(seed))
    kept = {"audio": features, "visual": 2 * features}
    return Trained(net, MinSimilarity(net.dimensions, 5), ["a", "b", "c", "d", "e"], kept)


def with_memory() -> Trained:
    start = trained()
    banks = {name: features.T for name, features in start.training_features.items()}
    spec = narrow_spec(defence=Part("feature_memory", {**MEMORY, "columns": 1024}))
    made, model = continued_model(spec, start, 0, banks, STEPS)
    assert made.defence.options["columns"] == 9
    return start._replace(model=model.eval())


def test_weights_that_a_defence_adds_are_those_of_the_seed(monkeypatch):
    monkeypatch.setitem(DEFENCES, "linear", "torch.nn:Linear")
    spec = narrow_spec(defence=Part("linear", {"out_features": 64}))
    one, again, other = (continued_model(spec, trained(), seed, {}, {})[1].defences["audio"] for seed in (1, 1, 2))
    assert torch.equal(one.weight, again.weight) and not torch.equal(one.weight, other.weight)


def test_an_attack_maximises_what_its_surrogate_was_trained_with_unless_told_otherwise():
    victim = trained()
    own, alone = bind(AttackSpec("pgd"), victim), bind(AttackSpec("pgd", objective="cross_entropy"), victim)
    assert own.attack == alone.attack == build_attack("pgd")
    assert own.model is alone.model is victim.model
    assert own.objective is victim.objective
    assert isinstance(alone.objective, CrossEntropy)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AttackSpec("mim_official"), "mim_official: its result depends on how many clips it takes at a time; give"),
        (AttackSpec("mim", batch_size=8), "mim: batch_size 8 changes nothing"),
    ],
)
def test_a_batch_size_is_for_an_attack_that_mixes_its_batch(spec, message):
    with pytest.raises(UserError, match=message):
        bind(spec, trained())
    assert bind(AttackSpec("mim_official", batch_size=36), trained()).batch_size == 36


def test_batches_may_be_cut_where_no_clip_depends_on_another():
    """At common multiples of what passes the defences together; an attack that mixes its batch has it whole."""
    plain, four, six = narrow_net(), net_with_memory(4), net_with_memory(6)
    # A fixed number of iterations for every clip, as with `ista: per_sample`.
    alone = net_with_memory(4, tolerance=0.0)
    for victim, surrogate, together in (
        (plain, plain, 1), (four, four, 4), (four, four.without_defences(), 4), (plain, six, 6), (four, six, 12),
        (alone, alone, 1), (alone, four, 4),
    ):  # fmt: skip
        assert Threat(build_attack("pgd"), surrogate, CROSS_ENTROPY).clips_together(victim) == together
    assert Threat(build_attack("mim_official"), four, CROSS_ENTROPY, 16).clips_together(four) == 16


def test_past_the_memory_is_the_same_net_without_it():
    victim, inputs = with_memory(), clips(2)
    bare = bind(AttackSpec("fgsm", without_defences=True), victim).model
    assert bare.encoders["audio"] is victim.model.encoders["audio"]
    assert bare.classifier is victim.model.classifier
    assert not bare.training
    with torch.no_grad():
        assert torch.equal(bare(inputs), trained().model(inputs))
        assert not torch.allclose(victim.model(inputs), bare(inputs))


def test_a_stage_goes_on_with_all_weights_of_the_one_before_and_its_features_in_the_memory():
    start, made = trained(), with_memory()
    state = made.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in start.model.state_dict().items())
    for name, features in start.training_features.items():
        assert torch.equal(made.model.defences[name].bank, features.T)
        # 0.99 over the largest eigenvalue, where that is less than the given step.
        largest = torch.linalg.matrix_norm(features.double(), ord=2) ** 2
        step = {"audio": 1e-4, "visual": 0.99 / largest}[name]
        assert float(made.model.defences[name].step) == pytest.approx(float(step))


def test_gradients_pass_the_memory_to_the_inputs_and_none_to_the_memory():
    victim, inputs = with_memory(), clips(2)
    leaves = {name: value.requires_grad_() for name, value in inputs.items()}
    logits = victim.model(leaves)
    gradients = torch.autograd.grad(logits.sum(), list(leaves.values()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert not any(buffer.requires_grad for buffer in victim.model.defences.buffers())
    assert list(victim.model.defences.parameters()) == []


def test_a_net_that_is_copied_keeps_its_memory():
    victim, inputs = with_memory(), clips(2)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(victim.model)(inputs), victim.model(inputs))


def test_a_stage_that_does_not_fit_the_one_before_is_refused():
    spec = narrow_spec("film")
    with pytest.raises(UserError, match="does not fit, as classifier"):
        continued_model(spec, trained(), 0, {}, {})
