"""Measure what the rendered world is calibrated to: clean accuracies of the sound, the frame and both; and its boxes.

Nets are trained as in the demo, with three seeds, on clips rendered with another seed than the demo's (the scale
`calibration`), and recognise its test clips. Nothing is attacked and nothing defended here. A control shows that where
the sounding object is can be learned: a small net that is told the boxes of clips of MIT-MUSIC in training.

The world is not calibrated to Zhang et al., who print no clean accuracy: of each of their eight nets, `zhang2025` says
how it compares with what is asked for, several times chance.

    python benchmarks/world.py                       # or some of: music kinetics_sounds ave boxes zhang2025
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor, nn

from avrobust.data.batches import EvaluationViews, evaluation_batches
from avrobust.data.world import make_footage
from avrobust.models.files import load_model
from avrobust.program import progress
from avrobust.spec.class_codes import class_codes
from avrobust.spec.rendered import Clearness
from avrobust.training.loop import answers
from avrobust.views.view import build_view

ROOT = Path(__file__).resolve().parents[1]
SCALE, SEEDS = "calibration", (1, 2, 3)
# Variant -> the column of a table of clean accuracies; dataset -> the table and its name there.
COLUMNS = {"audio": "Unimodal_A_clean", "visual": "Unimodal_V_clean", "concat": "AV_clean"}
PRINTED = {"music": ("table1", "MUSIC"), "kinetics_sounds": ("table1", "KS"), "ave": ("tableA1", "AVE")}
DEMO = yaml.safe_load((ROOT / "workflow/scales/demo.yaml").read_text(encoding="utf-8"))
BATCH = 32
# The nets of Zhang et al.; dataset -> classes, and how many times chance is asked for.
NETS = ("AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR")
ASKED = {"kinetics_sounds_721": (27, 10), "music_videos": (11, 4)}

# The control: clips to learn from and to judge by, epochs, positions a side of the map, rate, classes of MIT-MUSIC.
LEARNED, JUDGED, EPOCHS, POSITIONS, RATE, CLASSES = 1650, 330, 8, 16, 2e-3, 11


def accuracy(dataset: str, variant: str, seed: int) -> float:
    """Return how many test clips a trained net recognises, in per cent."""
    folder = ROOT / f"results/{SCALE}"
    model = folder / f"models/{dataset}/{variant}/s{seed}"
    trained = load_model(model / "model.pt", "best", torch.device("cpu"))
    view = build_view(json.loads((model / "train.json").read_text(encoding="utf-8"))["view"])
    store = view.opened(sorted((folder / f"data/{dataset}/shards").glob("*.arrow")))
    views = EvaluationViews(store, store.indices("test"), view, trained.model.modalities)
    logits, labels = answers(trained.model, evaluation_batches(views, BATCH, 1, 1), torch.device("cpu"))
    return 100 * (logits.argmax(dim=1) == labels).double().mean().item()


def printed(dataset: str, column: str) -> float:
    """Return the published accuracy of the undefended nets."""
    table, name = PRINTED[dataset]
    values = pd.read_csv(ROOT / f"workflow/papers/tian2021/published/{table}.csv")
    return float(values.loc[(values["dataset"] == name) & (values["column"] == column), "value"].iloc[0])


def accuracies(datasets: list[str], seeds: list[int]) -> None:
    """Train what is not there, and print a line for each net."""
    train("tian2021", datasets, COLUMNS, seeds)
    print("| dataset | net | published | ours | of each seed | apart |\n| --- | --- | ---: | ---: | --- | ---: |")
    for dataset in datasets:
        for variant, column in COLUMNS.items():
            each = [accuracy(dataset, variant, seed) for seed in seeds]
            paper, ours = printed(dataset, column), float(np.mean(each))
            told = ", ".join(f"{one:.1f}" for one in each)
            print(f"| {dataset} | {variant} | {paper:.1f} | {ours:.1f} | {told} | {ours - paper:+.1f} |")


def train(paper: str, datasets: Iterable[str], variants: Iterable[str], seeds: Iterable[int]) -> None:
    """Train the nets that are not there."""
    nets = [(dataset, variant, seed) for dataset in datasets for variant in variants for seed in seeds]
    targets = [f"results/{SCALE}/models/{dataset}/{variant}/s{seed}/model.pt" for dataset, variant, seed in nets]
    told = [f"scale={SCALE}", f"papers=[{paper}]", "device=cpu"]
    subprocess.run(["snakemake", "--quiet", "all", "--config", *told, "--", *targets], cwd=ROOT, check=True)


def times_chance(seeds: list[int]) -> None:
    """Train the nets of Zhang et al. that are not there, and print a line for each."""
    train("zhang2025", ASKED, NETS, seeds)
    print("| dataset | net | asked | ours | of each seed | epochs | CPU seconds each |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: |")
    for dataset, (classes, times) in ASKED.items():
        for net in NETS:
            each = [accuracy(dataset, net, seed) for seed in seeds]
            files = [ROOT / f"results/{SCALE}/benchmarks/{dataset}/train_{net}_s{seed}.tsv" for seed in seeds]
            seconds = np.mean([pd.read_csv(file, sep="\t")["cpu_time"].iloc[0] for file in files])
            epochs = len(pd.read_csv(ROOT / f"results/{SCALE}/models/{dataset}/{net}/s{seeds[0]}/history.csv"))
            told = f"{np.mean(each):.1f} | {', '.join(f'{one:.1f}' for one in each)} | {epochs} | {seconds:.1f}"
            print(f"| {dataset} | {net} | {100 * times / classes:.1f} | {told} |")


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the middle frame of clips with how much each pixel changes, (N, 4, 64, 64), and boxes in it, (N, 4)."""
    width, height, side = DEMO["render"]["width"], DEMO["render"]["height"], 64
    clear = Clearness(**DEMO["datasets"]["music"]["rendered"]["clearness"])
    left, top = (width - side) // 2, (height - side) // 2
    seen, boxes = [], []
    for number in progress(range(count), label="drawing", unit="clips"):
        random = np.random.default_rng([seed, number])
        clip = make_footage(class_codes(CLASSES), [number % CLASSES], clear, 1.5, width, height, random)
        frames = clip.frames[:, top : top + side, left : left + side] / np.float32(255)
        seen.append(
            np.concatenate([frames[len(frames) // 2], 10 * frames.std(axis=0).mean(axis=-1, keepdims=True)], -1)
        )
        boxes.append((np.array(clip.boxes[0]) * [width, height, width, height] - [left, top, left, top]) / side)
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(boxes))


def sizes() -> str:
    """Return how large the boxes are, and how many clips have the middle of the frame in theirs."""
    width, height, clear = DEMO["render"]["width"], DEMO["render"]["height"], Clearness(0.0, 0.0)
    made = [
        make_footage(
            class_codes(CLASSES), [number % CLASSES], clear, 0.5, width, height, np.random.default_rng([3, number])
        ).boxes[0]
        for number in range(JUDGED)
    ]
    left, top, right, bottom = np.array(made).T
    area = 100 * (right - left) * (bottom - top)
    middle = 100 * ((left <= 0.5) & (right >= 0.5) & (top <= 0.5) & (bottom >= 0.5)).mean()
    return f"boxes cover {area.min():.1f} to {area.max():.1f} % of the frame, and {middle:.1f} % hold its middle"


def inside(boxes: Tensor) -> Tensor:
    """Return which positions of the map lie in each box: bool (N, positions)."""
    centres = (torch.arange(POSITIONS) + 0.5) / POSITIONS
    across = (centres >= boxes[:, 0:1]) & (centres <= boxes[:, 2:3])
    down = (centres >= boxes[:, 1:2]) & (centres <= boxes[:, 3:4])
    return (down[:, :, None] & across[:, None, :]).flatten(1)


def pointing() -> float:
    """Return in how many clips, in per cent, a small net that was told boxes in training points into the box."""
    (seen, boxes), (judged, wanted) = pictures(LEARNED, 1), pictures(JUDGED, 2)
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after, stride in ((4, 16, 2), (16, 32, 2), (32, 32, 1), (32, 64, 1), (64, 64, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 1, 1), nn.Flatten())
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 1 / EPOCHS, EPOCHS - 1)
    # A mirrored frame has a mirrored box.
    seen = torch.cat([seen, seen.flip(-1)])
    boxes = torch.cat([boxes, torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], dim=1)])
    for _ in progress(range(EPOCHS), label="training", unit="epochs"):
        net.train()
        for batch in torch.randperm(len(seen)).split(BATCH):
            target = inside(boxes[batch]).float()
            target /= target.sum(dim=1, keepdim=True).clamp(min=1)
            loss = -(net(seen[batch]).log_softmax(dim=1) * target).sum(dim=1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        slower.step()
    net.eval()
    with torch.inference_mode():
        peaks = net(judged).argmax(dim=1)
    return 100 * inside(wanted)[torch.arange(len(peaks)), peaks].double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*PRINTED, "boxes", "zhang2025"], metavar="PART")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="some of 1, 2, 3 (default: all)")
    given = parser.parse_args()
    if unknown := {*given.parts} - {*PRINTED, "boxes", "zhang2025"}:
        parser.error(f"{', '.join(sorted(unknown))}: give some of {', '.join(PRINTED)}, boxes, zhang2025")
    if datasets := [part for part in given.parts if part in PRINTED]:
        accuracies(datasets, given.seeds)
    if "zhang2025" in given.parts:
        times_chance(given.seeds)
    if "boxes" in given.parts:
        print(f"Of {JUDGED} clips {sizes()}; the control points right in {pointing():.1f} %")


if __name__ == "__main__":
    main()
