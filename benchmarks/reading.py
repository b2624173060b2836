"""Time reading: random training samples out of the store, cold and warm, as many at a time as there are cores.

A sample is what a net of the paper scale sees: 65,535 samples of sound with a random gain, and a random crop of 224
pixels out of a frame scaled to 246. Samples a second on 16 cores are extrapolated: a core's, with all cores at work, by
16; no core waits for another, because each worker maps the files itself and shares nothing but the page cache.

    python benchmarks/reading.py
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import clips

from avrobust.data.store import Store
from avrobust.views.moment import Moment

RENDERED = 12
VIEW = Moment(audio_samples=65_535, frame_size=224)
BATCH = 16
EXTRAPOLATED_CORES = 16


def forget(path: Path) -> None:
    """Ask the system to drop a file from its cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def samples_per_second(shard: Path, workers: int, passes: int) -> float:
    """Read every clip `passes` times in random order, as training does; the start of workers is left out."""
    from torch.utils.data import DataLoader

    from avrobust.data.batches import WORKER_START_METHOD, ShuffledBatches, TrainingViews, collate

    store = Store([shard])
    views = TrainingViews(store, store.indices("train"), VIEW, ("audio", "visual"), 0)
    order = ShuffledBatches(len(views), BATCH, 0)
    loader = DataLoader(
        views,
        batch_sampler=[batch for _ in range(passes) for batch in order],
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=2,
        multiprocessing_context=WORKER_START_METHOD,
    )
    iterator = iter(loader)
    # What the workers did while the first batch was waited for.
    under_way = 2 * workers
    for _ in range(under_way):
        next(iterator)
    start = time.perf_counter()
    count = sum(len(batch["label"]) for batch in iterator)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400, help="clips of the store")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shard = folder / "shard.arrow"
        clips.pack(clips.make(folder, RENDERED), given.rows, shard, given.processes)
        print(f"{given.rows} clips, {shard.stat().st_size / 1e6:.0f} MB\n")
        print(f"| workers | cold, samples/s | warm | {EXTRAPOLATED_CORES} cores, from warm |")
        print("| ---: | ---: | ---: | ---: |")
        for workers in sorted({1, given.processes}):
            forget(shard)
            cold, warm = samples_per_second(shard, workers, 1), samples_per_second(shard, workers, given.passes)
            print(f"| {workers} | {cold:.0f} | {warm:.0f} | {warm / workers * EXTRAPOLATED_CORES:.0f} |")


if __name__ == "__main__":
    main()
