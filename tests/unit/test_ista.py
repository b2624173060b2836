"""ISTA: closed forms of the lasso, scikit-learn, the released loop's way of stopping, and autograd unrolled."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avrobust.defences.ista import LONGEST_BLOCK, safe_step, sparse_codes

MANY = 20_000


def problem(signals: int, features: int, columns: int, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """Random signals (N, D), a dictionary (D, K) of non-negative columns, and a step that converges."""
    generator = torch.Generator().manual_seed(seed)
    dictionary = torch.rand(features, columns, generator=generator, dtype=torch.float64)
    x = torch.rand(signals, features, generator=generator, dtype=torch.float64)
    return x, dictionary, safe_step(dictionary, 1.0).item()


def solve(x: Tensor, dictionary: Tensor, step: float, **changed) -> Tensor:
    limits = {"penalty": 0.1, "iterations": 50, "tolerance": 0.0, "group": 4, **changed}
    return sparse_codes(x, dictionary, dictionary.T @ dictionary, step, **limits)


def textbook(
    x: Tensor, dictionary: Tensor, step: float, penalty: float, iterations: int, tolerance: float
) -> tuple[Tensor, int]:
    """The released loop on the clips of one GPU: codes (N, K), and how many iterations were done."""
    h = x.new_zeros(len(x), dictionary.shape[1])
    done = 0
    while True:
        previous = h
        moved = h - step * (h @ dictionary.T - x) @ dictionary
        h = moved.sign() * (moved.abs() - step * penalty).clamp(min=0)
        done += 1
        if torch.linalg.norm(h - previous) < tolerance or done >= iterations:
            return h, done


def textbook_in_groups(
    x: Tensor, dictionary: Tensor, step: float, penalty: float, iterations: int, tolerance: float, group: int
) -> tuple[Tensor, list[int]]:
    results = [textbook(part, dictionary, step, penalty, iterations, tolerance) for part in x.split(group)]
    return torch.cat([codes for codes, _ in results]), [done for _, done in results]


# Closed forms.


def test_the_first_two_iterations_of_a_scalar_problem():
    """D = 2, x = 3, step 0.1, penalty 1: h1 = shrink(0.6, 0.1) = 0.5; h2 = shrink(0.5 - 0.2 * (1 - 3), 0.1) = 0.8."""
    x, dictionary = torch.tensor([[3.0], [-3.0]]), torch.tensor([[2.0]])
    for iterations, expected in ((0, 0.0), (1, 0.5), (2, 0.8)):
        codes = solve(x, dictionary, 0.1, penalty=1.0, iterations=iterations)
        assert codes.flatten().tolist() == pytest.approx([expected, -expected])


def test_a_scalar_lasso():
    """1/2 (x - 2 h)^2 + |h| is least at h = (2 |x| - 1) / 4 with x's sign, or at 0 if 2 |x| < 1."""
    x, dictionary = torch.tensor([[3.0], [-1.0], [0.4], [0.0]]), torch.tensor([[2.0]])
    codes = solve(x, dictionary, 0.1, penalty=1.0, iterations=500)
    assert codes.flatten().tolist() == pytest.approx([1.25, -0.25, 0.0, 0.0], abs=1e-6)
    assert (codes[2:] == 0).all()


def test_an_orthonormal_dictionary_is_a_soft_threshold():
    """Whatever the step, and in one iteration with a step of 1."""
    x = torch.tensor([[1.0, 0.25], [-0.7, 0.1]], dtype=torch.float64)
    rotation = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    along = x @ rotation  # [[0.8, -0.65], [-0.34, 0.62]]
    expected = torch.tensor([[0.5, -0.35], [-0.04, 0.32]], dtype=torch.float64)
    assert along.flatten().tolist() == pytest.approx([0.8, -0.65, -0.34, 0.62])
    for step, iterations in ((1.0, 1), (0.3, 300)):
        assert torch.allclose(solve(x, rotation, step, penalty=0.3, iterations=iterations), expected, atol=1e-12)


