"""The feature memory: what goes in comes out mixed, and nothing derived outlives what it was derived from."""

import copy
import io
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avrobust.defences.feature_memory import FeatureMemory
from avrobust.defences.ista import safe_step, sparse_codes
from avrobust.defences.registry import DEFENCES
from avrobust.lazy import load

FEATURES, COLUMNS = 6, 9


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def memory(seed: int | None = 0, **changed) -> FeatureMemory:
    """A memory, filled unless `seed` is None, in evaluation mode."""
    given = {
        "mixing": 0.5,
        "penalty": 0.1,
        "iterations": 40,
        "tolerance": 1e-2,
        "training_group": 3,
        "evaluation_group": 2,
    }
    made = FeatureMemory(FEATURES, COLUMNS, **{**given, **changed}).eval()
    if seed is not None:
        made.remember(numbers(FEATURES, COLUMNS, seed=seed), 1.0)
    return made


def recomputed(made: FeatureMemory, features: Tensor, group: int) -> Tensor:
    """The output by its definition, with nothing kept from before."""
    bank = made.bank
    codes = sparse_codes(
        features,
        bank,
        bank.T @ bank,
        made.step.item(),
        penalty=made.penalty,
        iterations=made.iterations,
        tolerance=made.tolerance,
        group=group,
    )
    return made.mixing * codes @ bank.T + (1 - made.mixing) * features


def test_the_registry_has_it():
    assert load(DEFENCES, "feature_memory") is FeatureMemory


def test_a_mixture_by_hand():
    """Bank I, penalty 0.2, step 1: the approximation of (1, 0.1) is (0.8, 0); a quarter of it and three of f."""
    made = FeatureMemory(
        2, 2, mixing=0.25, penalty=0.2, iterations=1, tolerance=0.0, training_group=1, evaluation_group=1
    )
    made.remember(torch.eye(2), 0.5)
    # One iteration of step 0.5 comes half way.
    assert made(torch.tensor([[1.0, 0.1]])).tolist() == [pytest.approx([0.25 * 0.4 + 0.75, 0.075])]


def test_a_mixing_of_zero_changes_nothing():
    features = numbers(5, FEATURES, seed=1)
    assert torch.equal(memory(mixing=0.0)(features), features)
    assert not torch.allclose(memory(mixing=0.5)(features), features)


def test_a_mixing_of_one_is_the_approximation():
    """Columns of the bank, and almost no penalty: they come back."""
    made = memory(mixing=1.0, penalty=1e-6, tolerance=0.0, iterations=20_000)
    assert torch.allclose(made(made.bank.T), made.bank.T, atol=1e-3)


def test_groups_of_training_and_of_evaluation():
    made, features = memory(), numbers(7, FEATURES, seed=1)
    evaluated, trained = made.eval()(features), made.train()(features)
    assert torch.allclose(evaluated, recomputed(made, features, 2), atol=1e-6)
    assert torch.allclose(trained, recomputed(made, features, 3), atol=1e-6)
    assert not torch.allclose(evaluated, trained, atol=1e-4)


