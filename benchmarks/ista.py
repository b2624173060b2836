"""Time our ISTA against a textbook loop: same problem, same threads, in turns, in one process.

The textbook loop is what the released code does: D^T (D h - x) anew in every iteration, then a test on the host whether
the step was short; its gradient is autograd's, through all iterations. Both do all iterations: the tolerance is so
small that no group stops, but the test for it is made. The Gram matrix and the step are not timed: a net computes them
once for its memory.

    python benchmarks/ista.py                 # on a CUDA GPU if there is one, else on the CPU
    python benchmarks/ista.py --device cpu --threads 2 --rounds 5
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
from torch import Tensor

from avrobust.defences.ista import safe_step, sparse_codes
from avrobust.runtime import prepare

# Clips, length of a feature, columns of the bank, iterations on a CPU.
SIZES = ((16, 128, 128, 1000), (48, 512, 288, 200), (48, 512, 1024, 40))
CUDA_ITERATIONS = 1000
PENALTY, TOLERANCE, GROUP = 0.1, 1e-30, 4


def textbook(signals: Tensor, dictionary: Tensor, gram: Tensor, step: float, iterations: int) -> Tensor:
    """The loop as it is printed in textbooks, all clips in one group, the Gram matrix unused."""
    codes = signals.new_zeros(len(signals), dictionary.shape[1])
    for _ in range(iterations):
        before = codes
        moved = codes - step * ((codes @ dictionary.T - signals) @ dictionary)
        codes = moved.sign() * (moved.abs() - step * PENALTY).clamp(min=0)
        if torch.linalg.norm(codes - before) < TOLERANCE:
            break
    return codes


def ours(signals: Tensor, dictionary: Tensor, gram: Tensor, step: float, iterations: int) -> Tensor:
    """Our loop, clips in groups of four."""
    return sparse_codes(
        signals,
        dictionary,
        gram,
        step,
        penalty=PENALTY,
        iterations=iterations,
        tolerance=TOLERANCE,
        group=GROUP,
    )


def gradient(solver: Callable[..., Tensor], signals: Tensor, *others: object) -> Tensor:
    """Return the gradient with respect to the signals of half the squared norm of the codes."""
    leaf = signals.detach().requires_grad_()
    (solver(leaf, *others).square().sum() / 2).backward()
    return leaf.grad


def seconds(run: Callable[[], Tensor]) -> float:
    """Return how long one call takes, the device's work included."""
    start = time.perf_counter()
    run().sum().item()
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    device = prepare(given.device, given.threads)
    generator = torch.Generator().manual_seed(0)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {given.threads} threads"
    print(f"ISTA, float32, {where}; median of {given.rounds} rounds in turns\n")
    print(
        "| clips, D, K | iterations | | textbook, iterations/s | ours, iterations/s | ratio (median of pairs) | apart |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for clips, features, columns, iterations in SIZES:
        if device.type == "cuda":
            iterations = CUDA_ITERATIONS
        dictionary = torch.rand(features, columns, generator=generator).to(device)
        signals = torch.rand(clips, features, generator=generator).to(device)
        problem = signals, dictionary, dictionary.T @ dictionary, safe_step(dictionary, 1.0).item(), iterations

        def forward(solver: Callable[..., Tensor], problem: tuple = problem) -> Tensor:
            with torch.no_grad():
                return solver(*problem)

        def both(solver: Callable[..., Tensor], problem: tuple = problem) -> Tensor:
            return gradient(solver, *problem)

        for name, task in (("forward", forward), ("forward and backward", both)):
            reference, made = task(textbook), task(ours)
            apart = ((reference - made).norm() / reference.norm()).item()
            pairs = [
                (seconds(lambda task=task: task(textbook)), seconds(lambda task=task: task(ours)))
                for _ in range(given.rounds)
            ]
            theirs, own = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            print(
                f"| {clips}, {features}, {columns} | {iterations} | {name} | {iterations / theirs:,.0f} | "
                f"{iterations / own:,.0f} | {ratio:.2f} | {apart:.0e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
