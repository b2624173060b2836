"""What bringing the real datasets here will take: clips, hours at the rate budget, disk. Nothing is made or downloaded.

python workflow/data_plan.py                     # the paper scale, as config.yaml has it otherwise
python workflow/data_plan.py 'datasets={audioset: {}}'
"""

import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from lib.errors import SettingsError
from lib.plan import Plan
from lib.settings import paper_scale_config

ROOT = Path(__file__).resolve().parents[1]

# Of a frame as JPEG whose short side has 256 pixels (benchmarks/packing.py); smaller ones go with its power of 1.5, as
# the frames of real clips do.
JPEG_BYTES, JPEG_SIDE, JPEG_POWER = 23_500, 256, 1.5
# MIT-MUSIC's videos are as long on average, by the frame counts of the released lists.
SECONDS_OF_A_WHOLE_VIDEO = 123


@dataclass(frozen=True)
class Row:
    """What one dataset needs; `media` names the folder of its files, which others may share."""

    dataset: str
    media: str
    clips: int
    here: int
    final: int
    sources: str
    web_hours: float
    archive: str
    media_gb: float
    packed_gb: float


def row(plan: Plan, dataset: str) -> Row:
    """Return what is left to do for a dataset."""
    facts, clips = plan.settings.datasets[dataset], plan.data.clips(dataset)
    statuses = _statuses(plan.settings.root / plan.data.place(dataset) / "data" / dataset / "locations")
    here, final = statuses["ok"], sum(statuses[name] for name in ("gone", "geo", "age", "media"))
    left = max(clips - here - final, 0)
    from_web = "youtube" in facts["sources"] and "archive" not in facts["sources"]
    seconds = facts.get("clip_seconds", SECONDS_OF_A_WHOLE_VIDEO)
    return Row(
        dataset,
        facts["media"],
        clips,
        here,
        final,
        ", ".join(facts["sources"]),
        left / plan.settings.config["download"]["videos_per_hour"] if from_web else 0.0,
        f"{facts.get('archive_gigabytes', math.nan):g} GB" if "archive" in facts["sources"] and left else "",
        left * facts["megabytes_per_video"] / 1000,
        clips * seconds * packed_bytes(facts) / 1e9,
    )


def packed_bytes(facts: Mapping) -> float:
    """Return what a second of a dataset takes in its shards."""
    jpeg = JPEG_BYTES * ((facts["short_side"] or JPEG_SIDE) / JPEG_SIDE) ** JPEG_POWER
    return 2 * facts["audio_rate"] + jpeg * facts["frame_rate"]


def _statuses(folder: Path) -> Counter[str]:
    """Count what came of the clips of all shards, of those being fetched too."""
    found: Counter[str] = Counter()
    finished = set()
    for path in sorted(folder.glob("*.csv")):
        finished.add(path.stem)
        with path.open(encoding="utf-8", newline="") as file:
            found.update(one["status"] for one in csv.DictReader(file))
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem not in finished:
            kinds = {}
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    record = json.loads(line)
                    kinds[record["video_id"]] = record["kind"]
            found.update(kinds.values())
    return found


def table(rows: list[Row]) -> list[str]:
    """Return lines of text, a heading first and sums last."""
    lines = [
        f"{'dataset':<22}{'clips':>10}{'here':>10}{'lost':>8}{'hours of web':>14}{'archive':>10}{'media, GB':>11}"
        f"{'packed, GB':>12}  sources"
    ]
    for one in rows:
        lines.append(
            f"{one.dataset:<22}{one.clips:>10,}{one.here:>10,}{one.final:>8,}{one.web_hours:>14,.1f}{one.archive:>10}"
            f"{one.media_gb:>11,.1f}{one.packed_gb:>12,.1f}  {one.sources}"
        )
    clips, here, final = (sum(getattr(one, name) for one in rows) for name in ("clips", "here", "final"))
    packed = sum(one.packed_gb for one in rows)
    hours, media = (sum(_once(rows, name)) for name in ("web_hours", "media_gb"))
    lines.append(f"{'all':<22}{clips:>10,}{here:>10,}{final:>8,}{hours:>14,.1f}{'':>10}{media:>11,.1f}{packed:>12,.1f}")
    return lines


def _once(rows: list[Row], name: str) -> list[float]:
    """Return a value for each folder of media: the largest of the datasets that share it."""
    return [
        max(getattr(one, name) for one in rows if one.media == media)
        for media in dict.fromkeys(one.media for one in rows)
    ]


def main() -> None:
    """Print the table."""
    try:
        plan = Plan.load(ROOT, paper_scale_config(ROOT, sys.argv[1:]))
    except SettingsError as error:
        sys.exit(f"error: {error}")
    rows = [row(plan, name) for name, facts in plan.settings.datasets.items() if facts["source"] == "lists"]
    if not rows:
        sys.exit(f"scale {plan.settings.scale_name} has no dataset that comes from published lists")
    print("\n".join(table(rows)))
    rate = plan.settings.config["download"]["videos_per_hour"]
    print(
        f"\nhours of web: at {rate:g} videos an hour of one address (download.videos_per_hour); lost: gone for good;\n"
        "all: of datasets with the same videos, hours and media of the largest."
    )


if __name__ == "__main__":
    main()