@settings(max_examples=20)
@given(st.integers(0, 6), st.integers(1, 5), st.integers(1, 8), st.booleans())
def test_shapes(clips, features, columns, training):
    made = FeatureMemory(
        features, columns, mixing=0.6, penalty=0.1, iterations=9, tolerance=8e-4, training_group=3, evaluation_group=2
    ).train(training)
    made.remember(numbers(features, columns), 1.0)
    x = numbers(clips, features, seed=1).requires_grad_()
    y = made(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    y.sum().backward()
    assert x.grad.isfinite().all()


# Filling.


def test_remembering_sets_bank_and_step():
    made = memory(seed=None)
    bank = numbers(FEATURES, COLUMNS, seed=3)
    made.remember(bank, 1.0)
    assert torch.equal(made.bank, bank)
    assert made.step.item() == pytest.approx(safe_step(bank, 1.0).item())
    assert made.step.item() == pytest.approx(0.99 / torch.linalg.matrix_norm(bank.double(), 2).item() ** 2)
    made.remember(bank, 1e-6)
    assert made.step.item() == 1e-6


def test_what_was_remembered_is_a_copy():
    bank = numbers(FEATURES, COLUMNS)
    made = memory(seed=None)
    made.remember(bank, 1.0)
    bank.zero_()
    assert made.bank.any()


@pytest.mark.parametrize("shape", [(COLUMNS, FEATURES), (FEATURES, COLUMNS - 1), (FEATURES,)])
def test_a_bank_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"\(6, 9\) is needed"):
        memory(seed=None).remember(numbers(*shape), 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bank_that_is_not_finite(value):
    bank = numbers(FEATURES, COLUMNS)
    bank[2, 3] = value
    made = memory()
    before = made.bank.clone()
    with pytest.raises(ValueError, match="not finite"):
        made.remember(bank, 1.0)
    assert torch.equal(made.bank, before)


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
def test_a_step_that_is_none(step):
    with pytest.raises(ValueError, match="step must be positive"):
        memory().remember(numbers(FEATURES, COLUMNS), step)


def test_an_empty_memory_refuses():
    with pytest.raises(RuntimeError, match="empty"):
        memory(seed=None)(numbers(2, FEATURES))


# Gradients.


def test_gradients_reach_the_features_only():
    made, features = memory(), numbers(5, FEATURES, seed=1).requires_grad_()
    assert list(made.parameters()) == []
    made(features).square().sum().backward()
    assert features.grad.abs().max() > 0
    assert made.bank.grad is None
    assert not made.bank.requires_grad


def test_the_gradient_has_both_parts():
    """With nothing shrunk to zero after one iteration: mixing * step * D D^T + (1 - mixing) times the identity."""
    made = memory(penalty=0.0, iterations=1, mixing=0.25).double()
    features = numbers(1, FEATURES, seed=1).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: made(x)[0], features)[:, 0]
    expected = 0.25 * made.step * made.bank @ made.bank.T + 0.75 * torch.eye(FEATURES)
    assert torch.allclose(jacobian, expected, atol=1e-12)


def test_use_in_inference_mode_does_not_spoil_training():
    made, features = memory(), numbers(5, FEATURES, seed=1)
    with torch.inference_mode():
        inferred = made(features)
    leaf = features.clone().requires_grad_()
    trained = made(leaf)
    trained.sum().backward()
    assert torch.equal(inferred, trained)


# Nothing stale: every test first uses the memory, so that there is something to be stale.


def used(**changed) -> tuple[FeatureMemory, Tensor]:
    made, features = memory(**changed), numbers(5, FEATURES, seed=1)
    made(features)
    return made, features


def test_a_state_dict_carries_the_memory():
    made, features = used()
    state = made.state_dict()
    assert sorted(state) == ["bank", "step"]
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    for other in (memory(seed=None), used(seed=5)[0]):
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(features), made(features))


def test_a_state_dict_loaded_through_a_parent():
    made, features = used()
    other = torch.nn.Sequential(used(seed=5)[0])
    other.load_state_dict(torch.nn.Sequential(made).state_dict(), assign=True)
    assert torch.equal(other(features), made(features))


def test_a_state_dict_of_another_size():
    made = memory()
    state = made.state_dict()
    state["bank"] = state["bank"][:, 1:]
    with pytest.raises(RuntimeError, match="size mismatch"):
        made.load_state_dict(state)


def test_remembering_again():
    made, features = used()
    made.remember(numbers(FEATURES, COLUMNS, seed=5), 1.0)
    assert torch.equal(made(features), memory(seed=5)(features))


def test_double_precision():
    """The derived matrix is computed from the converted bank, not converted itself."""
    made, features = used(tolerance=0.0)
    made.double()
    result = made(features.double())
    assert result.dtype == torch.float64
    assert torch.allclose(result, recomputed(made, features.double(), 2), rtol=1e-14, atol=1e-14)


def pickled(made: FeatureMemory) -> FeatureMemory:
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_is_independent(copied):
    made, features = used()
    before = made(features)
    other = copied(made)
    assert torch.equal(other(features), before)
    other.remember(numbers(FEATURES, COLUMNS, seed=5), 1.0)
    assert torch.equal(other(features), memory(seed=5)(features))
    assert torch.equal(made(features), before)


def test_what_is_derived_is_not_saved():
    assert len(pickle.dumps(used()[0])) == len(pickle.dumps(memory()))


def test_a_copy_made_between_a_change_and_its_use():
    """What was derived before the change must not come to life again in the copy."""
    made, features = used()
    made.load_state_dict(memory(seed=5).state_dict())
    assert torch.equal(copy.deepcopy(made)(features), memory(seed=5)(features))
