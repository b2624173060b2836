"""Time our attacks against a textbook loop: same weights, same clips, same threads, in turns, in one process.

The textbook loop is what the released code does: both inputs require gradients whichever is attacked, the loss is
back-propagated into every parameter with `loss.backward()`, and both encoders run at every step. Its net is
torchvision's ResNet-18 and plain convolutions of one dimension, in torch's default memory format. Ours may take more
clips at a time, as the paper scale does: no result depends on it.

On a net of one input ours is also timed against torchattacks' PGD, where that is installed; its requirements exclude
those of this project: `pip install --no-deps torchattacks==3.5.1`.

    python benchmarks/attack_loop.py                                  # 22,050 samples, 64 pixels
    python benchmarks/attack_loop.py --audio-samples 65535 --frame-size 224 --batch-size 4
    python benchmarks/attack_loop.py --device cuda --precision bfloat16 --audio-samples 65535 --frame-size 224 \\
        --batch-size 48 --own-batch-size 240
"""

import statistics
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import torch.nn.functional as F
import torchvision
from timing import finished, net_parser, said, seconds
from torch import Tensor, nn

from avrobust import imagenet
from avrobust.attacks.budget import units
from avrobust.attacks.fgsm import fgsm
from avrobust.attacks.loop import Attack, perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.pgd import pgd
from avrobust.models.build import ModelSpec, build
from avrobust.models.folding import folded
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.runtime import prepare
from avrobust.views.view import pixels, waveform

FORMS = {"audio": waveform(1, 65535), "visual": pixels(3, 224, 224)}
EPSILON = 0.006
FGSM, PGD = fgsm(), pgd()
SWEEP = (0.001, 0.002, 0.003, 0.006, 0.012)
MODALITIES = {"both": ("audio", "visual"), "sound alone": ("audio",), "frame alone": ("visual",)}
THREE = tuple((attacked, EPSILON) for attacked in MODALITIES.values())

Tensors = Mapping[str, Tensor]
Conditions = tuple[tuple[tuple[str, ...], float], ...]


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
    plain = LateFusion(encoders, net.fusion, net.classifier)
    return plain.to(net.classifier.weight.device).eval()


def textbook(
    net: torch.nn.Module, inputs: Tensors, labels: Tensor, attack: Attack, attacked: tuple[str, ...], epsilon: float
) -> Tensors:
    """PGD (FGSM with its one step) with gradients of everything at every step; a zero epsilon turns a modality off."""
    scales = {name: unit.to(labels.device) for name, unit in units("normalised", FORMS).items()}
    epsilons = {name: (epsilon if name in attacked else 0.0) * scales[name].scale for name in inputs}
    adversarial = {name: value.clone() for name, value in inputs.items()}
    for _ in range(attack.steps):
        leaves = {name: value.detach().requires_grad_() for name, value in adversarial.items()}
        net.zero_grad()
        F.cross_entropy(net(leaves), labels).backward()
        for name, leaf in leaves.items():
            moved = leaf.detach() + attack.step_length * epsilons[name] * leaf.grad.sign()
            moved = torch.clamp(moved, inputs[name] - epsilons[name], inputs[name] + epsilons[name])
            adversarial[name] = moved.clamp(scales[name].low, scales[name].high)
    return adversarial


def in_batches(size: int, net: torch.nn.Module, inputs: Tensors, labels: Tensor, *attack: object) -> Tensors:
    """Return what `textbook` makes of `size` clips at a time."""
    batches = [slice(start, start + size) for start in range(0, len(labels), size)]
    parts = [
        textbook(net, {name: value[batch] for name, value in inputs.items()}, labels[batch], *attack)
        for batch in batches
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in inputs}


def ours(
    net: LateFusion, inputs: Tensors, labels: Tensor, attack: Attack, conditions: Conditions, space: str = "normalised"
) -> list[Tensors]:
    """Our loop under several conditions, as a cell of the workflow runs it: what they share is computed once."""
    scales = {name: unit.to(labels.device) for name, unit in units(space, FORMS).items()}
    loss = Loss(net, CrossEntropy({}, 0), inputs, labels)
    return [
        perturb(loss, {name: scales[name].budget(epsilon) for name in attacked}, attack)
        for attacked, epsilon in conditions
    ]