def test_two_columns_that_share_a_direction():
    """D = [[1, 1], [0, 1]], x = (1, 0), penalty 0.1: only the first column is used, h = (0.9, 0)."""
    dictionary = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    codes = solve(x, dictionary, safe_step(dictionary, 1.0).item(), iterations=2000)
    assert codes.tolist() == [pytest.approx([0.9, 0.0], abs=1e-9)]


@pytest.mark.parametrize(("features", "columns"), [(12, 6), (8, 20)])
def test_against_scikit_learn(features, columns):
    """Its objective is ours divided by the length of the signal."""
    from sklearn.linear_model import Lasso

    x, dictionary, step = problem(5, features, columns)
    codes = solve(x, dictionary, step, penalty=0.05, iterations=MANY)
    reference = Lasso(alpha=0.05 / features, fit_intercept=False, tol=1e-12, max_iter=MANY)
    expected = torch.from_numpy(reference.fit(dictionary.numpy(), x.T.numpy()).coef_)
    assert (expected == 0).any()
    assert torch.allclose(codes, expected, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000), st.floats(0.01, 1.0))
def test_the_lasso_conditions(signals, features, columns, seed, penalty):
    """|D^T (x - D h)| <= penalty, with equality and h's sign where h is not zero.

    Before the end, a last step of length s leaves them open by at most 2 s / step: by s / step because h is the
    minimum of a parabola around the iterate before, and by as much again because that parabola has its gradient there.
    """
    x, dictionary, step = problem(signals, features, columns, seed)
    before, codes = (solve(x, dictionary, step, penalty=penalty, iterations=count) for count in (2000, 2001))
    slack = 2 * (codes - before).norm() / step + 1e-12
    correlation = (x - codes @ dictionary.T) @ dictionary
    assert (correlation.abs() <= penalty + slack).all()
    assert ((correlation - penalty * codes.sign())[codes != 0].abs() <= slack).all()


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8), st.integers(0, 1000))
def test_the_objective_never_rises(signals, features, columns, seed):
    x, dictionary, step = problem(signals, features, columns, seed)

    def objective(iterations: int) -> Tensor:
        codes = solve(x, dictionary, step, iterations=iterations)
        return (x - codes @ dictionary.T).square().sum(1) / 2 + 0.1 * codes.abs().sum(1)

    values = [objective(iterations) for iterations in (0, 1, 2, 5, 20, 60)]
    for before, after in pairwise(values):
        assert (after <= before + 1e-12).all()


# Steps.


def test_a_safe_step():
    """D = [[3, 0, 0], [0, 1, 0]] has lambda_max(D^T D) = 9."""
    dictionary = torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for matrix in (dictionary, dictionary.T):
        assert safe_step(matrix, 1.0).item() == pytest.approx(0.11)
        assert safe_step(matrix, 0.05).item() == 0.05
        assert safe_step(matrix, 1.0).dtype == torch.float64
    assert safe_step(torch.zeros(2, 3), 0.7).item() == 0.7


# Stopping.


@pytest.mark.parametrize("clips", [1, 4, 10, 13])
@pytest.mark.parametrize("group", [1, 3, 4, 64])
@pytest.mark.parametrize("tolerance", [3e-2, 1e-3, 1e-5])
def test_stops_like_the_released_loop(clips, group, tolerance):
    x, dictionary, step = problem(clips, 10, 7)
    x *= torch.logspace(-2, 1, clips, dtype=torch.float64)[:, None]
    expected, done = textbook_in_groups(x, dictionary, step, 0.1, 400, tolerance, group)
    codes = solve(x, dictionary, step, iterations=400, tolerance=tolerance, group=group)
    # One iteration more or fewer moves the codes by about the tolerance.
    assert torch.allclose(codes, expected, rtol=1e-12, atol=1e-12)
    for part, count in zip(x.split(group), done, strict=True):
        alone = solve(part, dictionary, step, iterations=count, tolerance=0.0, group=group)
        assert torch.allclose(alone, codes[: len(part)], rtol=1e-12, atol=1e-12)
        codes = codes[len(part) :]


