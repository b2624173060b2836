"""Time our training step against a textbook loop: same weights, same batches, same threads, in turns, in one process.

The textbook loop is torchvision's ResNet-18 and plain convolutions of one dimension in torch's default memory format,
torch.optim.SGD, and a look at every batch's loss. Both train on batches that are in memory: reading has a benchmark of
its own. Both are given the same weights, so that their losses can be compared.

    python benchmarks/training.py                                     # 22,050 samples, 64 pixels
    python benchmarks/training.py --device cuda --precision bfloat16 --audio-samples 65535 --frame-size 224 \\
        --batch-size 48
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import torch.nn.functional as F
from attack_loop import textbook_net
from timing import finished, net_parser, said, seconds

from avrobust.data.batches import Batch, inputs_of
from avrobust.models.build import ModelSpec, build
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.cross_entropy import CrossEntropy
from avrobust.runtime import prepare
from avrobust.training.descent import descent_of
from avrobust.training.loop import train_epoch
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.recipe import TrainingRecipe

BATCHES, RATE, MOMENTUM, WEIGHT_DECAY = 4, 1e-3, 0.9, 1e-4


def batches(size: int, audio_samples: int, frame_size: int) -> list[Batch]:
    """Return random batches as the loader makes them."""
    return [
        {
            "audio": torch.randn(size, 1, audio_samples).mul(0.1).clamp(-1, 1),
            "visual": torch.randint(256, (size, 3, frame_size, frame_size), dtype=torch.uint8),
            "label": torch.arange(size) % 27,
            "clip_id": [str(number) for number in range(size)],
        }
        for _ in range(BATCHES)
    ]


def textbook(net: LateFusion, optimizer: torch.optim.SGD, loader: list[Batch], device: torch.device) -> float:
    """Train for one epoch as textbooks do and return the mean loss."""
    net.train()
    losses = []
    for batch in loader:
        loss = F.cross_entropy(net(inputs_of(batch, device)), batch["label"].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return statistics.mean(losses)


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    given = net_parser(__doc__).parse_args()
    device = prepare(given.device, given.threads)
    torch.manual_seed(0)
    net = build(ModelSpec("concat", "conv1d", "resnet18"), 27).to(device)
    plain = textbook_net(net)
    # The head is shared so far.
    plain.classifier = torch.nn.Linear(net.classifier.in_features, 27).to(device)
    plain.classifier.load_state_dict(net.classifier.state_dict())
    net = net.in_precision(given.precision)
    loader = batches(given.batch_size, given.audio_samples, given.frame_size)
    by_book = torch.optim.SGD(plain.parameters(), RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    sgd = {"name": "sgd", "options": {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}}
    recipe = TrainingRecipe(1, given.batch_size, dict.fromkeys(("audio", "visual", "head"), RATE), optimiser=sgd)
    objective = CrossEntropy({}, 0)
    descent, plainly = descent_of(net, objective, recipe, BATCHES), Plain(Setting(objective, device, 0, 27, {}))

    def run_textbook() -> float:
        return textbook(plain, by_book, loader, device)

    def run_ours() -> float:
        return train_epoch(net, loader, descent, objective, plainly, 1, recipe)

    losses = run_textbook(), run_ours()
    pairs = [(seconds(finished(run_textbook)), seconds(finished(run_ours))) for _ in range(given.rounds)]
    clips = BATCHES * given.batch_size
    slow, quick = (clips / statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(said(given))
    print("| training | textbook, clips/s | ours | ratio | loss of the first epoch, textbook | ours |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    print(f"| both | {slow:.1f} | {quick:.1f} | {ratio:.2f} | {losses[0]:.4f} | {losses[1]:.4f} |")


if __name__ == "__main__":
    main()
