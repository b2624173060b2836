"""ISTA, the iterative shrinkage-thresholding algorithm, unrolled: Tian & Xu (CVPR 2021), section 3.3.2, equation 4.

The lasso of a signal x (a row) over a dictionary D is the h that minimises

    1/2 ||x - D h||^2 + penalty * ||h||_1,

equation 4 with lambda = 2 * penalty. ISTA starts at h = 0 and repeats h <- shrink(h - step * D^T (D h - x), step *
penalty), where shrink moves every coefficient towards 0. With the Gram matrix D^T D known, an iteration is one matrix
product.

The released code runs it until the last step is shorter than 8e-4, or 2001 times. It measures that step over all clips
of one GPU, so there the result for a clip depends on its neighbours; `group` and `tolerance` say so explicitly here.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

# Whether a group has stopped is looked up after this many iterations: few at first, because small groups stop early,
# then twice as many each time up to the longest block. Iterations past the stop are thrown away.
FIRST_BLOCK, LONGEST_BLOCK = 4, 32

# How much shorter than the longest step that converges.
MARGIN = 0.99


class Segment(NamedTuple):
    """Consecutive iterations that the same rows took part in.

    `rows`: (n,), their numbers; `supports`: (iterations, n, K), boolean, which coefficients were not shrunk to zero.
    """

    rows: Tensor
    supports: Tensor


def safe_step(dictionary: Tensor, given: float) -> Tensor:
    """Return min(given, 0.99 / lambda_max(D^T D)), a float64 scalar: up to 1 / lambda_max, ISTA descends.

    `dictionary`: (D, K). The released code stops with an error where `given` is too long.
    """
    exact = dictionary.detach().to(torch.float64)
    rows, columns = exact.shape
    smaller = exact @ exact.T if rows <= columns else exact.T @ exact
    return (MARGIN / torch.linalg.eigvalsh(smaller)[-1].clamp(min=0)).clamp(max=given)


def sparse_codes(
    signals: Tensor,
    dictionary: Tensor,
    gram: Tensor,
    step: float,
    *,
    penalty: float,
    iterations: int,
    tolerance: float,
    group: int,
) -> Tensor:
    """Return the codes (N, K) of signals (N, D) over a dictionary (D, K) whose Gram matrix D^T D is `gram` (K, K).

    Every `group` consecutive rows, the last group being what is left, stop together: after the first iteration that
    moves them by less than `tolerance` in the Frobenius norm (its result counts), else after `iterations` iterations.
    No group depends on another one. With a `tolerance` of 0 all do exactly `iterations`, and no row depends on another.

    The gradient with respect to `signals` is that of all iterations done, unrolled; the dictionary is a constant. It
    is computed without a graph, from one byte per coefficient and iteration.
    """
    transition = -step * gram.detach()
    transition.diagonal().add_(1)
    limits = (step * penalty, iterations, tolerance, group)
    if torch.is_grad_enabled() and signals.requires_grad:
        return _Unrolled.apply(signals, dictionary, transition, step, limits)
    with torch.no_grad():
        return _iterate(step * (signals @ dictionary), transition, *limits, None)


class _Unrolled(torch.autograd.Function):
    """`_iterate`, and its transpose backward."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, signals: Tensor, dictionary: Tensor, transition: Tensor, step: float, limits: tuple
    ) -> Tensor:
        ctx.save_for_backward(dictionary, transition)
        ctx.step = step
        ctx.segments = []
        return _iterate(step * (signals @ dictionary), transition, *limits, ctx.segments)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        dictionary, transition = ctx.saved_tensors
        # Of the codes, and of what drives them, step * x D, which enters every iteration.
        of_codes, of_drive = gradient.clone(memory_format=torch.contiguous_format), torch.zeros_like(gradient)
        for rows, supports in reversed(ctx.segments):
            arriving = of_codes[rows]
            # Bytes become numbers several times faster than booleans do.
            passed = supports.view(torch.uint8).to(gradient.dtype)
            for through in reversed(passed.unbind()):
                torch.mul(through, arriving, out=through)
                torch.mm(through, transition, out=arriving)
            of_codes[rows] = arriving
            of_drive[rows] += passed.sum(0)
        return ctx.step * (of_drive @ dictionary.T), None, None, None, None


def _iterate(
    drive: Tensor,
    transition: Tensor,
    threshold: float,
    iterations: int,
    tolerance: float,
    group: int,
    segments: list[Segment] | None,
) -> Tensor:
    """Repeat h <- shrink(h transition + drive, threshold) from h = 0; append what the gradient needs to `segments`.

    `drive`: step * x D, (N, K); `transition`: I - step * D^T D, (K, K), symmetric.
    """
    total, columns = drive.shape
    codes = torch.zeros_like(drive)
    rows = torch.arange(total, device=drive.device)
    # The iterates of one block, so that each group's can be taken where it stopped.
    space = drive.new_empty((LONGEST_BLOCK + 1) * total * columns)
    shrink = torch.ops.aten.softshrink.out
    done, length = 0, FIRST_BLOCK
    while done < iterations and len(rows):
        length = min(length, iterations - done)
        path = space[: (length + 1) * len(rows) * columns].view(length + 1, len(rows), columns)
        path[0] = codes[rows]
        for current, following in pairwise(path.unbind()):
            torch.addmm(drive, current, transition, out=following)
            shrink(following, threshold, out=following)
        done += length
        stops = _stops(path, tolerance, group)
        if stops is None:
            codes[rows] = path[-1]
            if segments is not None:
                segments.append(Segment(rows, path[1:].bool()))
        else:
            counts, running = stops
            codes[rows] = path[counts, torch.arange(len(rows), device=rows.device)]
            if segments is not None:
                for before, after in pairwise([0, *counts.unique().tolist()]):
                    taking_part = (counts > before).nonzero().flatten()
                    supports = path[before + 1 : after + 1].index_select(1, taking_part).bool()
                    segments.append(Segment(rows[taking_part], supports))
            rows, drive = rows[running], drive[running]
        length = min(2 * length, LONGEST_BLOCK)
    return codes


def _stops(path: Tensor, tolerance: float, group: int) -> tuple[Tensor, Tensor] | None:
    """Return what became of each row on a path (iterations + 1, n, K), or None if no group stopped.

    That is: how many of the iterations count for it (n,), and whether it goes on (n,). As long as no group stops, this
    is the only place where the host waits for the device.
    """
    if tolerance <= 0:
        return None
    lengths = torch.linalg.vector_norm(path[1:] - path[:-1], dim=2)
    iterations, rows = lengths.shape
    # Only the very last group can be smaller; rows of zeros do not change its norm.
    groups = F.pad(lengths, (0, -rows % group)).view(iterations, -1, group)
    moving = (torch.linalg.vector_norm(groups, dim=2) < tolerance).cumsum(0) == 0
    running = moving[-1]
    if running.all():
        return None
    counts = (moving.sum(0) + 1).clamp(max=iterations)
    return tuple(each.repeat_interleave(group)[:rows] for each in (counts, running))
