"""Time packing: clips to a shard of the store against plain ffmpeg calls, in turns.

The plain way is the papers': one ffmpeg call a clip for the frames (JPEG at 8 per second) and one for the sound (mono,
11,025 samples per second), as many clips at a time as there are processes. Both read the same ten-second clips of 360
lines with sound. Ours also scales frames to a short side of 256.

    python benchmarks/packing.py
    python benchmarks/packing.py --clips path/to/*.mp4
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import clips
from timing import seconds

from avrobust.data.ffmpeg import ffmpeg_path

RENDERED = 12


def plain(paths: list[Path], rows: int, folder: Path, processes: int) -> None:
    """Take the clips apart by two ffmpeg calls each."""

    def one(row: int) -> None:
        out = folder / f"{row:04d}"
        out.mkdir()
        start = [ffmpeg_path(), "-nostdin", "-v", "error", "-threads", "1", "-i", str(paths[row % len(paths)])]
        subprocess.run([*start, "-r", "8", str(out / "%06d.jpg")], check=True)
        subprocess.run([*start, "-ac", "1", "-ar", "11025", str(out / "sound.wav")], check=True)

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(one, range(rows)))


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", help="files with sound, in place of rendered ones")
    parser.add_argument("--rows", type=int, default=72, help="clips a shard; the files are taken again and again")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = [path.resolve() for path in given.clips] if given.clips else clips.make(folder, RENDERED)
        pairs = []
        for number in range(given.rounds):
            out = folder / f"plain{number}"
            out.mkdir()
            theirs = seconds(lambda out=out: plain(paths, given.rows, out, given.processes))
            ours = seconds(lambda: clips.pack(paths, given.rows, folder / "shard.arrow", given.processes))
            pairs.append((theirs, ours))
        theirs, ours = (given.rows / statistics.median(times) / given.processes for times in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        size = (folder / "shard.arrow").stat().st_size / given.rows
    print(f"{given.rows} clips, {given.processes} processes, median of {given.rounds} pairs\n")
    print("| packing | plain ffmpeg, clips/s and core | ours | ratio | packed, MB/clip |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(f"| | {theirs:.2f} | {ours:.2f} | {ratio:.2f} | {size / 1e6:.2f} |")


if __name__ == "__main__":
    main()
