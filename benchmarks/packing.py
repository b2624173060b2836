"""Time packing and reading: clips to the store against plain ffmpeg calls, and training samples out of it.

The plain way is the papers': one ffmpeg call a clip for the frames (JPEG at 8 per second) and one for the sound (mono,
11,025 samples per second), as many clips at a time as there are processes. Both read the same ten-second clips of 360
lines with sound, in turns. Ours also scales frames to a short side of 256.

    python benchmarks/packing.py
    python benchmarks/packing.py --clips 48 --processes 2
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
from timing import seconds
from torch.utils.data import DataLoader

from avrobust.data import locations, packing, store
from avrobust.data.batches import WORKER_START_METHOD, ShuffledBatches, TrainingViews, collate
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.manifest import Clip
from avrobust.data.media import Form
from avrobust.data.store import Store
from avrobust.data.views import Recipe

SECONDS, SIZE, RATE = 10, "640x360", 25
FORM = Form(audio_rate=11_025, frame_rate=8, short_side=256, minimum_frames=49)
# What a net of the paper scale sees.
VIEW = Recipe(audio_samples=65_535, frame_size=224)
# A store that is read has so many clips.
STORED = 400


def make_clips(folder: Path, count: int) -> list[Path]:
    """Render `count` different clips with motion and noise, H.264 and AAC, at the size of an ordinary download."""
    paths = [folder / f"{number:03d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        picture = f"testsrc2=size={SIZE}:rate={RATE}:duration={SECONDS},noise=alls=12:allf=t:all_seed={number}"
        sound = f"anoisesrc=color=pink:sample_rate=44100:duration={SECONDS}:seed={number}"
        command = [ffmpeg_path(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
        command += ["-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p", "-ac", "2", "-b:a", "96k", str(path)]
        subprocess.run(command, check=True)
    return paths


def plain(paths: list[Path], folder: Path, processes: int) -> None:
    """Take the clips apart by two ffmpeg calls each."""

    def one(path: Path) -> None:
        out = folder / path.stem
        out.mkdir()
        start = [ffmpeg_path(), "-nostdin", "-v", "error", "-threads", "1", "-i", str(path)]
        subprocess.run([*start, "-r", "8", str(out / "%06d.jpg")], check=True)
        subprocess.run([*start, "-ac", "1", "-ar", "11025", str(out / "sound.wav")], check=True)

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(one, paths))


def pack(paths: list[Path], shard: Path, processes: int) -> None:
    """Pack the clips as scripts/pack.py does."""
    clips = [Clip(path.stem, path.stem, None, None, ("a",), "train", "local", "", str(path)) for path in paths]
    located = [(clip, locations.in_manifest(clip)) for clip in clips]
    with store.writing(shard, audio_rate=FORM.audio_rate, frame_rate=FORM.frame_rate) as writer:
        made = list(packing.pack(located, ("a",), "/", FORM, "drop", processes, writer))
    assert all(outcome.status == "ok" for outcome in made)


def forget(path: Path) -> None:
    """Ask the system to drop a file from its cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def samples_per_second(shards: list[Path], workers: int) -> float:
    """Read every clip once, in random order, as training does; the start of workers left out."""
    opened = Store(shards)
    views = TrainingViews(opened, opened.indices("train"), VIEW, ("audio", "visual"), 0)
    loader = DataLoader(
        views,
        batch_sampler=ShuffledBatches(len(views), 16, 0),
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=WORKER_START_METHOD if workers else None,
    )
    iterator = iter(loader)
    first = len(next(iterator)["label"])
    start, count = time.perf_counter(), 0
    for batch in iterator:
        count += len(batch["label"])
    assert count + first <= len(views)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = make_clips(folder, given.clips)
        pairs = []
        for number in range(given.rounds):
            (folder / f"plain{number}").mkdir()
            theirs = seconds(lambda number=number: plain(paths, folder / f"plain{number}", given.processes))
            ours = seconds(lambda: pack(paths, folder / "shard.arrow", given.processes))
            pairs.append((theirs, ours))
        theirs, ours = (given.clips / statistics.median(times) / given.processes for times in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{given.clips} clips of {SECONDS} s, {SIZE}, {given.processes} processes, median of {given.rounds}\n")
        print("| packing | plain ffmpeg, clips/s and core | ours | ratio (median of pairs) |")
        print("| --- | ---: | ---: | ---: |")
        print(f"| | {theirs:.2f} | {ours:.2f} | {ratio:.2f} |")
        size = (folder / "shard.arrow").stat().st_size / given.clips
        print(f"\n{size / 1e6 / SECONDS:.2f} MB per packed second\n")

        # The same clips under other names, so that the store is larger than one batch of each.
        shards = []
        with_names = [(path, f"{copy}-{path.stem}") for copy in range(-(-STORED // given.clips)) for path in paths]
        source = Store([folder / "shard.arrow"])
        shards.append(folder / "many.arrow")
        with store.writing(shards[0], audio_rate=FORM.audio_rate, frame_rate=FORM.frame_rate) as writer:
            for number, (_, name) in enumerate(with_names[:STORED]):
                index = number % given.clips
                frames = [source.jpeg(index, k) for k in range(source.frame_count(index))]
                size = source.frame(index, 0).size
                clip = store.PackedClip(
                    name, "train", (0,), None, None, np.array(source.audio(index)), frames, None, *size
                )
                writer.add(clip)
        print("| reading, training samples/s | cold | warm | 16 cores, from warm |")
        print("| --- | ---: | ---: | ---: |")
        for workers in (0, given.processes):
            forget(shards[0])
            cold, warm = samples_per_second(shards, workers), samples_per_second(shards, workers)
            cores = max(workers, 1)
            print(f"| {cores} processes | {cold:.0f} | {warm:.0f} | {warm / cores * 16:.0f} |")


if __name__ == "__main__":
    main()
