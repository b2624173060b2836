"""Time our attack loop against a textbook loop: same net, same batch, same threads, in turns, in one process.

The textbook loop is what the released code does: both inputs require gradients whichever is attacked, the loss is
back-propagated into every parameter with `loss.backward()`, and both encoders run at every step.

    python benchmarks/attack_loop.py                                  # 22,050 samples, 64 pixels, full width
    python benchmarks/attack_loop.py --audio-samples 65535 --frame-size 224 --batch-size 4
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.attacks.budget import units
from avrobust.attacks.loop import perturb
from avrobust.attacks.pgd import PGD
from avrobust.models.build import ModelSpec, build
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.runtime import prepare

EPSILON = 0.006
MODALITIES = {"both": ("audio", "visual"), "audio": ("audio",), "visual": ("visual",)}


def textbook(net: torch.nn.Module, inputs: dict, labels: Tensor, epsilons: dict[str, Tensor]) -> dict[str, Tensor]:
    """PGD with gradients of everything at every step; a zero epsilon turns a modality off."""
    low = {"audio": -1.0, "visual": 0.0}
    adversarial = {name: value.clone() for name, value in inputs.items()}
    for _ in range(PGD.steps):
        leaves = {name: value.detach().requires_grad_() for name, value in adversarial.items()}
        net.zero_grad()
        F.cross_entropy(net(leaves), labels).backward()
        for name, leaf in leaves.items():
            moved = leaf.detach() + PGD.step_size * epsilons[name] * leaf.grad.sign()
            moved = torch.clamp(moved, inputs[name] - epsilons[name], inputs[name] + epsilons[name])
            adversarial[name] = moved.clamp(low[name], 1.0)
    return adversarial


def ours(net: torch.nn.Module, inputs: dict, labels: Tensor, budgets: dict) -> dict[str, Tensor]:
    """Our loop, the encoding of the modality that is not attacked included."""
    with torch.no_grad():
        features = {name: net.encode(name, inputs[name]) for name in net.modalities if name not in budgets}
    return perturb(net, inputs, labels, budgets, PGD, CrossEntropy({}, 0), features)


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio-samples", type=int, default=22_050)
    parser.add_argument("--frame-size", type=int, default=64)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    prepare("cpu", given.threads)
    torch.manual_seed(0)
    net = build(ModelSpec("concat", "conv1d", "resnet18", width=given.width), 27).eval()
    torch.nn.init.normal_(net.classifier.weight)
    inputs = {
        "audio": torch.randn(given.batch_size, 1, given.audio_samples).mul(0.1).clamp(-1, 1),
        "visual": torch.rand(given.batch_size, 3, given.frame_size, given.frame_size),
    }
    labels = torch.arange(given.batch_size) % 27
    scales = units("normalised")
    print(
        f"PGD, {PGD.steps} steps, batch {given.batch_size}, {given.audio_samples} samples, {given.frame_size} pixels, "
        f"width {given.width:g}, {given.threads} threads; median of {given.rounds} rounds in turns\n"
    )
    print("| attacked | textbook, clips/s | ours, clips/s | ratio (median of pairs) | equal examples |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, attacked in MODALITIES.items():
        epsilons = {key: (EPSILON if key in attacked else 0.0) * scales[key].scale for key in inputs}
        budgets = {key: scales[key].budget(EPSILON) for key in attacked}

        def run_textbook(epsilons: dict = epsilons) -> dict[str, Tensor]:
            return textbook(net, inputs, labels, epsilons)

        def run_ours(budgets: dict = budgets) -> dict[str, Tensor]:
            return ours(net, inputs, labels, budgets)

        reference, made = run_textbook(), run_ours()
        close = all((reference[key] - made[key]).abs().max() < 1e-6 for key in inputs)
        pairs = [(seconds(run_textbook), seconds(run_ours)) for _ in range(given.rounds)]
        theirs, own = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        share = f"{100 * sum((reference[k] - made[k]).abs().lt(1e-6).double().mean().item() for k in inputs) / 2:.2f} %"
        print(
            f"| {name} | {given.batch_size / theirs:.1f} | {given.batch_size / own:.1f} | {ratio:.2f} | "
            f"{'all' if close else share} |"
        )


if __name__ == "__main__":
    main()
