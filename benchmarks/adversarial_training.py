"""Time adversarial trainings as ratios to AT: same net, same batches, same threads, in turns, in one process.

Zhang et al. (ICLR 2025) sell cheap adversarial training. AT is PGD on whole clips; full TMA-AT crafts by TMA on whole
clips; CRMT-AT is AT by the uncertain margin on its own head; the rest craft by TMA on a part: at the five factors of
Figure 9 (10 to 50 % of the steps) and by the curriculum of the paper's defence. Gradients and steps of the encoders
that crafting takes of a clip are exact; the time is that of crafting and of the step of training together.

    python benchmarks/adversarial_training.py                                    # small sizes
    python benchmarks/adversarial_training.py --device cuda --frames 20 --frame-size 112 --audio-samples 160000 \\
        --hop 320 --mels 64 --width 1 --projection 512 --strides 32 16 --batch-size 16 --steps 10 --copies 5 --rounds 1
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
from timing import finished, net_parser, said, seconds

from avrobust.data.batches import Batch
from avrobust.lazy import built
from avrobust.models.build import ModelSpec, Part, build
from avrobust.objectives.registry import OBJECTIVES
from avrobust.runtime import prepare
from avrobust.training.descent import descent_of
from avrobust.training.loop import train_epoch
from avrobust.training.prepare.plain import Setting
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.registry import PREPARATIONS
from avrobust.views.view import Input, pixels, waveform

CLASSES, EPSILON = 27, {"audio": 0.006, "visual": 8 / 255}
FACTORS = (10, 20, 30, 40, 50)
# Epochs of the curriculum's cycle.
CYCLE = 5


def batches(forms: dict[str, Input], size: int) -> list[Batch]:
    """Return two random batches as the loader makes them."""
    return [
        {
            "audio": torch.randn(size, *forms["audio"].shape).mul(0.1).clamp(-1, 1),
            "visual": torch.randint(256, (size, *forms["visual"].shape), dtype=torch.uint8),
            "label": torch.arange(size) % CLASSES,
            "clip_id": [f"{number} {place}" for place in range(size)],
        }
        for number in range(2)
    ]


def spec(given: argparse.Namespace, head: str) -> ModelSpec:
    """Return ResNet-18 that sees and VGG-11-BN that hears, concatenated: RcV."""
    window = 2 * given.hop
    # As many points as the next power of two has.
    front = {"n_fft": 1 << (window - 1).bit_length(), "window": window, "hop": given.hop, "mels": given.mels}
    sight_stride, sound_stride = given.strides
    sight = {"width": given.width, "projection": given.projection, "stride": sight_stride}
    sound = {
        "net": {"name": "vgg11_bn", "options": {"width": given.width, "stride": sound_stride}},
        "samples_per_step": given.audio_samples // given.frames,
        "projection": given.projection,
        "front": {**front, "sample_rate": 16_000},
    }
    return ModelSpec("concat", Part("log_mel", sound), Part("resnet18", sight), Part(head))


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = net_parser(__doc__)
    parser.set_defaults(audio_samples=24_000, frame_size=40)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--hop", type=int, default=240, help="samples between spectra, half a window")
    parser.add_argument("--mels", type=int, default=32)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--projection", type=int, default=64)
    parser.add_argument("--strides", type=int, nargs=2, default=(16, 8), metavar=("SIGHT", "SOUND"))
    parser.add_argument("--steps", type=int, default=4, help="of PGD, and the most of TMA")
    parser.add_argument("--copies", type=int, default=2, help="of TMA")
    given = parser.parse_args()
    device = prepare(given.device, given.threads)
    forms = {
        "audio": waveform(1, given.audio_samples),
        "visual": pixels(given.frames, 3, given.frame_size, given.frame_size),
    }
    loader = batches(forms, given.batch_size)

    def trained_by(name: str, objective: str = "cross_entropy", head: str = "linear", **options: object) -> tuple:
        """Return an epoch's run and its preparation."""
        net = build(spec(given, head), CLASSES, seed=0).to(device)
        net = net.in_precision(given.precision)
        minimised = built(OBJECTIVES, {"name": objective}, net.dimensions, CLASSES)
        setting = Setting(minimised, device, 0, CLASSES, forms)
        options = {"budget": EPSILON, "epsilon_space": "pixel", **options}
        preparation = built(PREPARATIONS, {"name": name, "options": options}, setting)
        recipe = TrainingRecipe(1, given.batch_size, dict.fromkeys(("audio", "visual", "head"), 1e-4))
        descent = descent_of(net, minimised, recipe, len(loader))

        def run(epochs: range) -> None:
            for epoch in epochs:
                train_epoch(net, loader, descent, minimised, preparation, epoch, recipe)

        return run, preparation

    pgd = {"update": "pgd_random", "steps": given.steps, "objective": "cross_entropy"}
    tma = {"update": "tma", "steps": given.steps, "copies": given.copies}
    part = {"attack": tma, "steps": given.steps}
    trainings: dict[str, tuple[Callable, object]] = {
        "AT": trained_by("adversarial", attack=pgd),
        "full TMA-AT": trained_by("adversarial", attack=tma),
        "CRMT-AT, first phase": trained_by("adversarial", "uncertain_margin", "orthogonal", attack=pgd),
        "ours, cosine": trained_by("curriculum", **part, cycle=CYCLE),
        **{
            f"ours, factor {factor // 10}": trained_by(
                "curriculum", **part, sampled=factor, dropped=0, schedule="constant"
            )
            for factor in FACTORS
        },
    }
    times: dict[str, list[float]] = {name: [] for name in trainings}
    counts = {}
    for turn in range(given.rounds + 1):
        for name, (run, preparation) in trainings.items():
            # A whole cycle where epochs differ.
            epochs = range(1, CYCLE + 1) if "cosine" in name else range(1, 2)
            taken = seconds(finished(lambda run=run, epochs=epochs: run(epochs))) / len(epochs)
            counts[name] = preparation.facts()
            if turn:  # the first is for warming up
                times[name].append(taken)
    clips = len(loader) * given.batch_size
    sizes = f"{given.frames} frames, {given.steps} steps, {given.copies} copies, width {given.width:g}"
    print(said(given).strip() + f"; {sizes}\n")
    print("| training | clips/s | times AT | gradients a clip | encoder steps a clip |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in trainings:
        ratio = statistics.median(one / other for one, other in zip(times["AT"], times[name], strict=True))
        rate = clips / statistics.median(times[name])
        spent = counts[name]
        print(
            f"| {name} | {rate:.1f} | {ratio:.2f} | {spent['gradients_a_clip']:.1f} | "
            f"{spent['encoder_steps_a_clip']:.1f} |"
        )


if __name__ == "__main__":
    main()
