"""Time the extraction of features, and measure its memory, over few clips and over many: it is a stream.

The clips are a dozen rendered ones, packed again and again under other names, as many a shard as at the paper scale,
and the extractor is the demo's. A program of its own extracts all clips of a run, as the rule `features` lets it, and
says what it took; memory is that of its process at its most, packed shards that are mapped into it included.

    python benchmarks/features.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from avrobust.data import locations, manifest, packing, rendering, store
from avrobust.data.media import Form
from avrobust.data.store import PackedClip, Store
from avrobust.spec.rendered import Dataset

RENDERED = Dataset("bench", ("a", "b", "c"), {"train": 4}, seconds=5, width=96, height=72, seed=1)
# As at the demo scale.
FORM = Form(audio_rate=8000, frame_rate=8, short_side=44, minimum_frames=20)
VIEW = {"name": "clip", "options": {"seconds": 5, "frames": 40, "frame_size": 40}}
FRONT = {"sample_rate": 8000, "n_fft": 1024, "window": 1024, "hop": 400, "mels": 32}
FRONT |= {"spectrum": "magnitude", "logarithm": "decibel"}
ENCODERS = {
    "audio": {"name": "log_mel_steps", "options": {"steps": 100, "front": FRONT}},
    "visual": {"name": "r2plus1d18", "options": {"frames_per_window": 4, "width": 0.125}},
}
# As at the paper scale.
SHARD = 2_000
PROGRAM = Path(__file__).resolve().parents[1] / "scripts/extract.py"


def few(folder: Path) -> list[PackedClip]:
    """Render a dozen clips and return them as they are packed."""
    table, shard = folder / "manifest.csv", folder / "few.arrow"
    rendering.render(RENDERED, folder, table, 1)
    located = [(clip, locations.in_manifest(clip)) for clip in manifest.shard(table, RENDERED.classes, 0, 1)]
    with store.writing(shard, audio_rate=8000, frame_rate=8, classes=RENDERED.classes) as writer:
        made = list(packing.pack(located, RENDERED.classes, folder, FORM, "drop", 1, writer))
    assert all(outcome.status == "ok" for outcome in made)
    read = Store([shard])
    return [
        PackedClip(
            read.clip_ids[i], read.splits[i], read.labels[i], None, None, read.audio(i),
            [read.encoded(i, k) for k in range(read.frame_count(i))], None, 58, 44,
        )
        for i in range(len(read))
    ]  # fmt: skip


def repeated(clips: list[PackedClip], count: int, folder: Path) -> list[Path]:
    """Pack `count` clips, these again and again under other names."""
    paths = [folder / f"{first:06d}.arrow" for first in range(0, count, SHARD)]
    for first, path in zip(range(0, count, SHARD), paths, strict=True):
        with store.writing(path, audio_rate=8000, frame_rate=8, classes=RENDERED.classes) as shard:
            for number in range(first, min(first + SHARD, count)):
                shard.add(replace(clips[number % len(clips)], clip_id=f"{number:06d}"))
    return paths


def extracted(shards: list[Path], folder: Path, threads: int) -> dict:
    """Extract the features of all clips of these shards; return what the program says of it, and their bytes."""
    told = {"extractor": "windows", "encoders": json.dumps(ENCODERS), "view": json.dumps(VIEW), "device": "cpu"}
    told |= {"batch-size": 8, "threads": threads, "features": folder / "f.arrow", "moments": folder / "m.json"}
    told |= {"provenance": folder / "p.json"}
    command = [sys.executable, PROGRAM, "--shards", *shards]
    subprocess.run([*command, *(f"--{name}={value}" for name, value in told.items())], check=True, stderr=sys.stderr)
    return json.loads((folder / "p.json").read_text()) | {"bytes": (folder / "f.arrow").stat().st_size}


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shards = repeated(few(folder), max(given.clips), folder)
        for count in given.clips:
            made = extracted(shards[: -(-count // SHARD)], folder, given.threads)
            packed = sum(path.stat().st_size for path in shards[: -(-count // SHARD)])
            rows.append((made["clips"], packed, made["bytes"], made["clips_per_second"], made["peak_memory_mib"]))
    print(f"CPU, {given.threads} threads\n")
    print("| clips | packed, MB | features, MB | clips/s | memory at most, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for clips, packed, features, rate, memory in rows:
        print(f"| {clips:,} | {packed / 1e6:,.0f} | {features / 1e6:,.1f} | {rate:.1f} | {memory:,} |")


if __name__ == "__main__":
    main()