def test_the_released_loop_has_something_to_stop():
    """The cases above: groups that stop in the first block, in a later one, at the same time, and never."""
    x, dictionary, step = problem(13, 10, 7)
    x *= torch.logspace(-2, 1, 13, dtype=torch.float64)[:, None]
    counts = [textbook_in_groups(x, dictionary, step, 0.1, 400, tolerance, 1)[1] for tolerance in (3e-2, 1e-3, 1e-5)]
    every = [count for some in counts for count in some]
    assert min(every) < 4
    assert max(every) == 400
    assert any(4 * LONGEST_BLOCK < count < 400 for count in every)
    assert len(set(counts[0])) < len(counts[0])


def test_the_iterate_that_moves_too_little_is_the_result():
    """D = 1, x = 1, step 0.5: 0, 0.5, 0.75, 0.875, ..., steps of 2^-t; the first below 0.2 is the third, 0.125."""
    x = dictionary = torch.ones(1, 1)
    assert solve(x, dictionary, 0.5, penalty=0.0, tolerance=0.2).item() == 0.875
    # Below, not at, the tolerance.
    assert solve(x, dictionary, 0.5, penalty=0.0, tolerance=0.125).item() == 0.9375


def test_the_first_short_step_counts():
    """Step 3 diverges: from 0 by 0.3, -0.6, 1.2, ...; below 0.5 is only the first."""
    assert solve(torch.tensor([[0.1]]), torch.ones(1, 1), 3.0, penalty=0.0, tolerance=0.5).item() == pytest.approx(0.3)


def test_a_group_is_measured_as_a_whole():
    """Four such clips move by sqrt(4) * 2^-t together: one iteration more is needed."""
    x, dictionary = torch.ones(5, 1), torch.ones(1, 1)
    codes = solve(x, dictionary, 0.5, penalty=0.0, tolerance=0.2, group=4)
    assert codes.flatten().tolist() == [0.9375] * 4 + [0.875]


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000), st.sampled_from([1e-1, 1e-2, 1e-4]))
def test_groups_do_not_depend_on_each_other(clips, group, seed, tolerance):
    x, dictionary, step = problem(clips, 6, 5, seed)
    together = solve(x, dictionary, step, iterations=200, tolerance=tolerance, group=group)
    alone = [solve(part, dictionary, step, iterations=200, tolerance=tolerance, group=group) for part in x.split(group)]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


def test_with_a_tolerance_clips_of_a_group_depend_on_each_other():
    """Why the size of the groups is part of every result."""
    x, dictionary, step = problem(4, 6, 5)
    limits = {"iterations": 200, "tolerance": 1e-2}
    together, alone = (solve(x, dictionary, step, **limits, group=group) for group in (4, 1))
    assert (together - alone).abs().max() > 1e-3


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 90), st.integers(0, 1000))
def test_without_a_tolerance_clips_do_not_depend_on_their_batch(clips, group, iterations, seed):
    x, dictionary, step = problem(clips, 6, 5, seed)
    together = solve(x, dictionary, step, iterations=iterations, group=group)
    alone = [solve(clip[None], dictionary, step, iterations=iterations, group=1) for clip in x]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("iterations", [1, 3, 4, 5, 12, 44, 93, 2001])
def test_exactly_so_many_iterations(iterations):
    """Without a penalty a scalar goes from 0 to 1 by a constant share of what is left, whatever the block."""
    one = torch.ones(1, 1, dtype=torch.float64)
    rate = 1 / (2 * iterations)
    codes = solve(one, one, rate, penalty=0.0, iterations=iterations)
    assert codes.item() == pytest.approx(1 - (1 - rate) ** iterations, rel=1e-12)