def one_input(plain: nn.Module, net: LateFusion, pixels: Tensor, labels: Tensor) -> tuple[Callable, Callable]:
    """Return torchattacks' PGD and ours on the frame's encoder and the classifier, in pixels."""
    import torchattacks

    theirs = torchattacks.PGD(plain, eps=EPSILON, alpha=PGD.step_length * EPSILON, steps=PGD.steps, random_start=False)
    conditions = ((("visual",), EPSILON),)
    return (
        lambda: [{"visual": theirs(pixels, labels)}],
        lambda: ours(net, {"visual": pixels}, labels, PGD, conditions, "pixel"),
    )


def compare(name: str, theirs: Callable, own: Callable, clips: int, rounds: int) -> None:
    """Print a line: how many attacked clips a second either makes, and how far their results agree.

    Both were run once before they are timed. A GPU is waited for.
    """
    same = [
        (one[key] - other[key]).abs().lt(1e-6).double().mean().item()
        for one, other in zip(theirs(), own(), strict=True)
        for key in other
    ]
    pairs = [(seconds(finished(theirs)), seconds(finished(own))) for _ in range(rounds)]
    slow, quick = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"| {name} | {clips / slow:.1f} | {clips / quick:.1f} | {ratio:.2f} | {100 * statistics.mean(same):.2f} % |")


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = net_parser(__doc__)
    parser.add_argument("--own-batch-size", type=int, help="of our loop; a multiple of --batch-size")
    given = parser.parse_args()
    clips = given.own_batch_size or given.batch_size
    if clips % given.batch_size:
        parser.error(f"--own-batch-size {clips} is no multiple of --batch-size {given.batch_size}")
    device = prepare(given.device, given.threads)
    torch.manual_seed(0)
    net = build(ModelSpec("concat", "conv1d", "resnet18"), 27).eval().to(device)
    torch.nn.init.normal_(net.classifier.weight)
    inputs = {
        "audio": torch.randn(clips, 1, given.audio_samples).mul(0.1).clamp(-1, 1).to(device),
        "visual": torch.rand(clips, 3, given.frame_size, given.frame_size).to(device),
    }
    labels = (torch.arange(clips) % 27).to(device)
    plain = textbook_net(net)
    quick = folded(net, {name: value[:1] for name, value in inputs.items()}).in_precision(given.precision)
    print(said(given))
    if clips != given.batch_size:
        print(f"Ours, and torchattacks, take {clips} clips at a time.\n")
    print("| attack | textbook, attacked clips/s | ours | ratio | equal values |")
    print("| --- | ---: | ---: | ---: | ---: |")

    def line(name: str, attack: Attack, conditions: Conditions) -> None:
        compare(
            name,
            lambda: [
                in_batches(given.batch_size, plain, inputs, labels, attack, *condition) for condition in conditions
            ],
            lambda: ours(quick, inputs, labels, attack, conditions),
            clips * len(conditions),
            given.rounds,
        )

    for name, attacked in MODALITIES.items():
        line(f"PGD, {name}", PGD, ((attacked, EPSILON),))
    line("PGD, the three together", PGD, THREE)
    line("FGSM, three modalities, five epsilons", FGSM, tuple((m, e) for m in MODALITIES.values() for e in SWEEP))
    if find_spec("torchattacks"):
        frame = build(ModelSpec("visual", None, "resnet18"), 27).eval().to(device)
        torch.nn.init.normal_(frame.classifier.weight)
        reference = nn.Sequential(PlainFrame(frame.encoders["visual"]), frame.classifier).to(device)
        fast = folded(frame, {"visual": inputs["visual"][:1]}).in_precision(given.precision)
        pair = one_input(reference, fast, inputs["visual"], labels)
        # Close to each other, and quick: more rounds tell which is ahead.
        rounds = 5 * given.rounds
        compare(f"PGD on a net of frames alone, against torchattacks, {rounds} pairs", *pair, clips, rounds)
    else:
        print("\ntorchattacks is not installed: no comparison with it")


if __name__ == "__main__":
    main()
