"""Time clips through H.264 and AAC as attacks send them: one after the other against several threads, in turns.

Clips of ten seconds, packed as at the paper scale and seen by its view. What comes out is the same, bit for bit.

    python benchmarks/encoding.py
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import clips
import torch
from timing import seconds

from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.evaluation.coded import Coded
from avrobust.views.moment import Moment

RENDERED = 8


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16, help="clips a batch; a few files are taken again and again")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    view = Moment(audio_samples=65_535, frame_size=224)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips.pack(clips.make(folder, RENDERED), given.rows, folder / "shard.arrow", given.threads)
        store = view.opened([folder / "shard.arrow"])
        views = EvaluationViews(store, range(given.rows), view, ("audio", "visual"))
        batch = collate([views[number] for number in range(given.rows)])
        inputs = inputs_of(batch, torch.device("cpu"))
        coders, made, pairs = [Coded(views, threads) for threads in (1, given.threads)], [], []
        for _ in range(given.rounds):
            pairs.append([seconds(lambda of=of: made.append(of(batch["clip_id"], inputs))) for of in coders])
        assert all(torch.equal(one[name], made[0][name]) for one in made for name in inputs)
        serial, together = (statistics.median(times) / given.rows for times in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
    print(f"Batches of {given.rows}, median of {given.rounds} pairs in turns\n")
    print(f"| one thread, s/clip | {given.threads} threads, s/clip | ratio |")
    print("| ---: | ---: | ---: |")
    print(f"| {serial:.3f} | {together:.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