def test_single_precision_is_close_to_double_after_all_iterations():
    """Non-negative features of norm 14 or so, 288 columns, 2001 iterations, as in the released code on MUSIC."""
    generator = torch.Generator().manual_seed(0)
    dictionary = (2 * torch.rand(64, 288, generator=generator, dtype=torch.float64)).square()
    x = (2 * torch.rand(4, 64, generator=generator, dtype=torch.float64)).square()
    step = safe_step(dictionary, 1.0).item()
    exact, rounded = (
        solve(x.to(dtype), dictionary.to(dtype), step, iterations=2001) @ dictionary.T.to(dtype)
        for dtype in (torch.float64, torch.float32)
    )
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm() < 1e-5 * exact.norm()


def test_no_clips():
    x, dictionary, step = problem(3, 6, 5)
    for tolerance in (0.0, 1e-3):
        assert solve(x[:0], dictionary, step, tolerance=tolerance).shape == (0, 5)


# Gradients.


@pytest.mark.parametrize("tolerance", [0.0, 1e-1, 1e-3])
@pytest.mark.parametrize("group", [1, 3, 4])
def test_the_gradient_of_the_unrolled_loop(tolerance, group):
    x, dictionary, step = problem(10, 8, 12)
    x *= torch.logspace(-2, 1, 10, dtype=torch.float64)[:, None]
    weights = torch.randn(10, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours, reference = x.clone().requires_grad_(), x.clone().requires_grad_()
    codes = solve(ours, dictionary, step, iterations=150, tolerance=tolerance, group=group)
    expected, _ = textbook_in_groups(reference, dictionary, step, 0.1, 150, tolerance, group)
    assert (expected == 0).any()
    assert (expected != 0).any()
    (codes.tanh() * weights).sum().backward()
    (expected.tanh() * weights).sum().backward()
    assert torch.allclose(codes, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(ours.grad, reference.grad, rtol=1e-10, atol=1e-13)
    assert reference.grad.abs().max() > 1e-2


def test_the_same_codes_with_and_without_gradients():
    x, dictionary, step = problem(7, 8, 12)
    x *= torch.logspace(-2, 1, 7, dtype=torch.float64)[:, None]
    limits = {"iterations": 150, "tolerance": 1e-3, "group": 2}
    leaf = x.clone().requires_grad_()
    recorded = solve(leaf, dictionary, step, **limits)
    assert recorded.requires_grad
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            codes = solve(leaf, dictionary, step, **limits)
        assert not codes.requires_grad
        assert torch.equal(codes, recorded)
    assert torch.equal(solve(x, dictionary, step, **limits), recorded)


@pytest.mark.parametrize("tolerance", [0.0, 2e-2])
def test_against_finite_differences(tolerance):
    x, dictionary, step = problem(3, 4, 3)

    def codes(signals: Tensor) -> Tensor:
        return solve(signals, dictionary, step, iterations=20, tolerance=tolerance, group=2)

    assert torch.autograd.gradcheck(codes, x.requires_grad_())


def test_a_scalar_gradient_by_hand():
    """One iteration: dh/dx = step * D where h is not zero, else 0."""
    x = torch.tensor([[3.0], [0.1]], requires_grad=True)
    solve(x, torch.tensor([[2.0]]), 0.1, penalty=1.0, iterations=1).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0.2, 0.0])


def test_backward_twice():
    """What is kept for the gradient is not used up."""
    x, dictionary, step = problem(5, 6, 5)
    codes = solve(x.requires_grad_(), dictionary, step, tolerance=1e-2, group=2)
    first, second = (torch.autograd.grad(codes.sum(), x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_the_dictionary_is_a_constant():
    x, dictionary, step = problem(5, 6, 5)
    dictionary.requires_grad_()
    assert not solve(x, dictionary, step).requires_grad
    codes = solve(x.requires_grad_(), dictionary, step)
    codes.sum().backward()
    assert dictionary.grad is None
    assert x.grad is not None


def test_a_second_derivative_is_refused():
    x, dictionary, step = problem(2, 6, 5)
    codes = solve(x.requires_grad_(), dictionary, step)
    (gradient,) = torch.autograd.grad(codes.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
