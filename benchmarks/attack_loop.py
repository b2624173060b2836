"""Time our attack loop against a textbook loop: same weights, same batch, same threads, in turns, in one process.

The textbook loop is what the released code does: both inputs require gradients whichever is attacked, the loss is
back-propagated into every parameter with `loss.backward()`, and both encoders run at every step. Its net is
torchvision's ResNet-18 and plain convolutions of one dimension, in torch's default memory format.

    python benchmarks/attack_loop.py                                  # 22,050 samples, 64 pixels
    python benchmarks/attack_loop.py --audio-samples 65535 --frame-size 224 --batch-size 4
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import torch.nn.functional as F
import torchvision
from timing import seconds
from torch import Tensor, nn

from avrobust import imagenet
from avrobust.attacks.budget import units
from avrobust.attacks.loop import perturb
from avrobust.attacks.pgd import PGD
from avrobust.models.build import ModelSpec, build
from avrobust.models.folding import folded
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.runtime import prepare

EPSILON = 0.006
MODALITIES = {"both": ("audio", "visual"), "audio": ("audio",), "visual": ("visual",)}


class PlainFrame(nn.Module):
    """torchvision's ResNet-18 on normalised pixels."""

    def __init__(self, ours: nn.Module):
        super().__init__()
        self.net = torchvision.models.resnet18(weights=None)
        self.net.fc = nn.Identity()
        self.net.load_state_dict({name: value.contiguous() for name, value in ours.state_dict().items()})
        self.normalise = torchvision.transforms.Normalize(imagenet.MEAN, imagenet.STD)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net(self.normalise(pixels))


class PlainSound(nn.Module):
    """The waveform net with convolutions of one dimension."""

    def __init__(self, ours: nn.Module):
        super().__init__()
        layers = []
        for layer in ours.layers:
            if isinstance(layer, nn.Conv2d):
                plain = nn.Conv1d(layer.in_channels, layer.out_channels, 3, stride=2, padding=1)
                plain.load_state_dict({"weight": layer.weight.squeeze(2).contiguous(), "bias": layer.bias})
            elif isinstance(layer, nn.BatchNorm2d):
                plain = nn.BatchNorm1d(layer.num_features)
                plain.load_state_dict(layer.state_dict())
            else:
                plain = nn.MaxPool1d(2) if isinstance(layer, nn.MaxPool2d) else nn.ReLU(inplace=True)
            layers.append(plain)
        self.layers = nn.Sequential(*layers)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.layers(waveform).amax(dim=-1)


def textbook_net(net: LateFusion) -> LateFusion:
    """Return a net of the same weights as it stands in a textbook."""
    encoders = {"audio": PlainSound(net.encoders["audio"]), "visual": PlainFrame(net.encoders["visual"])}
    plain = LateFusion(encoders, net.fusion, net.classifier.out_features)
    plain.classifier = net.classifier
    return plain.eval()


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


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio-samples", type=int, default=22_050)
    parser.add_argument("--frame-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    prepare("cpu", given.threads)
    torch.manual_seed(0)
    net = build(ModelSpec("concat", "conv1d", "resnet18"), 27).eval()
    torch.nn.init.normal_(net.classifier.weight)
    inputs = {
        "audio": torch.randn(given.batch_size, 1, given.audio_samples).mul(0.1).clamp(-1, 1),
        "visual": torch.rand(given.batch_size, 3, given.frame_size, given.frame_size),
    }
    labels = torch.arange(given.batch_size) % 27
    plain, quick = textbook_net(net), folded(net, {name: value[:1] for name, value in inputs.items()})
    scales = units("normalised")
    print(
        f"PGD, {PGD.steps} steps, batch {given.batch_size}, {given.audio_samples} samples, {given.frame_size} pixels, "
        f"{given.threads} threads; median of {given.rounds} rounds in turns\n"
    )
    print("| attacked | textbook, clips/s | ours, clips/s | ratio (median of pairs) | equal examples |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, attacked in MODALITIES.items():
        epsilons = {key: (EPSILON if key in attacked else 0.0) * scales[key].scale for key in inputs}
        budgets = {key: scales[key].budget(EPSILON) for key in attacked}

        def run_textbook(epsilons: dict = epsilons) -> dict[str, Tensor]:
            return textbook(plain, inputs, labels, epsilons)

        def run_ours(budgets: dict = budgets) -> dict[str, Tensor]:
            return ours(quick, inputs, labels, budgets)

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
