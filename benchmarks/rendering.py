"""Measure what a rendered clip costs: processor time of one core to draw, to encode and to decode it, in milliseconds.

Clips of MIT-MUSIC as in the demo, and of AudioSet: ten seconds at 16 frames a second, with several labels.

    python benchmarks/rendering.py
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import yaml

from avrobust.data.media import Form, read
from avrobust.data.rendering import Dataset, encode, footage, planned_clips
from avrobust.data.world import Clearness

ROOT = Path(__file__).resolve().parents[1]
Made = TypeVar("Made")
FORM = ("audio_rate", "frame_rate", "short_side", "minimum_frames")


def settings(name: str) -> tuple[Dataset, Form]:
    """Return a dataset as the demo renders it, with classes by number where the demo has the paper's, and its form."""
    scale = yaml.safe_load((ROOT / "workflow/scales/demo.yaml").read_text(encoding="utf-8"))
    facts = yaml.safe_load((ROOT / f"workflow/datasets/{name}.yaml").read_text(encoding="utf-8"))
    told = scale["render"] | scale["datasets"][name]["rendered"]
    classes = told.get("classes", [f"class {number}" for number in range(len(facts.get("classes", ())))])
    more = {part: told[part] for part in ("size_ratio", "labels", "parents") if part in told}
    clips = {split: told[split] for split in ("train", "val", "test")}
    size = (told["seconds"], told["width"], told["height"], told["seed"])
    dataset = Dataset(name, tuple(classes), clips, *size, clearness=Clearness(**told["clearness"]), **more)
    return dataset, Form(picked_from=None, **{part: facts.get(part, scale[part]) for part in FORM})


def timed(work: Callable[..., Made], *given: object) -> tuple[float, Made]:
    """Return the processor time of a piece of work, and what came of it."""
    start = time.process_time()
    made = work(*given)
    return 1000 * (time.process_time() - start), made


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=48, help="of each dataset")
    given = parser.parse_args()
    print("| dataset | frames packed | draw | encode | decode | median of the sum |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in ("music", "audioset"):
        dataset, form = settings(name)
        planned = planned_clips(dataset)
        rows, frames = [], []
        with tempfile.TemporaryDirectory() as folder:
            for one in planned[:: max(1, len(planned) // given.clips)][: given.clips]:
                path = Path(folder) / f"{one.clip_id}.mp4"
                drawing, made = timed(footage, dataset, one)
                encoding, _ = timed(encode, made, path)
                decoding, packed = timed(read, path, None, None, form)
                frames.append(len(packed.frames))
                rows.append((drawing, encoding, decoding))
        draw, encoded, decoded = (statistics.median(one) for one in zip(*rows, strict=True))
        whole = statistics.median(map(sum, rows))
        print(f"| {name} | {statistics.median(frames):g} | {draw:.0f} | {encoded:.0f} | {decoded:.0f} | {whole:.0f} |")


if __name__ == "__main__":
    main()
